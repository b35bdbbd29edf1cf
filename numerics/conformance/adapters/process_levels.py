"""The levels on which a function is run, on every process: sigma, whose ratio to alpha is what grids share."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from random import SystemRandom

import torch

from ...errors import InputError
from ...grids import Grid, grid
from ...points import Point
from ...schedules import schedule
from ..forward_processes import point
from ..placement import ENDS, PREFIX, SCHEDULES, Placement
from ..report import ANEW

Levels = Callable[[int], list[float]]  # steps -> steps + 1 levels sigma, noisiest first

ZERO = "karras levels with a 0 appended"
ONE_STEP = 1e-3
NOISIEST = 20.0  # sigma / alpha on vp of a function: beyond it 1 - sigma^2 has few digits in float32


def of_ratio(process: str, ratio: float) -> float:
    """sigma where sigma / alpha is `ratio`."""
    return {"ve": ratio, "vp": ratio / math.hypot(1, ratio), "flow": ratio / (1 + ratio)}[process]


def ratio_of(process: str, sigma: float) -> float:
    """sigma / alpha; infinite where alpha is 0."""
    alpha = {"ve": 1.0, "vp": math.sqrt(max((1 - sigma) * (1 + sigma), 0)), "flow": 1 - sigma}[process]
    return sigma / alpha if alpha > 0 else math.inf


def at_sigma(process: str, sigma: float) -> Point:
    """The point of a process at sigma."""
    alpha = {"ve": 1.0, "vp": math.sqrt(max((1 - sigma) * (1 + sigma), 0)), "flow": 1 - sigma}[process]
    return point(process, alpha, sigma)


def karras(steps: int, high: float = 80.0, low: float = 0.002) -> list[float]:
    """steps + 1 levels from high to low with rho = 7 (Karras et al. 2022, eq. 5), nothing appended."""
    return grid(schedule("edm"), "karras", steps, sigma_min=low, sigma_max=high, rho=7.0).columns.rho.tolist()


def exponential(steps: int) -> list[float]:
    """steps + 1 levels from 14.6 to 0.03, equally spaced in log sigma."""
    return torch.linspace(math.log(14.6), math.log(0.03), steps + 1, dtype=torch.float64).exp().tolist()


def uneven(steps: int, high: float = 80.0, low: float = 0.002) -> list[float]:
    """steps + 1 levels from high to low whose steps in log sigma differ by a factor of up to three."""
    drawn = 0.5 + torch.rand(steps, generator=torch.Generator().manual_seed(steps), dtype=torch.float64)
    share = torch.cat([torch.zeros(1, dtype=torch.float64), drawn.cumsum(0) / drawn.sum()])
    return (math.log(high) + share * math.log(low / high)).exp().tolist()


def to_zero(steps: int, high: float = 80.0, low: float = 0.002) -> list[float]:
    """steps + 1 levels: those of karras in one step fewer, with a 0 appended."""
    return [*(karras(steps - 1, high, low) if steps > 1 else [high]), 0.0]


def anew(steps: int, high: tuple[float, float] = (5.0, 160.0), low: tuple[float, float] = (0.002, 0.05)) -> list[float]:
    """steps + 1 levels whose ends and steps in log sigma, which differ by a factor of six, are drawn by the system."""
    random = SystemRandom()
    first, last = (math.log(a) + random.random() * math.log(b / a) for a, b in (high, low))
    shares = random.sample([0.5, 3.0, *(random.uniform(0.5, 3.0) for _ in range(max(steps - 2, 0)))], steps)
    return [math.exp(first + sum(shares[:n]) / sum(shares) * (last - first)) for n in range(steps + 1)]


GRIDS: dict[str, Levels] = {
    "levels from 14.6 to 0.03 equal in log sigma": exponential,
    "uneven levels from 80 to 0.002": uneven,
    ZERO: to_zero,
    ANEW: anew,
}


def own_levels(process: str) -> Levels:
    """The levels on which a function is judged; alpha = 1 - sigma^2 loses digits where there is little signal, so
    they begin at sigma / alpha = 14.6 on vp.
    """
    return _on(process, partial(karras, high=14.6, low=0.03) if process == "vp" else karras)


def other_levels(process: str) -> dict[str, Levels]:
    """Other levels, by name."""
    if process == "ve":
        return GRIDS
    ends = (14.6, 0.03) if process == "vp" else (80.0, 0.002)
    named: dict[str, Levels] = {
        "levels from 14.6 to 0.03 equal in log sigma / alpha": exponential,
        "levels uneven in log sigma / alpha": partial(uneven, high=ends[0], low=ends[1]),
        ZERO: partial(to_zero, high=ends[0], low=ends[1]),
        ANEW: partial(anew, high=(5.0, 14.0), low=(0.03, 0.1)) if process == "vp" else anew,
    }
    return {name: _on(process, ratios) for name, ratios in named.items()}


def _on(process: str, ratios: Levels) -> Levels:
    return lambda steps: [of_ratio(process, ratio) for ratio in ratios(steps)]


def grid_for(process: str, where: Placement, steps: int) -> Grid:
    """The grid of a placement on any number of steps.  Raises InputError where the process does not have its levels."""
    begin, asked = where.begins(steps), where.grid
    if asked is None:
        levels = own_levels(process)(steps)[begin:]
    elif isinstance(asked, tuple):
        ratios = asked if process != "flow" else tuple(ratio_of("flow", sigma) for sigma in asked)
        levels = [of_ratio(process, ratio) if ratio < math.inf else 1.0 for ratio in resampled(ratios, steps)[begin:]]
    else:
        on = schedule(SCHEDULES[process])
        kind, parameters = (asked, {}) if asked.startswith(PREFIX) else _parsed(asked, process)
        return _from(process, grid(on, kind, steps, **parameters), begin)
    return _of_levels(process, levels)


def _parsed(text: str, process: str) -> tuple[str, dict[str, float]]:
    from ...grid_kinds.all_kinds import parse

    return parse(text, ENDS[process])


def _from(process: str, found: Grid, begin: int) -> Grid:
    sigmas = [p.sigma if process != "ve" else p.rho for p in found.points]
    return _of_levels(process, sigmas[begin:])


def _of_levels(process: str, levels: list[float]) -> Grid:
    if len(levels) < 2:
        raise InputError("begin", "no step left", "the index of a level before the last")
    if process == "vp" and ratio_of("vp", levels[0]) > NOISIEST:
        most = f"levels with sigma / alpha at most {NOISIEST:g}, as a function computes alpha from sigma"
        raise InputError("grid", f"sigma = {levels[0]:.9g}", most)
    from ..forward_processes import grid_of

    return grid_of(process, [at_sigma(process, sigma) for sigma in levels])


def resampled(ratios: tuple[float, ...], steps: int) -> list[float]:
    """Levels on another number of steps: on their own number these; else log sigma linear between them, and a last 0
    kept, before which the levels of one step fall to ONE_STEP of its first.
    """
    if steps == len(ratios) - 1:
        return list(ratios)
    if ratios[-1] == 0:
        above = ratios[:-1] if len(ratios) > 2 else (ratios[0], ONE_STEP * ratios[0])
        return [*(resampled(above, steps - 1) if steps > 1 else [ratios[0]]), 0.0]
    finite = [min(ratio, 1e6) for ratio in ratios]
    places = [n * (len(finite) - 1) / steps for n in range(steps + 1)]
    found = []
    for place in places:
        n = min(int(place), len(finite) - 2)
        a, b = math.log(finite[n]), math.log(finite[n + 1])
        found.append(math.exp(a + (place - n) * (b - a)))
    return [finite[0], *found[1:-1], finite[-1]]
