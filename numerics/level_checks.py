"""Checks on levels, for studies, `grids` and `verify`: each finding is a level, what it is, what it should be."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch

from .conformance.report import Finding
from .grid_kinds.flow_kinds import shifted
from .points import Point

GRID = "grid"  # the kind of all findings here
SAME_LEVEL = 1e-3  # two levels this close in lambda are the same for a model
MOST = 20.0  # |lambda| beyond which there is only data, or only noise
LINEAR = 1e-4  # of the largest: equal steps, up to single precision
FEWEST, FEWEST_WHOLE = 4, 8  # levels that are compared with a rounding, and with whole numbers
# Bits of a mantissa: a level that needs all but one of them is no short decimal.
ROUNDINGS = {"bfloat16": (torch.bfloat16, 8), "float16": (torch.float16, 11)}


class Trained(NamedTuple):
    """Lambda of the noisiest and of the cleanest level of a model; infinite where it is not known."""

    noisiest: float = -math.inf
    cleanest: float = math.inf


UNKNOWN = Trained()


def findings(
    points: Sequence[Point], process: str, trained: Trained = UNKNOWN, shift: float = 1.0, train: float = 1000.0
) -> list[Finding]:
    """All findings about the levels of one grid, noisy to clean.

    process: "ve" or "edm" (alpha = 1), "flow", or "vp".  trained: of the model.  shift: of the levels of the flow, 1
    for none; train: the number of levels that are shifted.  A last step of length zero is an error.
    """
    written = Written(process)
    return [
        *repeated(points, written),
        *rising(points, written),
        *first(points, trained, written),
        *beyond(points, trained, written),
        *rounded(written.of(points), written),
        *shifted_twice(written.of(points) if process == "flow" else [], shift, train),
    ]


class Written(NamedTuple):
    """How the levels of a process are written: sigma where alpha = 1 and on the flow, sigma/alpha elsewhere."""

    process: str

    @property
    def name(self) -> str:
        """What the numbers are."""
        return "sigma" if self.process in ("ve", "edm", "flow") else "sigma/alpha"

    def of(self, points: Iterable[Point]) -> list[float]:
        """The numbers."""
        if self.name == "sigma":
            return [p.sigma for p in points]
        return [p.rho for p in points]

    def at(self, lam: float) -> str:
        """The level of that lambda."""
        ratio = math.exp(-lam)
        return f"{self.name} = {ratio / (1 + ratio) if self.process == 'flow' else ratio:.6g}"

    def level(self, n: int, points: Sequence[Point]) -> str:
        """Level n in words."""
        return f"level {n} is {self.name} = {self.of(points[n : n + 1])[0]:.6g}"


def repeated(points: Sequence[Point], written: Written) -> list[Finding]:
    """Levels that are there twice; an error at the end, whose step is wasted."""
    last, side = len(points) - 1, "above" if points[-1].lam < points[0].lam else "below"
    return [
        Finding(
            GRID,
            n,
            f"step {n} has length zero: {written.level(n, points)}, as level {n - 1}; it should be {side}",
            "error" if n == last else "note",
        )
        for n in zero_length(points)
    ]


def rising(points: Sequence[Point], written: Written) -> list[Finding]:
    """Levels with more noise than the one before."""
    return [
        Finding(
            GRID,
            n,
            f"step {n} adds noise: {written.level(n, points)}; it should be below level {n - 1}, "
            f"{written.of(points[n - 1 : n])[0]:.6g}",
        )
        for n in backward(points)
    ]


def zero_length(points: Sequence[Point]) -> list[int]:
    """The steps that end where they start."""
    return [n for n, (a, b) in enumerate(pairwise(points), start=1) if a[:2] == b[:2]]


def backward(points: Sequence[Point]) -> list[int]:
    """The steps on which noise does not decrease."""
    return [n for n, (a, b) in enumerate(pairwise(points), start=1) if b.lam < a.lam or math.isnan(b.lam)]


def first(points: Sequence[Point], trained: Trained, written: Written, rounding: float = 0.0) -> list[Finding]:
    """A first level that is not the model's noisiest.  rounding: of its lambda."""
    if not points[0].lam > trained.noisiest + rounding + SAME_LEVEL or trained.noisiest == -math.inf:
        return []
    return [
        Finding(
            GRID,
            0,
            f"{written.level(0, points)}; it should be the noisiest that the model was trained on, "
            f"{written.at(trained.noisiest)}",
        )
    ]


def beyond(points: Sequence[Point], trained: Trained, written: Written) -> list[Finding]:
    """Levels outside of what the model was trained on; those of pure data and of pure noise are its ends."""
    noisy = [n for n, p in enumerate(points) if -MOST < p.lam < trained.noisiest - SAME_LEVEL]
    clean = [n for n, p in enumerate(points) if trained.cleanest + SAME_LEVEL < p.lam < MOST]
    found = []
    for levels, end, what in ((noisy, trained.noisiest, "noisiest"), (clean, trained.cleanest, "cleanest")):
        if levels and written.process != "flow":
            n = levels[0] if what == "noisiest" else levels[-1]
            others = f", as {len(levels) - 1} more" if len(levels) > 1 else ""
            allowed = f"the {what} that the model was trained on is {written.at(end)}"
            found.append(Finding(GRID, n, f"{written.level(n, points)}, outside{others}: {allowed}"))
    return found


def first_of_each(grids: Mapping[int, Sequence[Point]], process: str) -> list[Finding]:
    """A first level that depends on the number of steps.  grids: the levels of one kind by number of steps."""
    written = Written(process)
    lams = {steps: min(max(points[0].lam, -MOST), MOST) for steps, points in grids.items()}
    if not lams or max(lams.values()) - min(lams.values()) <= SAME_LEVEL:
        return []
    noisiest, cleanest = min(lams, key=lams.__getitem__), max(lams, key=lams.__getitem__)
    value = written.of([grids[noisiest][0]])[0]
    return [
        Finding(
            GRID,
            0,
            f"{written.level(0, grids[cleanest])} on {cleanest} steps, {value:.6g} on {noisiest}; it should not depend "
            "on the number of steps",
        )
    ]


def rounded(levels: Sequence[float], written: Written, exact: Sequence[float] | None = None) -> list[Finding]:
    """Levels that are rounded to another precision.

    exact: what they should be, where that is known: then a level is rounded that differs and is its rounding. Else all
    positive levels are numbers of a precision, at least a quarter of them of its full length, and not equally spaced,
    as such a grid may consist of short numbers.
    """
    if exact is not None:
        return _rounded_from(levels, exact, written)
    positive = [level for level in levels if 0 < level < math.inf]
    if len(positive) < FEWEST or _equal_steps(levels, 0.0):
        return []
    for name, (dtype, bits) in ROUNDINGS.items():
        representable = torch.tensor(positive, dtype=torch.float64).to(dtype).double().tolist() == positive
        long = sum(_bits(level) >= bits - 1 for level in positive)
        if not representable or 4 * long < len(positive):
            continue
        n = next(n for n, level in enumerate(levels) if 0 < level < math.inf and _bits(level) >= bits - 1)
        all_of = f"as all of them rounded to {name}; it should be in float32 or float64"
        return [Finding(GRID, n, f"level {n} is {written.name} = {levels[n]:.6g}, {all_of}")]
    if len(positive) >= FEWEST_WHOLE and all(level == round(level) for level in positive):
        return [Finding(GRID, 0, f"level 0 is {written.name} = {levels[0]:g}: all are whole numbers, perhaps rounded")]
    return []


def _rounded_from(levels: Sequence[float], exact: Sequence[float], written: Written) -> list[Finding]:
    off = [n for n, (a, b) in enumerate(zip(levels, exact, strict=True)) if not math.isclose(a, b, rel_tol=1e-6)]
    for name, rounding in ROUND.items():
        if off and all(math.isclose(a, rounding(b), rel_tol=1e-6) for a, b in zip(levels, exact, strict=True)):
            n, others = off[0], f", as {len(off) - 1} more" if len(off) > 1 else ""
            right = f"it should be {exact[n]:.6g}, which is rounded to {name}{others}"
            return [Finding(GRID, n, f"level {n} is {written.name} = {levels[n]:.6g}; {right}")]
    return []


ROUND: Mapping[str, Callable[[float], float]] = {
    "bfloat16": lambda level: float(torch.tensor(level, dtype=torch.float64).to(torch.bfloat16)),
    "float16": lambda level: float(torch.tensor(level, dtype=torch.float64).to(torch.float16)),
    "whole numbers": lambda level: float(round(level)) if math.isfinite(level) else level,
}


def _bits(level: float) -> int:
    """The bits of the mantissa of a number that are needed."""
    numerator = level.as_integer_ratio()[0]
    return numerator.bit_length() - ((numerator & -numerator).bit_length() - 1)


def shifted_twice(levels: Sequence[float], shift: float, train: float = 1000.0) -> list[Finding]:
    """Levels of the flow to which the shift is applied twice: to all of them, or to the cleanest before 0.

    Once unshifted, u = sigma / (shift - (shift - 1) sigma), levels that were equally spaced are so again; a cleanest
    one of shift / (train + shift - 1) is the shift of 1 / train, the cleanest of the model.
    """
    positive = [level for level in levels if level > 0]
    if shift == 1 or len(positive) < 3:
        return []
    once = [shifted(level, 1 / shift) for level in positive]
    twice = [shifted(level, 1 / shift) for level in once]
    if not _equal_steps(once, LINEAR) and _equal_steps(twice, LINEAR):
        n = len(positive) // 2
        detail = f"the shift is applied twice: level {n} is sigma = {positive[n]:.6g}; it should be {once[n]:.6g}"
        return [Finding(GRID, n, detail)]
    n = len(positive) - 1
    if _equal_steps(once, LINEAR) and math.isclose(once[n], shifted(1 / train, shift), rel_tol=1e-4):
        right = shifted(1 / train, shift)
        detail = f"the shift is applied twice to level {n}: it is sigma = {positive[n]:.6g} and should be {right:.6g}"
        return [Finding(GRID, n, detail)]
    return []


def _equal_steps(levels: Sequence[float], tolerance: float) -> bool:
    """Whether positive levels have equal distances, up to a share of the largest level."""
    positive = [level for level in levels if level > 0]
    steps = [a - b for a, b in pairwise(positive)]
    return max(steps) - min(steps) <= tolerance * max(positive) if steps else True
