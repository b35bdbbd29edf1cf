"""Collocation as schemes: nodes, and the integrals of their Lagrange polynomials to every node and to 1.

With s nodes the order is at least s, that of their quadrature; a stated number of sweeps is an explicit scheme again
(Scheme.swept). Parallel-in-time samplers are of this form: Picard iteration with its stages in parallel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sympy as sp

from .exponential import exact, weights
from .notation import h
from .phi_functions import phi
from .scheme import Scheme


def collocation(name: str, nodes: Sequence[sp.Expr], exponential: bool = False) -> Scheme:
    """The scheme a_ij = int_0^{c_i} e^{(c_i - s) hL} l_j(s) ds, b_j the same to 1, with L = 0 unless exponential.

    nodes: distinct rational numbers.  (Hairer, Norsett and Wanner, Solving Ordinary
    Differential Equations I, theorem II.7.7; exponential: Hochbruck and Ostermann 2005, collocation methods.)

    >>> import sympy as sp
    >>> from samplerproof.theory.collocation import collocation
    >>> collocation("trapezoid", (sp.S.Zero, sp.S.One)).b
    (1/2, 1/2)
    """
    places = tuple(map(sp.sympify, nodes))

    def moment_to(end: sp.Expr) -> Callable[[int], sp.Expr]:
        rate = end * h if exponential else sp.S.Zero
        return lambda k: sp.factorial(k) * end ** (k + 1) * phi(sp.Integer(k + 1), rate)

    lines = [tuple(map(sp.expand, weights(places, exact, moment_to(end)))) for end in (*places, sp.S.One)]
    return Scheme(name, places, tuple(lines[:-1]), lines[-1], exponential=exponential)


def picard_chain(name: str, substeps: int) -> Scheme:
    """A step as a chain of Euler steps of length h/s, a_ij = b_j = 1/s for j < i: what ParaDiGMS sweeps over.

    Its stages are explicit; swept in place of made one after another they take one time of the model a sweep
    (Shih et al. 2023).
    """
    share = sp.Rational(1, substeps)
    lines = [tuple(share if j < i else sp.S.Zero for j in range(substeps)) for i in range(substeps + 1)]
    return Scheme(name, tuple(share * i for i in range(substeps)), tuple(lines[:-1]), lines[-1])


def chebyshev_nodes(count: int) -> tuple[sp.Expr, ...]:
    """(1 - cos(k pi/(count - 1)))/2 for k = 0, …: extrema of a Chebyshev polynomial on [0, 1], for 2, 3 or 4.

    They are rational for these counts alone.
    """
    return tuple((1 - sp.cos(sp.pi * k / (count - 1))) / 2 for k in range(count))
