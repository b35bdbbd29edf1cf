"""The levels that a discrete model was trained on, by index, and what lies between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from operator import mul

from ...names.lookup import Domain
from ..errors import InputError
from .flow_kinds import shifted
from .grid_kind import FLOW, RATIO, Values, between, integer, positive

BETAS = ("scaled-linear", "linear", "squaredcos", "flow")
LAST_OF_ZERO_SNR = 2.0**-24  # alpha^2 of the last level in diffusers, where it would be 0
LARGEST_BETA = 0.999

PARAMETERS = (
    Domain("betas", Fraction(0), Fraction(0), Fraction(len(BETAS) - 1), closed=True, words=BETAS),
    between("beta_start", Fraction(17, 20000), Fraction(0), Fraction(1)),
    between("beta_end", Fraction(3, 250), Fraction(0), Fraction(1)),
    integer("train", 1000, 2, 100_000),
    integer("zero_snr", 0, 0, 1),
    positive("shift", Fraction(1)),
)


class ModelLevels:
    """unit: RATIO, or FLOW.  sigmas: the level of every index, from clean to noisy; the model's clock is the index on
    betas, and on the flow 1 to `train`.
    """

    def __init__(self, unit: str, sigmas: Sequence[float], shift: float) -> None:
        self.unit, self.sigmas, self.shift = unit, sigmas, shift

    @cached_property
    def _logs(self) -> list[float]:
        if self.sigmas[0] == 0:
            raise InputError("grid.beta_start", 0.0, "a number > 0, between levels equal in log sigma")
        return [math.log(s) for s in self.sigmas]

    def linearly(self, index: float) -> float:
        """sigma between two levels, linear in the index."""
        return _between(self.sigmas, index)

    def geometrically(self, index: float) -> float:
        """sigma between two levels, log sigma linear in the index."""
        n = int(index)
        return self.sigmas[n] if n == index else math.exp(_between(self._logs, index))

    @property
    def clock(self) -> tuple[float, float]:
        """The model's clock at its noisiest and at its cleanest level."""
        count = len(self.sigmas)
        return (count * self.sigmas[-1], count * self.sigmas[0]) if self.unit == FLOW else (count - 1.0, 0.0)

    def at_clock(self, clock: float) -> float:
        """The level at a time of the model's clock; on the flow it is shifted there."""
        if self.unit == FLOW:
            return shifted(clock / len(self.sigmas), self.shift)
        return self.geometrically(clock)


def _between(values: Sequence[float], index: float) -> float:
    n = min(int(index), len(values) - 2)
    w = index - n
    return (1 - w) * values[n] + w * values[n + 1]


def model_levels(v: Values) -> ModelLevels:
    """The levels of a model from its parameters, those of PARAMETERS."""
    return _made(v["betas"], v["beta_start"], v["beta_end"], int(v["train"]), bool(v["zero_snr"]), v["shift"])


@lru_cache(maxsize=16)
def _made(betas: str, start: float, end: float, count: int, zero_snr: bool, shift: float) -> ModelLevels:
    if betas == "flow":
        return ModelLevels(FLOW, [shifted((k + 1) / count, shift) for k in range(count)], shift)
    bar = list(accumulate((1 - b for b in _betas(betas, start, end, count)), mul))
    if bar[0] == bar[-1]:
        raise InputError("grid.beta_end", end, "so large that the levels differ")
    if zero_snr:
        bar = _without_signal_at_the_end(bar)
    if not all(bar):
        raise InputError("grid.beta_end", end, f"so small that alpha > 0 at each of {count} levels")
    return ModelLevels(RATIO, [math.sqrt((1 - a) / a) for a in bar], 1.0)


def _betas(kind: str, start: float, end: float, count: int) -> list[float]:
    if kind == "squaredcos":
        kept = [math.cos((k / count + 0.008) / 1.008 * math.pi / 2) ** 2 for k in range(count + 1)]
        return [min(1 - b / a, LARGEST_BETA) for a, b in pairwise(kept)]
    power = 2 if kind == "scaled-linear" else 1
    first, last = start ** (1 / power), end ** (1 / power)
    return [(first + k / (count - 1) * (last - first)) ** power for k in range(count)]


def _without_signal_at_the_end(bar: list[float]) -> list[float]:
    """alpha^2 of every level, moved so that the first stays and the last has alpha = 0 (Lin et al. 2024, algorithm 1);
    the last is then given diffusers' smallest.
    """
    root = [math.sqrt(a) for a in bar]
    moved = [((r - root[-1]) * root[0] / (root[0] - root[-1])) ** 2 for r in root]
    return [*moved[:-1], LAST_OF_ZERO_SNR]
