"""Runs of splitting integrators of phase space, with any score."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import torch
from torch import Tensor

from ..covariance_factor import covariance_factor
from ..errors import InputError, SamplingError, of_type, runnable
from ..grids import Grid
from ..noise import NoiseSource
from .phase_process import PhaseSpace, acted, clock_of
from .splitting_records import Part, Splitting, Substep, parts_of, splitting

STATES = "states [n, 2 d], x before m"
Score = Callable[[Tensor, float], Tensor]  # states [n, 2 d] and b -> the gradient of log p in (x, m)


def split(
    space: PhaseSpace,
    score: Score,
    z: Tensor,
    clock: Grid | Iterable[float],
    name: str | Splitting,
    noise: NoiseSource | None = None,
) -> Tensor:
    """A splitting integrator from the first to the last b of a clock: states [n, 2 d], x before m -> [n, 2 d].

        A: x' = K_x z + (c/2) gamma s_x,    K_x z = (c/2) gamma x - m/(2M)
        B: m' = K_m z + (c/2) M nu s_m,     K_m z = x/2 + (c/2) nu m

    in the clock b, where b falls by beta h in a step of constant beta: c = 1 for the probability-flow equation and 2
    for the stochastic one, with O: x' = -gamma x/2, m' = -nu m/2 and their noises.
    score: a PhaseMixture, or a model.  name: a key of SPLITTINGS, or a Splitting of your own.  noise: as in sp.sample,
    for stochastic ones.
    Raises InputError on an unknown name, a clock that does not fall, and a stochastic integrator without noise,
    SamplingError on a score of another shape or with values that are not finite.
    Pandey, Rudolph and Mandt 2024 (arXiv 2310.07894); the updates inside a step are our reading of their names.
    """
    of_type("space", space, PhaseSpace, "a PhaseSpace")
    runnable("score", score, "a function of (states [n, 2 d], b) with the score, such as a PhaseMixture")
    chosen, levels = splitting(name), clock_of(clock)
    check_states(z)
    if chosen.stochastic and noise is None:
        raise InputError("noise", noise, f"a source of noise, such as sp.seeded(0): {chosen.name} is stochastic")
    parts, draws = parts_of(space, chosen.stochastic), 0
    for b, to in pairwise(levels):
        kept = torch.zeros_like(z)
        for substep in chosen.substeps:
            part, length = parts[substep.part], substep.share * (b - to)
            if part.score.any():
                asked = b + substep.at * (to - b)
                z, kept = _scored(part, substep, score, z, kept, asked, length)
            if part.noise.any():
                assert noise is not None
                drawn, draws = noise(z, draws), draws + 1
                z = _noised(space, part, z, drawn, length)
    return z


def check_states(z: object) -> None:
    """Raises InputError on what is no tensor of states."""
    of_type("z", z, Tensor, STATES)
    assert isinstance(z, Tensor)
    if z.ndim < 1 or z.shape[-1] % 2 or not z.shape[-1]:
        raise InputError("z", list(z.shape), STATES)


def score_at(score: Score, z: Tensor, b: float) -> Tensor:
    """The score of states at b.  Raises SamplingError on another shape and on values that are not finite."""
    found = score(z, b)
    if not isinstance(found, Tensor) or found.shape != z.shape:
        got = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise SamplingError(f"the score at b = {b:.6g} has the shape {got}, the states have {list(z.shape)}")
    if not bool(found.isfinite().all()):
        raise SamplingError(f"the score at b = {b:.6g} is not finite")
    return found


def _scored(
    part: Part, substep: Substep, score: Score, z: Tensor, kept: Tensor, b: float, length: float
) -> tuple[Tensor, Tensor]:
    """Euler's step or the midpoint rule of a part, and the score that it was made with."""
    s = kept if substep.kept else score_at(score, z, b)
    rate = acted(part.linear, z) + acted(part.score, s)
    if substep.midpoint:
        middle = z + length / 2 * rate
        s = score_at(score, middle, b)
        rate = acted(part.linear, middle) + acted(part.score, s)
    return z + length * rate, s


def _noised(space: PhaseSpace, part: Part, z: Tensor, drawn: Tensor, length: float) -> Tensor:
    """The noise of a part: with its exact flow, under which diag(1, M) is stationary, or with Euler's step."""
    if part.score.any():
        return z + acted((length * part.noise).sqrt(), drawn)
    flow = torch.linalg.matrix_exp(length * part.linear)
    covariance = space.stationary - flow @ space.stationary @ flow.T
    return acted(flow, z) + acted(covariance_factor(covariance), drawn)
