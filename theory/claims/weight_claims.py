"""What the weights of the catalogue integrate exactly, and what they do not."""

from __future__ import annotations

import sympy as sp

from ..exponential import exact
from ..method import Method
from ..methods import ODE_METHODS, find
from ..notation import h, r
from ..phi_functions import phi
from ..rows import grid_position
from .claim import Claim, Proof, claim


@claim(
    "weight-sum",
    "The weights of every row sum to the weight of one node: a constant $F$ is integrated exactly. There are four "
    "exceptions: the backward row of Li et al.'s accelerated ODE, which is shorter by $a_{t+1}$, the conjugate "
    "integrator, which damps $F$, and two that are right at equal steps only: 2M v2 and iPNDM_v with four outputs.",
    "hochbruck2010exponential",
)
def weight_sum() -> Proof:
    """Weights sum to the weight of one node.

    For every row of every deterministic sampler the sum of its weights, with what a second state brings, less the
    integral of the frame's weight over the row is zero as a rational function in the phi functions, the step ratios and
    the parameters. For the four exceptions it is not zero; for the last two of them it vanishes where all steps are
    equal.
    """

    def residual(method: Method, k: int) -> sp.Expr:
        return _polynomial_residual(method, k, 0)

    rows = [(method, k) for method in ODE_METHODS for k in range(len(method.rows))]
    uneven = [(find(name), 0) for name in ("dpm-solver++-2m-v2", "ipndm-v-4-published")]
    others = [(find("li-accelerated-ode"), 0), (find("lambda-ddim"), 0), *uneven]
    zero = tuple(residual(*row) for row in rows if row not in others)
    at_equal = tuple(residual(*row).subs(dict.fromkeys(r, 1)) for row in uneven)
    return Proof((*zero, *at_equal), nonzero=tuple(residual(*row) for row in others))


def _polynomial_residual(method: Method, row: int, degree: int) -> sp.Expr:
    """sum_j W_j s_j^degree minus the integral of s^degree: zero iff the row integrates it exactly.

    A second state brings the integral from its own place to u_n (in the frames without a rate).
    """
    frame, end = method.frame, method.rows[row].end
    positions = [method.position(node) for node in method.rows[row].nodes]
    total = sum(w * c**degree for w, c in zip(method.weights[row], positions, strict=True))
    for back, c in enumerate(method.rows[row].states[1:], start=1):
        total += c * frame.moment(degree, grid_position(-back))
    return total - frame.moment(degree, end)


@claim(
    "polynomial-exactness",
    "A row with the exact rule on $n$ nodes integrates polynomials of degree below $n$ in the clock exactly, and not "
    "those of degree $n$.",
    "hochbruck2010exponential",
)
def polynomial_exactness() -> Proof:
    """The exact rule integrates polynomials.

    For every row with the exact rule and every degree $k < n$ the weighted sum of the $k$-th powers of the nodes, less
    the moment of that degree, is zero; for degree $n$ it is not.
    """
    rows = [(m, i, len(row.nodes)) for m in ODE_METHODS for i, row in enumerate(m.rows) if row.rule is exact]
    return Proof(
        zero=tuple(_polynomial_residual(m, i, degree) for m, i, n in rows for degree in range(n)),
        nonzero=tuple(_polynomial_residual(m, i, n) for m, i, n in rows),
    )


@claim(
    "2m-collapsed",
    "DPM-Solver++(2M) is exponential Adams 2 with its weight collapsed onto the midpoint: it moves $(h/r)(phi_1/2 - "
    "phi_2)(-h) = -h^2/(12 r) + O(h^3)$ from the older output to the newer, and is exact for constants only.",
    "lu2022dpmsolverpp",
)
def two_m() -> Proof:
    """DPM-Solver++(2M) is a collapsed exponential Adams method.

    The weights of the two methods are subtracted and compared with the amount moved, and 2M's with the published ones.
    The leading term follows from $phi_1/2 - phi_2 = z (phi_2/2 - phi_3)$ and $phi_2(0)/2 - phi_3(0) = 1/12$. A linear
    function is not integrated exactly.
    """
    two_m, adams = find("dpm-solver++-2m"), find("exp-adams-2")
    moved = h / r[0] * (phi(1, -h) / 2 - phi(2, -h))
    difference = [a - b for a, b in zip(two_m.weights[0], adams.weights[0], strict=True)]
    # phi_1/2 - phi_2 = z (phi_2/2 - phi_3) + 0, and phi_2(0)/2 - phi_3(0) = 1/4 - 1/6 = 1/12.
    z = -h
    leading = phi(1, z) / 2 - phi(2, z) - z * (phi(2, z) / 2 - phi(3, z))
    at_zero = phi(2, sp.S.Zero) / 2 - phi(3, sp.S.Zero) - sp.Rational(1, 12)
    paper = h * phi(1, -h) * sp.Matrix([1 + 1 / (2 * r[0]), -1 / (2 * r[0])])
    return Proof(
        zero=(
            difference[0] - moved,
            difference[1] + moved,
            leading,
            at_zero,
            *(w - p for w, p in zip(two_m.weights[0], paper, strict=True)),
        ),
        nonzero=(_polynomial_residual(two_m, 0, 1),),
    )


CLAIMS: tuple[Claim, ...] = (weight_sum, polynomial_exactness, two_m)
