"""How good advice is: its choice against the best of all candidates, on fresh samples.

All candidates are run on all fresh samples, or as many of them as are drawn beforehand for a network that is slow;
networks of pictures in float32, and then those near the best, the choice, the first answer and the baseline again in
float64, of which all figures are. The best's own samples flatter it, and not the advice, whose samples are others.
"""

from __future__ import annotations

import math
import statistics
from typing import Any, NamedTuple

import torch
from scipy.stats import spearmanr
from torch import Tensor

from ...numerics.advice.advice import LARGEST, SMALLEST, Advice, advise, typical
from ...numerics.advice.advice_targets import question
from ...numerics.advice.candidates import Candidate
from ...numerics.advice.question import Question
from ...numerics.advice.recording import record
from ...numerics.checkpoints.load import load
from ...numerics.denoisers import Denoiser
from ...numerics.many_runs import run_many
from ...numerics.schedules import schedule
from ...numerics.tableau import Tableau

NETWORKS = ("rings", "digits", "photos", "21cmpsdenoiser")
EVALUATIONS = (5, 8, 10, 15)
FRESH = {"rings": 256, "digits": 32, "photos": 16, "21cmpsdenoiser": 4}  # samples: more where one decides little
DRAWN = {"21cmpsdenoiser": 100}  # candidates that are run, of all
SINGLE = ("digits", "photos", "21cmpsdenoiser")  # run in float32 first: a half to a quarter of the time
LEADING = 12  # of all candidates, that are run again in float64
FINE = 160  # steps of the fresh trajectories
POINTS = 150  # of the figure
FEW_SAMPLES = (2, 5, 16)  # on which someone may know the errors of all candidates
DRAWS = 50  # of so many of the fresh samples


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
    start = fresh.starts(range(FRESH[item.network]))
    end = record(fresh.denoise, fresh.schedule, fresh.begin, fresh.end, start, FINE).states[-1]
    tables = [entry.candidate for entry in advice.entries]
    places = {id(candidate): n for n, candidate in enumerate(tables)}
    first, base = places[id(advice.first.candidate)], places[id(advice.baseline.candidate)]
    denoise = fresh.denoise
    if item.network in SINGLE:
        denoise = load(item.network).denoiser(torch.float32)
    run = sorted({0, first, base, *drawn(item.network, tables, seed)})
    every = torch.full((len(tables), len(start)), LARGEST, dtype=torch.float64)
    every[run] = _sizes(denoise, start, end, [tables[n].table for n in run])
    # Those that matter, in float64.
    numbers = list({0, first, base, *every.median(dim=1).values.argsort()[:LEADING].tolist()})
    late = dict(zip(numbers, _sizes(fresh.denoise, start, end, [tables[n].table for n in numbers]), strict=True))
    medians = {n: statistics.median(sizes.tolist()) for n, sizes in late.items()}
    means = {n: float(typical(sizes)) for n, sizes in late.items()}
    best = min(medians, key=lambda n: medians[n])
    choice = advice.choice
    return {
        "choice": choice.plain(),
        "baseline": advice.baseline.plain(),
        "evaluations": advice.evaluations,
        "first_evaluations": advice.first_evaluations,
        "trajectories": advice.plan.trajectories,
        "run": advice.plan.confirmed,
        "compared": len(run),
        "seed": seed,
        "best": {"method": tables[best].method, "grid": tables[best].levels, "median": medians[best]},
        "median": medians[0],
        "mean": means[0],
        "standard_error": _standard_error(late[0]),
        "baseline_median": medians[base],
        "regret": medians[0] / medians[best],
        "regret_of_means": means[0] / min(means.values()),
        "first": advice.first.plain(),
        "first_regret": medians[first] / medians[best],
        "known": {str(count): known_regret(every[run], count) for count in FEW_SAMPLES if 2 * count <= len(start)},
        "gain": medians[base] / medians[0],
        **_ranking(advice, typical(every)),
    }


def drawn(target: str, tables: list[Candidate], seed: int) -> list[int]:
    """The numbers of the candidates that are run: all, or those drawn by the seed, which the advice does not change."""
    numbers = sorted(range(len(tables)), key=lambda n: (tables[n].method, tables[n].levels))
    if target not in DRAWN:
        return numbers
    order = torch.randperm(len(numbers), generator=torch.Generator().manual_seed(seed))
    return [numbers[n] for n in order[: DRAWN[target]].tolist()]


def _sizes(denoise: Denoiser, start: Tensor, end: Tensor, tables: list[Tableau]) -> Tensor:
    """The errors of tables on all samples [tables, R], LARGEST where a run is not finite."""
    found = torch.full((len(tables), len(start)), LARGEST, dtype=torch.float64)
    for n, made in enumerate(run_many(denoise, start, tables)):
        if made is not None:
            found[n] = ((made - end).flatten(1).norm(dim=1) / math.sqrt(end[0].numel())).clamp(SMALLEST, LARGEST)
    return found


def known_regret(every: Tensor, count: int) -> float:
    """The regret of a choice made in full knowledge of the errors of all candidates on `count` samples.

    every: errors [tables, R].  The geometric mean over DRAWS draws of `count` of the R samples; the choice has the
    least geometric mean there, and its median is compared on the others.
    """
    generator = torch.Generator().manual_seed(count)
    found = 0.0
    for _ in range(DRAWS):
        order = torch.randperm(every.shape[1], generator=generator)
        chosen = int(typical(every[:, order[:count]]).argmin())
        others = every[:, order[count:]].median(dim=1).values
        found += math.log(float(others[chosen] / others.min()))
    return math.exp(found / DRAWS)


def _ranking(advice: Advice, measured: Tensor) -> dict[str, Any]:
    """How the predictions agree with the measured errors on fresh samples, and points of a figure."""
    predicted = torch.tensor([entry.predicted for entry in advice.entries], dtype=torch.float64)
    sensible = measured < 1.0  # of a sampler that does not diverge
    factors = (predicted / measured)[sensible].log().abs()
    pairs = torch.stack([predicted, measured], dim=1)[sensible]
    shown = pairs[pairs[:, 0].argsort()][:: max(1, len(pairs) // POINTS)]
    points = [[float(f"{value:.3g}") for value in pair] for pair in shown.tolist()]
    return {
        "spearman": float(spearmanr(predicted[sensible], measured[sensible])[0]),
        "factor": math.exp(float(factors.median())),
        "points": points,
    }


def _standard_error(sizes: Tensor) -> float:
    """Of the median: 1.2533 times that of the mean, as for a normal law."""
    return 1.2533 * float(sizes.std()) / math.sqrt(len(sizes))
