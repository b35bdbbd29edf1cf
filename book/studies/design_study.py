"""Designed tables against the catalogue: on held-out random mixtures, and on the project's networks.

What is held out is drawn by a seed that was not chosen, the hash of the commit of the code. Records get their
best levels on the very samples that they are judged on, which flatters them; the designed table sees none of these.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...numerics.advice.advice_targets import question
from ...numerics.advice.candidates import candidates
from ...numerics.advice.question import Question
from ...numerics.advice.recording import Recording, record
from ...numerics.design.designed import ENOUGH, designed
from ...numerics.design.rivals import middle, rms
from ...numerics.many_runs import run_many
from ...numerics.schedules import schedule
from ...numerics.tableau import Tableau
from ...numerics.targets.mixture import GaussianMixture
from .advice_regret import NETWORKS, drawn

STEPS = (5, 8, 10, 15)
COMPONENTS = {1: 5, 2: 8, 8: 16}  # of the mixture of each dimension
EDM, VP = schedule("edm"), schedule("vp-linear")
SIGMAS = (14.615, 0.0292)  # sigma of the ends for mixtures, those of a widely used latent model
TIMES = (1.0, 4e-3)  # the ends for networks, in the time of vp-linear: lambda from -5 to 3.7
STARTS = {"mixtures": 128, "rings": 64, "digits": 32, "photos": 16, "21cmpsdenoiser": 4}
FEW = {"mixtures": 32, "rings": 16, "digits": 4, "photos": 4, "21cmpsdenoiser": 2}  # by which records are sorted out
FINALISTS = 24
LEVELS = 6  # of the records that are compared, on all starts
FINE = 240  # steps of the reference
COMPARED = ("dpm-solver++-2m", "unipc-2", "unipc-3")
STATISTICS: Mapping[str, Callable[[Tensor], float]] = {
    "middle": middle,
    "median": lambda sizes: float(sizes.median()),
    "rms": lambda sizes: float(sizes.square().mean().sqrt()),
}


@dataclass(frozen=True)
class Case:
    """A network, or a random mixture of a dimension, and the evaluations of a run."""

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
        *(Case("mixtures", nfe, dim) for dim in COMPONENTS),
        *(Case(network, nfe) for network in NETWORKS),
    )
}


def measure_case(case: Case, seed: int) -> dict[str, Any]:
    """Design for the target of a case, and measure records beside it on fresh starts.

    Returns {"seed", "starts", "evaluations", "cpu_seconds", "compared", "standard_error", "confirmed", "predicted",
    "chosen", "digits", "growth", "errors"}: of the design alone, "cpu_seconds"; of the median of the designed table's
    errors, "standard_error", as of a normal law; the last {statistic: {"designed", "best", "record", of COMPARED
    each}}, "record" the name of the best one.
    """
    target = random_mixture(case.dim, COMPONENTS[case.dim], seed) if case.dim else case.target
    process, ends = (EDM, SIGMAS) if case.dim else (VP, TIMES)
    asked = question(target, process, case.nfe, begin=ends[0], end=ends[1], budget=ENOUGH, seed=seed)
    before = time.process_time()
    made = designed(asked)
    seconds = time.process_time() - before
    recorded = fresh(asked, STARTS[case.target], seed)
    # All records, or those drawn beforehand for a slow network, on a few starts; then the best and those that are
    # compared, which are there on all their levels, on all starts.
    pairs = list(candidates(process, asked.begin, asked.end, case.nfe))
    few = set(drawn(case.target, pairs, seed))
    tables = {(c.method, c.levels): c.table for n, c in enumerate(pairs) if n in few or c.method in COMPARED}
    early = errors_of(asked, recorded, list(tables.values()), FEW[case.target])
    sizes = {key: middle(of) for key, of in zip(tables, early, strict=True)}
    ranked = sorted(sizes, key=lambda key: sizes[key])
    best = {key: [other for other in ranked if other[0] == key][:LEVELS] for key in COMPARED}
    finalists = list({*ranked[:FINALISTS], *(key for keys in best.values() for key in keys)})
    own, *others = errors_of(asked, recorded, [made.designed.table, *(tables[key] for key in finalists)])
    full = dict(zip(finalists, others, strict=True))
    return {
        "seed": seed,
        "starts": len(own),
        "evaluations": made.evaluations,
        "cpu_seconds": round(seconds, 1),
        "compared": len(tables),
        "standard_error": 1.2533 * float(own.std()) / math.sqrt(len(own)),
        "confirmed": made.designed.confirmed,
        "predicted": made.designed.predicted,
        "chosen": made.choice.method,
        "digits": made.proved.digits,
        "growth": made.proved.growth,
        "errors": {name: _summary(full, own, of) for name, of in STATISTICS.items()},
    }


def fresh(asked: Question, count: int, seed: int) -> Recording:
    """The fine trajectories of start samples that a question with this seed does not have."""
    generator = torch.Generator().manual_seed(seed + 1)
    noise = torch.randn(count, *asked.shape, generator=generator, dtype=torch.float64)
    start = asked.schedule.prior_std(asked.begin) * noise
    return record(asked.denoise, asked.schedule, asked.begin, asked.end, start, steps=FINE)


def errors_of(
    asked: Question, recorded: Recording, tables: Sequence[Tableau], count: int | None = None
) -> list[Tensor]:
    """The errors of tables on the first `count` of these trajectories, [count] each.

    They are root mean squares over the numbers of a sample, in units of the data; infinite where a run is not finite.
    """
    start, end = recorded.states[0, :count], recorded.states[-1, :count]
    nowhere = torch.full((len(start),), math.inf, dtype=torch.float64)
    made = run_many(asked.denoise, start, tables)
    return [nowhere if x is None else rms((x - end) / asked.end.alpha) for x in made]


def _summary(
    full: Mapping[tuple[str, str], Tensor], own: Tensor, of: Callable[[Tensor], float]
) -> dict[str, float | str | None]:
    """The error of the designed table, and of records on the levels that are best for each."""
    records = {key: of(sizes) for key, sizes in full.items()}
    records = {key: value for key, value in records.items() if math.isfinite(value)}
    best = min(records, key=lambda key: records[key])
    compared = {name: min((v for key, v in records.items() if key[0] == name), default=None) for name in COMPARED}
    return {"designed": of(own), "best": records[best], "record": f"{best[0]} on {best[1]}", **compared}


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
