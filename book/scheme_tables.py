"""A scheme on a grid as a table that `sp.sample` runs: tableaux of one's own on targets and networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import mpmath
import sympy as sp
import torch

from ..numerics.errors import InputError
from ..numerics.grids import Grid
from ..numerics.points import Point
from ..numerics.tableau import Tableau
from ..theory.notation import h
from ..theory.scheme import Scheme

DIGITS = 30
TO_SIGMA: dict[str, Callable[[float], float]] = {
    "lambda": lambda lam: float(mpmath.exp(-lam)),
    "sigma": float,
    "variance": math.sqrt,
}


def scheme_table(scheme: Scheme, grid: Grid, clock: str = "sigma") -> Tableau:
    """The table of an explicit one-step scheme on a grid at alpha = 1 that ends at sigma > 0, float64.

    An exponential scheme steps in lambda with x' = -x + D, D the data prediction; another one in sigma with x' = eps,
    the noise prediction, or, with the clock "variance", in sigma^2 with x' = eps/(2 sigma). Its coefficients are
    evaluated to 30 digits. A stage without outputs at c = 0 is x_n.
    Raises InputError on other schemes and grids, and on a stage outside of the levels sigma > 0.

    >>> import samplerproof as sp
    >>> from samplerproof.book.scheme_tables import scheme_table
    >>> from samplerproof.theory.collocation import picard_chain
    >>> print(scheme_table(picard_chain("two Euler steps", 2), sp.Grid.from_sigmas([2.0, 1.0])))
    two Euler steps: 1 steps, 2 evaluations, noise prediction
    step  sigma  v[-1]  v[-2]  d[-1]  d[-2]
       1    1.5      1          -0.5
       1      1             1   -0.5   -0.5
    """
    if scheme.kind != "explicit" or scheme.history:
        raise InputError("scheme", scheme.name, "explicit, without past outputs; an implicit one as scheme.swept(m)")
    sigmas = grid.columns.sigma.tolist()
    if any(alpha != 1 for alpha in grid.columns.alpha.tolist()) or not sigmas[-1] > 0:
        raise InputError("grid", repr(grid), "levels at alpha = 1 that end at sigma > 0")
    clock = "lambda" if scheme.exponential else clock
    places = {"lambda": grid.columns.lam.tolist(), "sigma": sigmas, "variance": [x * x for x in sigmas]}[clock]
    points, step, states, outputs = [grid.points[0]], [0], [], []
    for n, (start, end) in enumerate(pairwise(places), start=1):
        length, base = end - start, len(points) - 1
        carried, matrix = _numbers(scheme, length)
        made: list[int] = []
        for i, (line, keep) in enumerate(zip(matrix, carried, strict=True)):
            last = i == scheme.stages
            if not last and scheme.c[i] == 0 and not any(line):
                made.append(base)
                continue
            states.append({base: keep})
            slopes = [1 / (2 * points[j].sigma) if clock == "variance" else 1.0 for j in made]
            outputs.append({made[j]: length * weight * slopes[j] for j, weight in enumerate(line[:i]) if weight})
            made.append(len(points))
            points.append(grid.points[n] if last else _between(start + float(scheme.c[i]) * length, clock))
            step.append(n)
    read = {source for line in outputs for source in line}
    return Tableau(
        method=scheme.name,
        prediction="data" if scheme.exponential else "noise",
        points=tuple(points),
        step=tuple(step),
        evaluated=tuple(i in read for i in range(len(points))),
        given=1,
        states=by_lag(states),
        outputs=by_lag(outputs),
        noises=torch.zeros(len(states), 0, dtype=torch.float64),
    )


def _between(place: float, clock: str) -> Point:
    sigma = TO_SIGMA[clock](place)
    if not sigma > 0:
        raise InputError("grid", f"a stage at sigma = {sigma:.3g}", "levels sigma > 0 at all stages")
    return Grid.from_sigmas([2 * sigma, sigma]).points[1]


@cache
def _functions(scheme: Scheme) -> tuple[tuple[Callable[[Any], Any], ...], ...]:
    """Every entry as a function of hL; rows as in the scheme, then b."""
    modules = [{"phi": _phi}, "mpmath"]
    return tuple(tuple(sp.lambdify(h, entry, modules) for entry in line) for line in (*scheme.a, scheme.b))


def _phi(k: int, z: Any) -> Any:
    return mpmath.hyp1f1(1, k + 1, z) / mpmath.factorial(k)


def _numbers(scheme: Scheme, length: float) -> tuple[list[float], list[list[float]]]:
    """What rows carry of x_n, and their entries, at L = -1 for an exponential scheme."""
    with mpmath.workdps(DIGITS):
        z = -mpmath.mpf(length)
        matrix = [[float(function(z)) for function in line] for line in _functions(scheme)]
        places = [
            mpmath.mpf(sp.Rational(c).p) / sp.Rational(c).q if c.is_Rational else c.evalf(DIGITS) for c in scheme.c
        ]
        carried = [float(mpmath.exp(z * mpmath.mpf(c))) if scheme.exponential else 1.0 for c in (*places, 1)]
    return carried, matrix


def by_lag(lines: list[dict[int, float]]) -> torch.Tensor:
    """Rows {vector: coefficient} over lags: row i makes vector i + 1, lag 0 is the vector before."""
    width = max((i - source + 1 for i, line in enumerate(lines) for source in line), default=0)
    table = torch.zeros(len(lines), width, dtype=torch.float64)
    for i, line in enumerate(lines):
        for source, value in line.items():
            table[i, i - source] = value
    return table
