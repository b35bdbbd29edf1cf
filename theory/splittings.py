"""Splitting integrators of phase-space Langevin diffusion: which part of the reversed drift acts when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import sympy as sp

GAMMA, NU = sp.symbols("gamma nu", nonnegative=True)
MASS = sp.Symbol("mass", positive=True)
HALF = sp.Rational(1, 2)


class Part(NamedTuple):
    """A part of the reversed equation dz = (K z + L s) db + dW, b falling: K, L and the covariance rate of W, 2 x 2."""

    linear: sp.Matrix
    score: sp.Matrix
    noise: sp.Matrix


class Substep(NamedTuple):
    """A part over a share of the step.

    at: the position in the step, from 0 at its start to 1 at its end, of the b that the score is asked at.  kept: the
    score of the substep before is used again.  midpoint: the midpoint rule in place of Euler's; a part without a score
    is solved exactly.
    """

    part: str
    share: sp.Rational = sp.S.One
    at: sp.Rational = sp.S.Zero
    kept: bool = False
    midpoint: bool = False


@dataclass(frozen=True)
class Splitting:
    """A splitting integrator: its substeps in order, of the probability-flow equation or of the stochastic one."""

    name: str
    stochastic: bool
    substeps: tuple[Substep, ...]


def drift() -> sp.Matrix:
    """A of the forward process, d(x, m)/db = A (x, m)."""
    return sp.Matrix([[-GAMMA, 1 / MASS], [-1, -NU]]) / 2


def diffusion() -> sp.Matrix:
    """D, the covariance of the forward noise in a unit of b."""
    return sp.diag(GAMMA, MASS * NU)


def parts(stochastic: bool) -> dict[str, Part]:
    """A of x and B of m; of the stochastic equation also O, the decays with their noise, L, O with the coupling of x
    and m, and S, what L leaves of the score's part; E is everything at once."""
    none, whole = sp.zeros(2, 2), diffusion() if stochastic else diffusion() / 2
    twice = 2 if stochastic else 1
    found = {
        "A": Part(sp.Matrix([[twice * GAMMA / 2, -1 / (2 * MASS)], [0, 0]]), sp.diag(whole[0, 0], 0), none),
        "B": Part(sp.Matrix([[0, 0], [HALF, twice * NU / 2]]), sp.diag(0, whole[1, 1]), none),
        "E": Part(-drift(), whole, diffusion() if stochastic else none),
    }
    if stochastic:
        found["O"] = Part(-sp.diag(GAMMA, NU) / 2, none, diffusion())
        found["L"] = Part(sp.Matrix([[-GAMMA, -1 / MASS], [1, -NU]]) / 2, none, diffusion())
        found["S"] = Part(sp.diag(GAMMA, NU), diffusion(), none)
    return found


def _halves(*order: str, late: bool = False) -> tuple[Substep, ...]:
    """Half, whole and half steps of three parts; `late`: the second on the score of the first, the last at the end."""
    first, second, third = order
    last = sp.S.One if late else sp.S.Zero
    return Substep(first, HALF), Substep(second, kept=late), Substep(third, HALF, last)


def _midpoints(*order: str) -> tuple[Substep, ...]:
    """Half, whole and half steps by midpoint rules, with every score in the middle of the step."""
    return tuple(Substep(part, share, HALF, midpoint=True) for part, share in zip(order, (HALF, 1, HALF), strict=True))


_A, _B, _O = Substep("A"), Substep("B"), Substep("O")
_KEPT = Substep("A", kept=True)
_L = Substep("L", HALF)
SPLITTINGS: tuple[Splitting, ...] = (
    Splitting("euler", False, (Substep("E"),)),
    Splitting("naive-symplectic-euler", False, (_B, _A)),
    Splitting("reduced-symplectic-euler", False, (_B, _KEPT)),
    Splitting("naive-velocity-verlet", False, _halves("B", "A", "B")),
    Splitting("reduced-velocity-verlet", False, _halves("B", "A", "B", late=True)),
    Splitting("strang-midpoint", False, _midpoints("B", "A", "B")),
    Splitting("euler-maruyama", True, (Substep("E"),)),
    Splitting("naive-oba", True, (_O, _B, _A)),
    Splitting("reduced-oba", True, (_O, _B, _KEPT)),
    Splitting("naive-bao", True, (_B, _A, _O)),
    Splitting("reduced-bao", True, (_B, _KEPT, _O)),
    Splitting("naive-obab", True, (_O, *_halves("B", "A", "B"))),
    Splitting("reduced-obab", True, (_O, *_halves("B", "A", "B", late=True))),
    Splitting("sscs", True, (_L, Substep("S"), _L)),
    Splitting("sscs-midpoint", True, (_L, Substep("S", sp.S.One, HALF, midpoint=True), _L)),
)
