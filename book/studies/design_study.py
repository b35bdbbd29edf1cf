"""Designed tables against the catalogue: on held-out random mixtures, and on the project's networks.

What is held out is drawn by a seed that nobody chose, the hash of the commit that the code is at. Records get their
best levels on the very samples that they are judged on, which flatters them; the designed table sees none of these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ...numerics.advice.advice_targets import question
from ...numerics.advice.recording import record
from ...numerics.design.designed import ENOUGH, designed
from ...numerics.design.rivals import RECORDS, grids_between, middle, rms
from ...numerics.errors import InputError, SamplingError
from ...numerics.sample import sample
from ...numerics.schedules import Schedule, schedule
from ...numerics.tableau import Tableau, tabulate
from ...numerics.targets.mixture import GaussianMixture

STEPS = (5, 8, 10, 15)
DIMENSIONS = (1, 2, 8)
COMPONENTS = (5, 8, 16)  # of the mixtures, one each
EDM, VP = schedule("edm"), schedule("vp-linear")
LEVELS = (14.615, 0.0292)  # sigma of the ends for mixtures, those of a widely used latent model
TIMES = (1.0, 4e-3)  # the ends for networks, in the time of vp-linear: lambda from -5 to 3.7
STARTS = {"mixtures": 128, "rings": 64, "digits": 32, "photos": 16}
FEW = {"mixtures": 32, "rings": 16, "digits": 4, "photos": 4}  # by which records are sorted out
FINALISTS = 30
JUDGED = (
    *RECORDS,
    "unipc-2-vary-published",
    "gradient-estimation",
    "exp-adams-noise-3",
    "deis-rhoab3",
    "deis-tab2",
)
FINE = 240  # steps of the reference
COMPARED = ("dpm-solver++-2m", "unipc-2", "unipc-3")
STATISTICS: Mapping[str, Callable[[Tensor], float]] = {
    "middle": middle,
    "median": lambda sizes: float(sizes.median()),
    "rms": lambda sizes: float(sizes.square().mean().sqrt()),
}
Run = Callable[[Tableau], Tensor]


@dataclass(frozen=True)
class Case:
    """A target, or the random mixtures of a dimension, and the evaluations of a run."""

    target: str
    nfe: int
    dim: int = 0

    @property
    def name(self) -> str:
        return f"{self.target}-{self.dim}-{self.nfe}" if self.dim else f"{self.target}-{self.nfe}"


CASES = {
    case.name: case
    for nfe in STEPS
    for case in (
        *(Case("mixtures", nfe, dim) for dim in DIMENSIONS),
        *(Case(network, nfe) for network in ("rings", "digits", "photos")),
    )
}


def measure_case(case: Case, seed: int) -> dict[str, Any]:
    """Design for every target of a case, and measure records beside it on fresh starts.

    Returns {"seed", "targets", "starts", "evaluations", "digits", "growth", "errors"}, the last {statistic:
    {"designed", "best", "record", of COMPARED each}}, geometric means over the targets, "record" the name of the best.
    """
    targets: list[GaussianMixture | str] = [case.target]
    if case.dim:
        targets = [random_mixture(case.dim, k, seed) for k in COMPONENTS]
    process, ends = (EDM, LEVELS) if case.dim else (VP, TIMES)
    found: list[dict[str, dict[tuple[str, str], float]]] = []
    facts: list[tuple[int, float, float]] = []
    for number, target in enumerate(targets):
        asked = question(target, process, case.nfe, begin=ends[0], end=ends[1], budget=ENOUGH, seed=seed + number)
        made = designed(asked)
        facts.append((made.evaluations, made.proved.digits, made.proved.growth))
        generator = torch.Generator().manual_seed(seed + 1000 + number)
        noise = torch.randn(STARTS[case.target], *asked.shape, generator=generator, dtype=torch.float64)
        start = process.prior_std(asked.begin) * noise
        end = record(asked.denoise, process, asked.begin, asked.end, start, steps=FINE).states[-1]

        def run(table: Tableau, count: int, asked: Any = asked, start: Tensor = start, end: Tensor = end) -> Tensor:
            try:
                off = sample(asked.denoise, start[:count], table) - end[:count]
            except SamplingError:
                return torch.tensor([math.inf], dtype=torch.float64)
            return rms(off / asked.end.alpha)

        few, all_of = FEW[case.target], len(start)
        tables = _tables(process, ends, case.nfe)
        sizes = {key: run(table, few) for key, table in tables.items()}
        ranked = sorted(sizes, key=lambda key: middle(sizes[key]))
        kept = {*ranked[:FINALISTS], *(key for key in ranked if key[0] in COMPARED)}
        full = {key: run(tables[key], all_of) for key in kept} | {("designed", ""): run(made.designed.table, all_of)}
        found.append({name: {key: of(value) for key, value in full.items()} for name, of in STATISTICS.items()})
    evaluations, digits, growth = zip(*facts, strict=True)
    return {
        "seed": seed,
        "targets": len(targets),
        "starts": STARTS[case.target],
        "evaluations": max(evaluations),
        "digits": max(digits),
        "growth": max(growth),
        "errors": {name: _summary([of[name] for of in found]) for name in STATISTICS},
    }


def _summary(found: Sequence[Mapping[tuple[str, str], float]]) -> dict[str, Any]:
    """Geometric means over targets; a record is on the levels that are best over all of them."""
    common = set.intersection(*(set(one) for one in found))
    means = {key: math.exp(math.fsum(math.log(one[key]) for one in found) / len(found)) for key in common}
    records = {key: value for key, value in means.items() if key[0] != "designed" and math.isfinite(value)}
    best = min(records, key=lambda key: records[key])

    def least(method: str) -> float | None:
        return min((value for key, value in records.items() if key[0] == method), default=None)

    named = {method: least(method) for method in COMPARED}
    return {"designed": means["designed", ""], "best": records[best], "record": f"{best[0]} on {best[1]}", **named}


@lru_cache(maxsize=1)
def _tables(process: Schedule, ends: tuple[float, float], nfe: int) -> Mapping[tuple[str, str], Tableau]:
    """The tables of JUDGED on all kinds of levels."""
    found: dict[tuple[str, str], Tableau] = {}
    for levels, grid in grids_between(process, process.point(ends[0]), process.point(ends[1]), nfe):
        for method in JUDGED:
            with suppress(InputError):
                found[method, levels.name] = tabulate(method, grid)
    return found


def random_mixture(dim: int, components: int, seed: int) -> GaussianMixture:
    """A mixture with unit variance a coordinate: normal means, deviations from 0.05 to 0.4 before scaling."""
    generator = torch.Generator().manual_seed(seed + 100 * dim + components)
    weights = torch.rand(components, generator=generator, dtype=torch.float64) + 0.3
    weights = weights / weights.sum()
    means = torch.randn(components, dim, generator=generator, dtype=torch.float64)
    stds = 0.05 + 0.35 * torch.rand(components, generator=generator, dtype=torch.float64)
    means = means - weights @ means
    scale = float(weights @ (means.square().mean(dim=1) + stds.square())) ** -0.5
    return GaussianMixture(weights, scale * means, stds=scale * stds)
