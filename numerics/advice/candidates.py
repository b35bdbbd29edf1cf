"""The candidates of an advice: every deterministic record of the catalogue on every kind of grid, between given ends.

A grid of a kind that has ends takes those of the recording. Other kinds, published lists and the levels of discrete
models, keep their spacing: their lambda is stretched to the ends, affinely.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..catalogue import METHODS
from ..errors import InputError
from ..grid_kinds.all_kinds import spelled
from ..grids import Grid, grid
from ..points import Point
from ..schedules import Schedule
from ..tableau import Tableau, tabulate_all
from .recording import ended

# Exponents and shifts in use, from even steps in sigma (1) to even steps in lambda.
KARRAS = (1.5, 2, 3, 4, 5, 6, 7, 8, 10, 15)
TANGENT = (0.25, 0.5, 1, 2)
SHIFTS = (1, 2, 3, 5)
POLYEXPONENTIAL = (0.7, 0.85, 1.2, 1.5)
STRETCHED: tuple[tuple[str, Mapping[str, Any]], ...] = (
    *((name, {}) for name in ("ays-sd1", "ays-sdxl", "ays-svd", "oss-flux")),
    *(("gits", {"coeff": coeff}) for coeff in (1.0, 1.2, 1.4)),
    ("linspace", {"zero": 0}),
    ("beta-levels", {"zero": 0}),
)


@dataclass(frozen=True)
class Levels:
    """The levels of a kind between two ends.  stretched: whether its own levels were stretched to them."""

    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    stretched: bool = False

    @property
    def name(self) -> str:
        """The kind and what was chosen of it, without its ends."""
        return spelled(self.kind, {key: value for key, value in self.parameters.items() if key not in OWN_ENDS})

    def grid(self, schedule: Schedule, begin: Point, end: Point, steps: int) -> Grid:
        """The grid from begin to end.  Raises InputError where the kind has none of this length."""
        made = grid(schedule, self.kind, steps, **self.parameters)
        if not self.stretched:
            return ended(schedule, made.columns.t, begin, end)
        lam = made.columns.lam
        lam = begin.lam + (lam - lam[0]) * ((end.lam - begin.lam) / (lam[-1] - lam[0]))
        return ended(schedule, schedule.time(lam), begin, end)


OWN_ENDS = frozenset({"t_min", "t_max", "sigma_min", "sigma_max", "zero"})


def kinds_of_levels(schedule: Schedule, begin: Point, end: Point) -> Iterator[Levels]:
    """All kinds of levels that are tried between two points of a schedule."""
    times = {"t_min": end.t, "t_max": begin.t}
    ratios = {"sigma_min": end.sigma / end.alpha, "sigma_max": begin.sigma / begin.alpha}
    yield from (Levels("karras", {**ratios, "rho": rho}) for rho in KARRAS)
    yield Levels("uniform-lambda", times)
    if schedule.kind not in ("edm", "ve"):  # there uniform-sigma
        yield Levels("uniform-t", times)
    own = ratios
    if schedule.kind == "flow":
        own = {"sigma_min": end.sigma, "sigma_max": begin.sigma}
        yield Levels("uniform-log-sigma", own)
    else:
        yield from (Levels("polyexponential", {**own, "rho": rho}) for rho in POLYEXPONENTIAL)
    yield Levels("kl-optimal", own)
    yield Levels("beta", own)
    yield from (Levels("tangent", {**ratios, "scale": scale}) for scale in TANGENT)
    yield from (Levels("elbo", {**ratios, "std": std}) for std in (0.5, 1.0))
    for shift in SHIFTS:
        ends = {name: _unshifted(p, shift) for name, p in (("t_min", end), ("t_max", begin))}
        yield Levels("flow", {"shift": shift, **ends})
    yield from (Levels(kind, parameters, stretched=True) for kind, parameters in STRETCHED)


def _unshifted(at: Point, shift: float) -> float:
    """The level of the flow that the shift leads to the point."""
    sigma = at.sigma / (at.alpha + at.sigma)
    return sigma / (shift - (shift - 1) * sigma)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A method on levels, with its table.  levels: their name.  grid, named: of a method of the catalogue."""

    method: str
    levels: str
    table: Tableau
    grid: Grid | None = None
    named: Levels | None = None


def candidates(schedule: Schedule, begin: Point, end: Point, nfe: int) -> Iterator[Candidate]:
    """Every deterministic record on every kind of levels, with the most steps that at most `nfe` evaluations allow.

    Records that a grid cannot take are left out, and so are levels that the kind or the schedule does not have.
    """
    kinds, grids = list(kinds_of_levels(schedule, begin, end)), dict[tuple[int, int], Grid | None]()

    def made(n: int, steps: int) -> Grid | None:
        if (n, steps) not in grids:
            try:
                grids[n, steps] = kinds[n].grid(schedule, begin, end, steps)
            except InputError:
                grids[n, steps] = None
        return grids[n, steps]

    for record in METHODS.values():
        if record.stochastic:
            continue
        left = list(range(len(kinds)))
        several = record.nfe_per_step > 1  # the last step may take fewer, as it is not corrected
        for steps in range(nfe // record.nfe_per_step + several, 0, -1):
            tried = {n: grid for n in left if (grid := made(n, steps)) is not None}
            left = []  # the kinds on which this number of steps takes too many evaluations
            for (n, grid), table in zip(tried.items(), tabulate_all(record.name, list(tried.values())), strict=True):
                if isinstance(table, Tableau) and table.nfe <= nfe:
                    yield Candidate(record.name, kinds[n].name, table, grid, kinds[n])
                elif isinstance(table, Tableau):
                    left.append(n)
