"""Fit one number a step by least squares: the parameter of a record, or the number of a D-ODE solver over any table."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..catalogue import resolve
from ..coefficients import plan
from ..denoisers import DENOISER, Denoiser
from ..errors import InputError, of_type, runnable
from ..given_samples import check_samples
from ..grids import Grid
from ..records import GeneratedParameter, Record
from ..tableau import Tableau, assemble
from .fitted_rows import fit_rows
from .teacher_targets import Target


@dataclass(frozen=True)
class FittedSolver:
    """numbers: one a step, or one a row of a D-ODE solver; None where there is none, as in a first step.

    distances: (before, after) of every number: root mean square distance to the target with the record's default, or
    with no correction, and with the number fitted.  tableau: the solver with its numbers, for `sample`.
    """

    numbers: tuple[float | None, ...]
    distances: tuple[tuple[float, float] | None, ...]
    tableau: Tableau


def fit_one_parameter(
    name: str, denoise: Denoiser, grid: Grid, start: Tensor, target: Target, *, weights: Tensor | None = None
) -> FittedSolver:
    """The values of a method's parameter, one a step, that bring every step closest to a teacher, one after another:

        number_n = argmin E |x_{n+1}(number) - target(point_{n+1})|^2, x_n made by the steps fitted before,

    a linear least squares, as x_{n+1} is affine in the number.
    name: of a method with one parameter: `d-ddim`, whose gamma is 1 + lambda of the paper on D-ODE solvers.
    denoise: the model.  grid: of the run.  start [n, ...]: samples at the noisy end.
    target: a function of a point, as `techniques.exact_target` and `techniques.teacher_target` make it.
    weights: of the samples [n], equal if None. A number stays in its domain.
    Raises InputError on a method with another number of parameters, one in which a step is not affine, one with noise,
    and where the difference that the number multiplies vanishes.  Kim et al. 2024 (arXiv 2309.16421).

    >>> import samplerproof as sp
    >>> mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
    >>> grid = sp.grid(sp.schedule("vp-linear"), "uniform-t", 10, t_min=1e-3, t_max=1.0)
    >>> x = sp.metrics.nodes((mixture, grid.points[0]), 501)
    >>> target = sp.techniques.exact_target(mixture, x, grid.points[0])
    >>> weights = mixture.log_density(x, grid.points[0]).exp()
    >>> fitted = sp.fit_one_parameter("d-ddim", mixture, grid, x, target, weights=weights)
    >>> [None if number is None else round(number - 1, 2) for number in fitted.numbers]
    [None, 1.32, 1.5, 1.19, 1.03, 0.9, 0.81, 0.73, 0.58, 0.44]
    """
    record = resolve(name)
    of_type("grid", grid, Grid, "a grid, as sp.grid or sp.Grid.from_sigmas makes it")
    runnable("denoise", denoise, DENOISER)
    check_samples(start)
    if len(record.parameters) != 1 or record.stochastic:
        named = ", ".join(p.name for p in record.parameters) or "none"
        raise InputError("name", name, f"a method without noise that has one parameter; its parameters: {named}")
    (parameter,) = record.parameters
    low, high = span(parameter)
    base, unit, middle = (_table(record, parameter, grid, [v] * grid.steps) for v in (low, high, (low + high) / 2))
    _affine(name, base, unit, middle)
    size = high - low
    limits = ((float(parameter.low) - low) / size, (float(parameter.high) - low) / size)
    points = base.points
    found, distances = fit_rows(denoise, start, base, unit, lambda i: target(points[i]), weights, limits)
    numbers: list[float | None] = [None] * grid.steps
    before_after: list[tuple[float, float] | None] = [None] * grid.steps
    for vector, number in found.items():
        numbers[base.step[vector] - 1] = low + size * number
        before_after[base.step[vector] - 1] = distances[vector]
    table = _table(record, parameter, grid, [low if number is None else number for number in numbers])
    return FittedSolver(tuple(numbers), tuple(before_after), replace(table, method=f"{record.name}, fitted"))


def span(parameter: GeneratedParameter) -> tuple[float, float]:
    """Two values of a parameter: the ends of its domain, or its default and the next number."""
    low, high = float(parameter.low), float(parameter.high)
    if torch.isfinite(torch.tensor([low, high])).all() and parameter.closed:
        return low, high
    return float(parameter.default), float(parameter.default) + 1


def _table(record: Record, parameter: GeneratedParameter, grid: Grid, values: list[float]) -> Tableau:
    numbers = {parameter.name: torch.tensor(values, dtype=torch.float64)}
    return assemble(record, plan(record, grid), grid, numbers=numbers)


def _affine(name: str, base: Tableau, unit: Tableau, middle: Tableau) -> None:
    """Refuse tables that are not affine in the number, or in which a step depends on it in two rows."""
    same = base.points == unit.points == middle.points
    if same:
        for field in ("states", "outputs"):
            low, high, half = (getattr(t, field) for t in (base, unit, middle))
            same = same and bool(torch.allclose((low + high) / 2, half, rtol=1e-12, atol=1e-14))
    moved = ((base.states != unit.states).any(dim=1) | (base.outputs != unit.outputs).any(dim=1)).nonzero().flatten()
    steps = [base.step[base.given + int(row)] for row in moved]
    if not same or len(set(steps)) < len(steps):
        raise InputError("name", name, "a method whose step is affine in its parameter")
    if not steps:
        raise InputError("grid", f"{max(base.step)} steps", f"a run in which the parameter of {name} takes part")


def d_ode(
    tableau: Tableau, denoise: Denoiser, start: Tensor, target: Target, *, weights: Tensor | None = None
) -> FittedSolver:
    """A D-ODE solver over any table: every row from the second output on gains a fitted multiple of a difference,

        v_i <- v_i + number_i (d_j - d_k),  d_j, d_k the last two outputs before v_i,

    fitted row by row as in `fit_one_parameter`: D-DDIM over "ddim", D-EDM over "edm-heun", both as released but for the
    levels of their targets, which here are those of the vectors; the published DPM-Solvers up to the unit of a number.
    tableau: of a sampler without noise.  target: a function of a point; a stage needs it at its own level.
    Raises InputError where the last two outputs are the same.  Kim et al. 2024 (arXiv 2309.16421).
    """
    of_type("tableau", tableau, Tableau, "a table, as sp.tabulate(name, grid) makes it")
    runnable("denoise", denoise, DENOISER)
    check_samples(start)
    points = tableau.points
    vectors = range(tableau.given, len(points))
    unit = corrected(tableau, {i: 1.0 for i in vectors})
    found, distances = fit_rows(denoise, start, tableau, unit, lambda i: target(points[i]), weights)
    return FittedSolver(
        tuple(found.get(i) for i in vectors), tuple(distances.get(i) for i in vectors), corrected(tableau, found)
    )


def corrected(tableau: Tableau, numbers: dict[int, float]) -> Tableau:
    """The table with number_i (d_j - d_k) added to the row of every vector i, of the last two outputs before it.

    Rows before the second output, and those whose two outputs are of different predictions, stay as they are.
    """
    lags: list[tuple[int, int, int, float]] = []
    for i, number in numbers.items():
        before = [j for j in range(i) if tableau.evaluated[j]][-2:]
        if len(before) == 2 and len({tableau.prediction_at(j) for j in before}) == 1:
            lags.append((i - tableau.given, i - 1 - before[1], i - 1 - before[0], number))
    width = max([tableau.outputs.shape[1], *(last + 1 for *_, last, _ in lags)])
    outputs = torch.nn.functional.pad(tableau.outputs, (0, width - tableau.outputs.shape[1]))
    for row, newer, older, number in lags:
        outputs[row, newer] += number
        outputs[row, older] -= number
    return replace(tableau, method=f"D-ODE over {tableau.method}", outputs=outputs)
