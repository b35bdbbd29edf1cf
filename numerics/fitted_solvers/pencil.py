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
from ..inversion.backward_steps import Row, rows_of
from ..sample import check_output
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
    vectors, outputs = [start.to(torch.float64)], dict[int, Tensor]()

    def applied(row: Row) -> Tensor:
        total = torch.zeros_like(vectors[0])
        for j, c in row.states.items():
            total = total + c * vectors[j]
        for j, w in row.outputs.items():
            if j not in outputs:
                d = denoise(vectors[j], tableau.points[j], tableau.prediction_at(j))
                check_output(d, vectors[0].shape, tableau.step[j], tableau.points[j].t, checked=True)
                outputs[j] = d.to(torch.float64)
            total = total + w * outputs[j]
        return total

    for row in rows_of(tableau):
        vectors.append(applied(row) if made is None else made(row, applied))
    return vectors


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
    Raises InputError where the difference that a number multiplies vanishes: any number fits.
    """
    share = checked_weights(start, weights)
    changed = {row.vector: row for row in rows_of(unit)}
    numbers, distances = dict[int, float](), dict[int, tuple[float, float]]()

    def product(a: Tensor, b: Tensor) -> float:
        return float((a * b).flatten(1).mean(dim=1) @ share)

    def made(row: Row, applied: Callable[[Row], Tensor]) -> Tensor:
        x, other = applied(row), changed[row.vector]
        if other == row:
            return x
        moved, goal = applied(other) - x, target(row.vector).to(torch.float64) - x
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


def checked_weights(start: Tensor, weights: Tensor | None) -> Tensor:
    """Weights [n] of samples [n, ...] with the sum 1.  Raises InputError on another shape, negative ones and sum 0."""
    if weights is None:
        return torch.full(start.shape[:1], 1 / len(start), dtype=torch.float64)
    if weights.shape != start.shape[:1]:
        raise InputError("weights", list(weights.shape), f"the shape {list(start.shape[:1])}, one a sample")
    total = float(weights.sum())
    if not (bool((weights >= 0).all()) and 0 < total < float("inf")):
        raise InputError("weights", "a negative one, or a sum that is not positive", "weights >= 0, not all 0")
    return weights.to(torch.float64) / total
