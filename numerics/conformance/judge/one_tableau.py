"""The tableau of a run that equals no record, where every step is the same explicit Runge-Kutta method."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...denoisers import parts
from ...readback import Trace
from ..report import Finding
from .fitted_parameters import written
from .rescaled import rescaled

SAME = 1e-9  # of a coefficient from step to step, and of what a row leaves
CLOCKS = {"flow": "velocities of the flow", "ratio": "noise predictions over sigma/alpha"}


def runge_kutta(run: Trace, process: str) -> list[Finding]:
    """A note with the tableau (c, A, b) of a run in float64; empty where there is none.

    The equation is dx/dsigma = eps - x0 on the flow, or d(x/alpha)/d(sigma/alpha) = eps. A step of fewer evaluations
    than the others, as to sigma = 0, is left out.
    """
    if run.apart or bool(run.vectors[:, 1 + run.nfe :].any()):
        return []
    on_flow = run if process == "flow" else None
    if process == "ve" and run.prediction == "data":
        on_flow = rescaled(run, "flow")
    for clock, there in (("ratio", run), ("flow", on_flow)):
        found = _tableau(there, clock) if there is not None else None
        if found is not None:
            return [Finding("formula", None, _in_words(found, clock))]
    return []


def _in_words(rows: Sequence[Sequence[float]], clock: str) -> str:
    """The tableau with rows (a_1, …, c), of which the last has b."""
    *stages, last = [[0.0] * len(rows[0]), *rows]
    c = ", ".join(written(row[-1]) for row in stages)
    matrix = "; ".join(", ".join(map(written, row[:k])) for k, row in enumerate(stages) if k)
    file = 'of a file with form = "butcher", A and b'
    return (
        f"every step is one Runge-Kutta method for {CLOCKS[clock]}: c = {c}; A = {matrix}; b = "
        f"{', '.join(map(written, last[:-1]))}; samplerproof prove --tableau proves the order {file}"
    )


def _tableau(run: Trace, clock: str) -> list[list[float]] | None:
    """The rows (a_1, …, c) of the stages after the first and of the update; None where steps differ, have one stage, or
    use more than their own start and outputs.
    """
    if run.step[0] > 0 or (clock == "ratio" and any(p.alpha <= 0 for p in run.points)):
        return None
    steps, at = len(run.grid) - 1, _clock(run, clock)
    first = [max(i for i, to in enumerate(run.step) if to <= n) for n in range(steps)]
    inside = [[i, *(j for j, to in enumerate(run.step) if to == n + 1)] for n, i in enumerate(first)]
    whole = max(map(len, inside))
    if whole < 3:
        return None
    states, slopes = _states_and_slopes(run, clock)
    seen: list[Tensor] = []
    for vectors in inside:
        if len(vectors) < whole or not all(run.evaluated[i] for i in vectors[:-1]):
            continue
        start, h = vectors[0], at[vectors[-1]] - at[vectors[0]]
        rows = torch.zeros(whole - 1, whole, dtype=torch.float64)
        for k, i in enumerate(vectors[1:], start=1):
            used, moved = slopes[vectors[:k]], states[i] - states[start]
            weights = torch.linalg.lstsq(used.T, moved[:, None]).solution[:, 0]
            if not float((weights @ used - moved).abs().max()) <= SAME * float(moved.abs().max()):
                return None
            rows[k - 1, :k] = weights / h
            rows[k - 1, -1] = (at[i] - at[start]) / h
        seen.append(rows)
    same = len(seen) >= 2 and all(float((rows - seen[0]).abs().max()) <= SAME for rows in seen)
    return seen[0].tolist() if same else None


def _clock(run: Trace, clock: str) -> list[float]:
    return [p.sigma if clock == "flow" else p.rho for p in run.points]


def _states_and_slopes(run: Trace, clock: str) -> tuple[Tensor, Tensor]:
    """The states that move, and their derivative at every vector where the model is evaluated, as images [V, W]."""
    states, slopes = run.vectors.clone(), torch.zeros_like(run.vectors)
    made = 0
    for i, p in enumerate(run.points):
        if clock == "ratio":
            states[i] /= p.alpha
        if not run.evaluated[i]:
            continue
        made += 1
        output = torch.zeros(run.vectors.shape[1], dtype=torch.float64)
        output[made] = 1
        clean, noisy = parts(run.prediction, p)  # the output is clean x0 + noisy eps, the state alpha x0 + sigma eps
        whole = p.alpha * noisy - p.sigma * clean
        data = (noisy * run.vectors[i] - p.sigma * output) / whole
        noise = (p.alpha * output - clean * run.vectors[i]) / whole
        slopes[i] = noise - data if clock == "flow" else noise
    return states, slopes
