"""The rows of a recorded run, solved by least squares: each state from an earlier one, outputs and noises.

A row has few terms, but which ones is not known. So models of growing size are fitted, and the smallest one that leaves
rounding only is taken: outputs of the last evaluations first, then those of any, added one at a time. The residual of a
fit is the rounding of the run, and with the conditioning of the fit it bounds the errors of the coefficients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

WINDOWS = (1, 2, 3, 4, 6, 8)  # numbers of last outputs
NOISES = 2  # noises before and after the last one that a row before has used
TERMS = 12  # that are added one at a time
FREE = 4  # components beyond the coefficients of a fit, below which its residual shows nothing
EXPLAINED = 4.0  # eps of the sum of absolute terms: residuals that rounding explains in any case
CANCELLED = 1e4  # times the state: larger sums of absolute terms explain no residual, for they fit anything
AS_GOOD = 3.0  # times the smallest residual of all models: as good a fit
SURE = 8.0  # standard errors: the bound on the error of a coefficient
SINGULAR = 1e-13  # of the largest singular value


@dataclass(frozen=True)
class SolvedRow:
    """coefficients, errors: by column of the design; zero for those that are not in the model.

    residual: the largest, over the largest entry of the state; None where there are as many coefficients as components.
    """

    coefficients: Tensor
    errors: Tensor
    residual: float | None


@dataclass(frozen=True)
class Design:
    """The columns that a row may be made from: bases, the states it may continue, noisiest last; outputs; noises.

    columns [n, d]; bases, outputs, noises: indices of them in the order of the run.  used: how many of the noises the
    rows before have used.
    """

    columns: Tensor
    bases: Sequence[int]
    outputs: Sequence[int]
    noises: Sequence[int]
    used: int


def solve(target: Tensor, design: Design, eps: float) -> SolvedRow:
    """The row of a state [d].  eps: of the dtype in which the run was computed."""
    fits = [_fit(target, design.columns, model, eps) for model in _windows(design)]
    if not _explained(fits, fits):
        fits += _one_at_a_time(target, design, eps)
    everything = [*design.bases[:1], *design.outputs, *design.noises]
    if len(everything) <= len(target):
        fits.append(_fit(target, design.columns, everything, eps))
    best = _explained(fits, fits) or fits[-1]
    row = _pruned(target, design.columns, best, eps)
    return replace(row, errors=_with_others(row, target, design, eps))


@dataclass(frozen=True)
class _Fit:
    """columns: of the model.  rms: of the residual over its degrees of freedom.  rounding: EXPLAINED of it."""

    columns: list[int]
    coefficients: Tensor
    errors: Tensor
    free: int
    rms: float
    rounding: float
    largest: float


def _explained(fits: Sequence[_Fit], among: Sequence[_Fit]) -> _Fit | None:
    """The first fit that leaves rounding only, or as little as the best of all."""
    for fit in fits:
        if fit.free >= FREE and fit.rms <= fit.rounding:
            return fit
    reached = [fit.rms for fit in among if fit.free >= FREE]
    least = min(reached, default=0.0)
    last = among[-1]
    if last.free >= FREE:  # every model was tried: the rounding is that of the best
        return next((fit for fit in fits if fit.free >= FREE and fit.rms <= AS_GOOD * least), None)
    return None


def _windows(design: Design) -> Iterator[list[int]]:
    """Models with the last outputs, from one state, then from two; with the noises next in order, then with all."""
    low, high = max(0, design.used - NOISES), design.used + NOISES
    drawn = [design.noises[low:high]] + ([design.noises] if len(design.noises) > high or low else [])
    seen: set[tuple[int, ...]] = set()
    for count in range(1, min(2, len(design.bases)) + 1):
        for noises in drawn:
            for window in WINDOWS:
                model = (*design.bases[:count], *design.outputs[-window:], *noises)
                if model not in seen and len(model) + FREE <= design.columns.shape[1]:
                    seen.add(model)
                    yield list(model)


def _one_at_a_time(target: Tensor, design: Design, eps: float) -> Iterator[_Fit]:
    """Models that grow by the column that lies nearest to what is left."""
    others = [*design.outputs, *design.noises]
    model = [*design.bases[:1]]
    fit = _fit(target, design.columns, model, eps)
    for _ in range(min(TERMS, len(others), len(target) - FREE - 1)):
        left = target - fit.coefficients @ design.columns
        rest = [j for j in others if j not in model]
        norms = design.columns[rest].norm(dim=1)
        along = (design.columns[rest] @ left).abs() / torch.where(norms > 0, norms, torch.inf)
        model = [*model, rest[int(along.argmax())]]
        fit = _fit(target, design.columns, model, eps)
        yield fit
        if fit.free >= FREE and fit.rms <= fit.rounding:
            return


def _fit(target: Tensor, columns: Tensor, model: list[int], eps: float) -> _Fit:
    """Least squares by singular values, of columns of equal norm."""
    chosen = columns[model]
    norms = chosen.norm(dim=1)
    norms = torch.where(norms > 0, norms, 1.0)
    u, s, vh = torch.linalg.svd((chosen / norms[:, None]).T, full_matrices=False)
    kept = s > SINGULAR * s[0]
    inverse = torch.where(kept, 1 / s.clamp(min=1e-300), 0.0)
    solution = vh.T @ (inverse * (u.T @ target)) / norms
    # Once more with what is left, so that the residual is the rounding of the run and not that of the fit.
    solution += vh.T @ (inverse * (u.T @ (target - solution @ chosen))) / norms
    # What is left, and what rounding leaves.
    terms = solution[:, None] * chosen
    left = target - terms.sum(dim=0)
    size = torch.maximum(terms.abs().sum(dim=0), target.abs())
    free = len(target) - int(kept.sum())
    rms = float(left.square().sum() / max(free, 1)) ** 0.5
    whole, own = (float(t.square().mean().sqrt()) for t in (size, target))
    rounding = EXPLAINED * eps * min(whole, CANCELLED * own)
    spread = (vh.T * inverse).norm(dim=1) / norms
    coefficients, errors = torch.zeros(2, len(columns), dtype=torch.float64)
    coefficients[model] = solution
    # A residual by chance below the rounding of one operation bounds nothing.
    errors[model] = SURE * spread * max(rms if free >= FREE else 0.0, rounding / (4 * EXPLAINED))
    largest = float(left.abs().max()) / max(float(target.abs().max()), 1e-300)
    return _Fit(model, coefficients, errors, free, rms, rounding, largest)


def _with_others(row: SolvedRow, target: Tensor, design: Design, eps: float) -> Tensor:
    """The errors of the row, with those of columns that are not in it: a column that nearly depends on those of the row
    could be in it as well.
    """
    inside = row.coefficients.nonzero()[:, 0].tolist()
    others = [j for j in (*design.outputs, *design.noises) if j not in inside]
    if not others or not inside:
        return row.errors
    chosen = design.columns[inside]
    basis = torch.linalg.qr((chosen / chosen.norm(dim=1, keepdim=True).clamp(min=1e-300)).T)[0]
    left = target - row.coefficients @ design.columns
    rounding = eps * max(float(target.square().mean().sqrt()), 1e-300)
    rms = max(float(left.square().mean().sqrt()), rounding / 4)
    columns = design.columns[others].T
    apart = (columns - basis @ (basis.T @ columns)).norm(dim=0)
    errors = row.errors.clone()
    errors[others] = torch.maximum(errors[others], SURE * rms / apart.clamp(min=1e-300))
    return errors


def _pruned(target: Tensor, columns: Tensor, fit: _Fit, eps: float) -> SolvedRow:
    """The row without coefficients that are zero to their errors, which stay errors of the row."""
    model, errors = [j for j in fit.columns if float(fit.coefficients[j].abs()) > float(fit.errors[j])], fit.errors
    if model and len(model) < len(fit.columns):
        smaller = _fit(target, columns, model, eps)
        if smaller.rms <= max(AS_GOOD * fit.rms, smaller.rounding):
            fit, errors = smaller, torch.maximum(errors, smaller.errors)
    return SolvedRow(fit.coefficients, errors, fit.largest if fit.free >= 1 else None)
