"""Steps backwards that solve an equation in the model: one vector at a time, or all vectors of a whole step.

A row v_i = c v_u + w_u d(v_u) + sum_j w_j d_j + (known terms), whose d_j are made at vectors that are found after v_u,
is solved for v_u with a lag l = sum_j w_j (d_j - d(v_u)) that is taken as known,

    v_i = c v_u + (w_u + sum_j w_j) d(v_u) + l + (known terms),

which is the equation of a step with one node. From the vectors that follow the lags are made anew, until they stay:
then every row holds. The first sweep, l = 0, is off by the order of d_j - d(v_u), and each one more gains that order,
where the steps are small (theory/claims/inversion_claims.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError, SamplingError
from ..generated.prediction_functions import CONVERT
from ..table_rows import KnownVectors
from .backward_steps import Backward
from .fixed_point import FixedPoint, fixed_point

INNER = 0.1  # tolerance of the equations of a sweep, over that of the lags


@dataclass(frozen=True)
class Solver:
    """How a fixed point is solved: the arguments of `fixed_point`."""

    name: str
    memory: int
    tolerance: float
    limit: int

    def solve(self, g: Callable[[Tensor], Tensor], first: Tensor, share: float = 1.0) -> FixedPoint:
        """The fixed point of g from a first guess, to this share of the tolerance."""
        return fixed_point(g, first, self.name, self.memory, share * self.tolerance, self.limit)


def take(known: KnownVectors, step: Backward) -> None:
    """Find a vector by its row, or exactly from a later one."""
    row, u = step.row, step.finds
    terms = known.applied(row, (u,))
    known.vectors[u] = terms if step.kind == "forward" else (known.vectors[row.vector] - terms) / row.states[u]


def solve_step(known: KnownVectors, step: Backward, solver: Solver) -> float:
    """Find a vector from an equation of its own; returns the residual.  Raises SamplingError if it is not solved."""
    found = _solve(known, step, solver)
    _check(found.converged, found.residual, known, [step], solver, f"{found.evaluations} evaluations")
    return found.residual


def solve_block(known: KnownVectors, block: Sequence[Backward], solver: Solver) -> float:
    """Find the vectors of a block together; returns the residual of the lags.  Raises SamplingError likewise."""
    lagged = [step for step in block if step.later]
    guesses: dict[int, Tensor] = {}
    inner: list[FixedPoint] = []

    def sweep(lags: Tensor) -> Tensor:
        """The lags [n, len(lagged), ...] of the vectors that these lags give."""
        given = dict(zip((step.finds for step in lagged), lags.unbind(1), strict=True))
        inner.clear()
        for step in block:
            known.forget(step.finds)
        for step in block:
            u = step.finds
            if step.kind == "implicit":
                inner.append(_solve(known, step, solver, given.get(u), guesses.get(u), INNER))
                guesses[u] = known.vectors[u]
            else:
                take(known, step)
        return torch.stack([_lag(known, step) for step in lagged], dim=1)

    goal = known.vectors[block[0].row.vector]
    found = solver.solve(sweep, goal.new_zeros(len(goal), len(lagged), *goal.shape[1:]))
    residual = max(found.residual, *(one.residual for one in inner))
    converged = found.converged and all(one.converged for one in inner)
    _check(converged, residual, known, block, solver, f"{found.evaluations} sweeps")
    return residual


def _solve(
    known: KnownVectors,
    step: Backward,
    solver: Solver,
    lag: Tensor | None = None,
    guess: Tensor | None = None,
    share: float = 1.0,
) -> FixedPoint:
    """Find v_u as a fixed point in the noise prediction: v = a v_u + b eps(v_u), from d = A v + B eps.

    At alpha = 0, where the noise is the state, in the data prediction.
    """
    row, u, tableau = step.row, step.finds, known.tableau
    at, prediction = tableau.points[u], tableau.prediction_at(u)
    weight = row.outputs.get(u, 0.0) + sum(row.outputs[j] for j in step.later)
    asked = "noise" if at.alpha > 0 else "data"
    kept, gain = (0.0, 1.0) if prediction == asked else CONVERT[asked, prediction](*at[:2], *at[3:])
    a, b = row.states[u] + weight * kept, weight * gain
    if a == 0:
        raise InputError("tableau", f"row {row.number}", f"no inverse: in the {asked} prediction it keeps no state")
    goal = known.vectors[row.vector] - known.applied(row, {u, *step.later})
    goal = goal if lag is None else goal - lag
    first = goal if guess is None else guess
    found = solver.solve(lambda v: (goal - b * known.evaluated(v, u, asked)) / a, first, share)
    known.vectors[u] = found.z
    return found


def _lag(known: KnownVectors, step: Backward) -> Tensor:
    """sum_j w_j (d_j - d(v_u)) over the outputs that were not known when v_u was found."""
    u = step.finds
    here = known.evaluated(known.vectors[u], u, known.tableau.prediction_at(u))
    lag = torch.zeros_like(here)
    for j in sorted(step.later):
        lag = lag + step.row.outputs[j] * (known.output(j) - here)
    return lag


def _check(
    converged: bool, residual: float, known: KnownVectors, block: Sequence[Backward], solver: Solver, counted: str
) -> None:
    if converged:
        return
    numbers = sorted({known.tableau.step[step.row.vector] for step in block})
    where = f"step {numbers[0]}" if len(numbers) == 1 else f"steps {numbers[0]} to {numbers[-1]}"
    raise SamplingError(
        f"{where}: the inverse did not converge in {counted} by {solver.name}: "
        f"residual {residual:.2g}, above {solver.tolerance:.2g}"
    )
