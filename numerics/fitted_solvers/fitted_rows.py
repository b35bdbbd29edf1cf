"""Tables that are affine in one number a row: v_i = base_i + number_i (unit_i - base_i), fitted row by row.

A row's least squares is linear: with R = target - v_i at the number 0 and D = the change of v_i by the number 1,
number = <D, R>/<D, D>, over all samples and entries at once. Later rows start from the vectors so made.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..denoisers import Denoiser
from ..errors import InputError
from ..given_samples import shares
from ..table_rows import KnownVectors, Row, rows_of
from ..tableau import Tableau

VANISHING = 1e-12  # size of D, relative to the vector, below which it is rounding
Made = Callable[[Row, Callable[[Row], Tensor]], Tensor]


def run_vectors(denoise: Denoiser, start: Tensor, tableau: Tableau, made: Made | None = None) -> list[Tensor]:
    """All vectors of a run from one start.  made: of a row and a function that applies rows, the vector of the row.

    Raises InputError on a table that draws noise or is given several vectors, SamplingError as `sample` does.
    """
    if tableau.noises.count_nonzero() or tableau.channels:
        raise InputError("tableau", tableau.method, "a table without noise, of a model with one output")
    if tableau.given != 1:
        raise InputError("tableau", f"{tableau.given} given vectors", 'one start: a table of start "ramp"')
    known = KnownVectors(denoise, tableau, {0: start.to(torch.float64)})
    for row in rows_of(tableau):
        known.vectors[row.vector] = known.applied(row) if made is None else made(row, known.applied)
    return list(known.vectors.values())


@torch.no_grad()
def fit_rows(
    denoise: Denoiser,
    start: Tensor,
    base: Tableau,
    unit: Tableau,
    target: Callable[[int], Tensor],
    weights: Tensor | None = None,
    limits: tuple[float, float] | None = None,
) -> tuple[dict[int, float], dict[int, tuple[float, float]]]:
    """The number of every row that differs between the tables, and the distance to the target with 0 and with it.

    base, unit: the tables for the numbers 0 and 1.  target: of a vector's index.  weights: of the samples [n], equal if
    None; distances are root mean squares over samples and entries.  limits: of a number.
    Raises InputError where the difference that a number multiplies vanishes, so that any number fits, and on a target
    of another shape or with values that are not finite.
    """
    share = shares(start, weights)
    changed = {row.vector: row for row in rows_of(unit)}
    numbers, distances = dict[int, float](), dict[int, tuple[float, float]]()

    def product(a: Tensor, b: Tensor) -> float:
        return float((a * b).flatten(1).mean(dim=1) @ share)

    def wanted(row: Row, x: Tensor) -> Tensor:
        found, step = target(row.vector), f"step {base.step[row.vector]}"
        if not isinstance(found, Tensor) or found.shape != x.shape:
            got = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise InputError("target", f"{step}: {got}", f"samples shaped like the start, {list(x.shape)}")
        if not bool(torch.isfinite(found).all()):
            raise InputError("target", f"{step}: a non-finite value", "finite samples")
        return found.to(torch.float64)

    def made(row: Row, applied: Callable[[Row], Tensor]) -> Tensor:
        x, other = applied(row), changed[row.vector]
        if other == row:
            return x
        moved, goal = applied(other) - x, wanted(row, x) - x
        size, whole = product(moved, moved), product(x, x)
        if not size > VANISHING**2 * max(whole, product(goal, goal)):
            step = f"step {base.step[row.vector]}"
            raise InputError("start", f"{step}: what the number multiplies vanishes", "samples on which it does not")
        value = product(moved, goal) / size
        if limits is not None:
            value = min(max(value, limits[0]), limits[1])
        left = goal - value * moved
        numbers[row.vector] = value
        distances[row.vector] = (product(goal, goal) ** 0.5, product(left, left) ** 0.5)
        return x + value * moved

    run_vectors(denoise, start, base, made)
    return numbers, distances
