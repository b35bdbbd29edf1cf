"""How good advice is: its choice against the best of all candidates, on fresh samples.

The best is found by running all candidates on a few fresh samples, then those within a factor of the best there on all
of them. Its own samples flatter it, and not the advice, whose samples are others.
"""

from __future__ import annotations

import math
import statistics
from typing import Any, NamedTuple

import torch
from scipy.stats import spearmanr
from torch import Tensor

from ...numerics.advice.advice import Advice, advise, confirmed_sizes, typical
from ...numerics.advice.advice_targets import question
from ...numerics.advice.candidates import Candidate
from ...numerics.advice.question import Question
from ...numerics.advice.recording import record
from ...numerics.schedules import schedule

NETWORKS = ("rings", "digits", "photos")
EVALUATIONS = (5, 8, 10, 15)
FRESH = 16  # samples
FEW = {"rings": 4, "digits": 4, "photos": 2}  # of them on which all candidates are run
WITHIN = 2.5  # of the best there; the others are not run on all
FINE = 160  # steps of the fresh trajectories
POINTS = 150  # of the figure


class Item(NamedTuple):
    """A network and the evaluations of a run."""

    network: str
    nfe: int

    @property
    def name(self) -> str:
        return f"{self.network}-{self.nfe}"


ITEMS = {item.name: item for network in NETWORKS for item in (Item(network, nfe) for nfe in EVALUATIONS)}


def regret(item: Item, seed: int) -> dict[str, Any]:
    """Ask for advice on a network, and compare its choice with all candidates on fresh samples.

    seed: of the query; the fresh samples are those of seed + 1.
    """
    asked = question(item.network, schedule("edm"), item.nfe, seed=seed)
    advice = advise(asked)
    fresh = Question(asked.denoise, asked.schedule, asked.begin, asked.end, asked.shape, item.nfe, seed=seed + 1)
    start = fresh.starts(range(FRESH))
    end = record(fresh.denoise, fresh.schedule, fresh.begin, fresh.end, start, FINE).states[-1]
    tables = [entry.candidate for entry in advice.entries]
    few = FEW[item.network]
    early = torch.stack([confirmed_sizes(fresh, c.table, start[:few], end[:few])[0] for c in tables])
    left = _left(advice, tables, typical(early))
    late = {n: confirmed_sizes(fresh, tables[n].table, start, end)[0] for n in left}
    medians = {n: statistics.median(sizes.tolist()) for n, sizes in late.items()}
    means = {n: float(typical(sizes)) for n, sizes in late.items()}
    best, base = min(medians, key=lambda n: medians[n]), tables.index(advice.baseline.candidate)
    choice = advice.choice
    return {
        "choice": choice.plain(),
        "baseline": advice.baseline.plain(),
        "evaluations": advice.evaluations,
        "first_evaluations": advice.first_evaluations,
        "trajectories": advice.plan.trajectories,
        "run": advice.plan.confirmed,
        "compared": len(tables),
        "seed": seed,
        "best": {"method": tables[best].method, "grid": tables[best].levels, "median": medians[best]},
        "median": medians[0],
        "standard_error": _standard_error(late[0]),
        "baseline_median": medians[base],
        "regret": medians[0] / medians[best],
        "regret_of_means": means[0] / min(means.values()),
        "first_regret": _first(advice, tables, medians, late, early, medians[best]),
        "gain": medians[base] / medians[0],
        **_ranking(advice, typical(early)),
    }


def _left(advice: Advice, tables: list[Candidate], early: Tensor) -> list[int]:
    """The candidates that are run on all samples: near the best, the choice (which is the first) and the baseline."""
    near = set((early <= WITHIN * float(early.min())).nonzero().flatten().tolist())
    return sorted(near | {0, tables.index(advice.baseline.candidate)})


def _first(
    advice: Advice,
    tables: list[Candidate],
    medians: dict[int, float],
    late: dict[int, Tensor],
    early: Tensor,
    best: float,
) -> float:
    """The regret of the first answer: on all samples where it was run there, else on the few."""
    n = tables.index(advice.first.candidate)
    return medians[n] / best if n in late else statistics.median(early[n].tolist()) / best


def _ranking(advice: Advice, measured: Tensor) -> dict[str, Any]:
    """How the predictions agree with the measured errors on fresh samples, and points of a figure."""
    predicted = torch.tensor([entry.predicted for entry in advice.entries], dtype=torch.float64)
    sensible = measured < 1.0  # of a sampler that does not diverge
    factors = (predicted / measured)[sensible].log().abs()
    order = predicted.argsort()[:: max(1, len(predicted) // POINTS)]
    points = [[float(f"{float(v[n]):.3g}") for v in (predicted, measured)] for n in order.tolist() if sensible[n]]
    return {
        "spearman": float(spearmanr(predicted[sensible], measured[sensible])[0]),
        "factor": math.exp(float(factors.median())),
        "points": points,
    }


def _standard_error(sizes: Tensor) -> float:
    """Of the median: 1.2533 times that of the mean, as for a normal law."""
    return 1.2533 * float(sizes.std()) / math.sqrt(len(sizes))
