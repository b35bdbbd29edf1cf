"""Stability of guided sampling: one step of a real table on a denoiser with a constant gain.

Test denoiser: x0hat = g y, with y = x/alpha. With it x/sigma solves dz/dlambda = g z, and y decays like
e^{-(1-g) lambda}. g = 1 is a vector that is clean already, 0 < g < 1 a Gaussian. Guidance with scale s between a
conditional gain g_c and an unconditional g_u makes g = g_u + s (g_c - g_u), which grows without bound in s: where the
condition narrows the posterior (g_c < g_u) the equation becomes stiff, and the usable step decreases like 1/s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from scipy.optimize import brentq
from torch import Tensor

from .catalogue import resolve
from .denoisers import convert
from .errors import InputError, positive
from .grids import from_times
from .points import Point
from .schedules import schedule
from .tableau import tabulate

LONGEST = 16.0  # in lambda: more than the whole noise range of common samplers
APART = 1.15
SCANNED = [LONGEST * APART**-k for k in range(52, -1, -1)]  # from 0.011
WITHOUT = 6  # scanned steps in a row without growth: a factor of 2.3
SHORTEST = 1e-8
ROUNDING = 1e-9  # a growth of 1 is computed a little above 1


class StepMap(NamedTuple):
    """The rows of one interior step: states, outputs [R, L] over lags, and the points of the vectors used [R][L]."""

    prediction: str
    states: Tensor
    outputs: Tensor
    seen: tuple[tuple[Point, ...], ...]

    def matrices(self, gains: Tensor) -> Tensor:
        """The map of the last L vectors over a step for every gain: [G] -> [G, L, L], complex128."""
        lags, made = self.states.shape[1], torch.eye(self.states.shape[1], dtype=torch.complex128)
        total = made.expand(len(gains), lags, lags)
        for states, outputs, seen in zip(self.states, self.outputs, self.seen, strict=True):
            asked = [convert(torch.ones_like(gains), gains, at, "data", self.prediction) for at in seen]
            new = (states + outputs * torch.stack(asked, dim=1))[:, None] @ total
            total = torch.cat([new, total[:, :-1]], dim=1)
        return total


@lru_cache(maxsize=4096)
def step_map(method: str, h: float) -> StepMap:
    """A late interior step of a method's table, on a grid uniform in lambda with step h > 0, alpha = 1.

    Late: every vector that it uses was made by the same rows. On such a grid all these steps are the same map of y,
    except for methods whose weights depend on t or alpha (lambda-ddim, li-code-accelerated-ode).
    Raises InputError on an unknown method and on h that is not positive and finite.
    """
    record = resolve(method)
    positive("h", h, "a step in lambda, positive and finite")
    steps = 2 * record.history + 3
    times = torch.exp(-h * torch.arange(steps + 1, dtype=torch.float64))
    table = tabulate(method, from_times(schedule("edm"), times), "exact")
    lags = max(table.states.shape[1], table.outputs.shape[1])
    rows = range((record.history + 1) * len(record.rows), (record.history + 2) * len(record.rows))

    def padded(part: Tensor) -> Tensor:
        return torch.nn.functional.pad(part[rows.start : rows.stop], (0, lags - part.shape[1]))

    seen = tuple(tuple(table.points[table.given + i - 1 - k] for k in range(lags)) for i in rows)
    return StepMap(table.prediction, padded(table.states), padded(table.outputs), seen)


def growth(method: str, h: float, gains: Sequence[complex] | Tensor) -> Tensor:
    """R(h, g): the asymptotic growth of y = x/alpha over a step h in lambda; [G] -> [G] float64.

    The spectral radius of the step map.  gains may be complex.  Raises InputError as step_map does.
    """
    return _radius(step_map(method, h), torch.as_tensor(gains, dtype=torch.complex128))


def _radius(step: StepMap, gains: Tensor) -> Tensor:
    radius: Tensor = torch.linalg.eigvals(step.matrices(gains)).abs().amax(dim=1)
    return radius


def usable_steps(method: str, gains: Sequence[float]) -> list[float]:
    """For every real gain g <= 1 the largest H such that R(h, g) <= 1 for h <= H: [G] -> [G].

    inf if no step up to 16 grows, 0 if steps of 1e-8 do; the first crossing is located among steps 15 % apart and
    solved for to 1e-8.  Raises InputError on an unknown method and on gains that are above 1 or not finite.
    """
    for g in gains:
        if not -math.inf < g <= 1:
            raise InputError("gains", g, "a finite gain of at most 1: beyond it the exact solution grows as well")
    table = torch.stack([growth(method, h, gains) for h in SCANNED], dim=1)
    return [_crossing(method, g, radii) for g, radii in zip(gains, table, strict=True)]


def _crossing(method: str, gain: float, radii: Tensor) -> float:
    grows = (radii > 1 + ROUNDING).nonzero()
    if not len(grows):
        return math.inf

    def excess(h: float) -> float:
        return float(growth(method, h, [gain])) - 1 - ROUNDING

    first = int(grows[0])
    if first > 0:
        below, above = SCANNED[first - 1], SCANNED[first]
    else:  # at shorter steps than those scanned; a few that do not grow may be between two that do
        above, shorter, h = SCANNED[0], 0, SCANNED[0]
        while shorter < WITHOUT:
            h /= APART
            if h < SHORTEST:
                return 0.0
            above, shorter = (h, 0) if excess(h) > 0 else (above, shorter + 1)
        below = above / APART
    return float(brentq(excess, below, above, xtol=1e-12, rtol=1e-8))


def guided_gain(conditional: float, unconditional: float, scale: float) -> float:
    """g = g_u + s (g_c - g_u), the gain of guidance with scale s."""
    return unconditional + scale * (conditional - unconditional)
