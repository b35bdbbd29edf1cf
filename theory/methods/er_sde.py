"""ER-SDE solvers (arXiv 2309.06169): the data prediction interpolated in rho, its weight integrated exactly.

With a noise scale function phi(rho) a step keeps phi(rho')/phi(rho) of x/alpha. For phi = rho^{1 + tau^2} that is the
SDE of strength tau^2, and all integrals are closed; the function that the authors prefer, rho (e^{rho^0.3} + 10), has a
strength that changes along the run. One output is then held as in SA-Solver (P1).
"""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from ..frames import DATA
from ..method import Method
from ..notation import h, r
from ..phi_functions import phi
from ..rows import NOW, Row, past
from .sde import OF_STRENGTH_TAU, SA_SOLVER_1, TAU, tau, with_tau

_one_node = (1 + tau**2) * h * phi(1, -(1 + tau**2) * h)


def _length(size: sp.Expr) -> sp.Expr:
    """(e^{size h} - 1)/h"""
    return size * phi(1, size * h)


# rho_n, rho_{n-1} and rho_{n-2} are rho_n e^{0}, e^{r1 h} and e^{(r1 + r2) h}. Per unit of D_n - D_{n-1}, and of
# rho_n^2 h^2/2 times the second divided difference.
_first = phi(1, -h) - phi(2, -h) + tau**2 * phi(0, -h) * phi(2, -(tau**2) * h)
_second = (
    phi(2, h) * (phi(1, h) - 1) / 2
    + (1 - tau**2) ** 2 * phi(3, (1 - tau**2) * h)
    + tau**2 * phi(1, h) / 2
    - tau**4 * phi(0, h) * phi(3, -(tau**2) * h)
)
_slope = h * _first / _length(r[0])

ER_SDE_2 = Method(
    name="er-sde-2",
    since="0.2.0",
    label="ER-SDE-Solver-2",
    family="er-sde",
    frame=DATA,
    noise=OF_STRENGTH_TAU,
    rows=(Row((NOW, past(1)), published=(_one_node + _slope, -_slope)),),
    order=2,
    cite="cui2023ersde",
    summary="The line in rho through two data predictions, integrated exactly; the noise is exact.",
    start=SA_SOLVER_1,
    provenance="published; read in the code of ComfyUI, its noise scale function a power of rho",
    parameters=(TAU,),
)

_curvature = 2 * h * phi(0, -2 * h) * _second / _length(r[0] + r[1])
_newer, _older = _curvature / _length(r[0]), _curvature * phi(0, -r[0] * h) / _length(r[1])

ER_SDE_3 = replace(
    ER_SDE_2,
    name="er-sde-3",
    label="ER-SDE-Solver-3",
    rows=(
        Row(
            (NOW, past(1), past(2)),
            published=(_one_node + _slope + _newer, -_slope - _newer - _older, _older),
        ),
    ),
    summary="The parabola in rho through three data predictions: of order 3 without noise, of weak order 2 with any.",
    start=ER_SDE_2,
    parameters=with_tau(3),
)

ALL = (ER_SDE_2, ER_SDE_3)
