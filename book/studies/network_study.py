"""The standard study of networks: observed orders, from which number of steps, down to which floor, and their cost."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from ...numerics.catalogue import METHODS, resolve
from ...numerics.checkpoints.checkpoint import Checkpoint
from ...numerics.sample import sample
from ...numerics.studies.config import NetworkStudy, parse_network
from ...numerics.studies.network_problem import NetworkMeasurement, prepare_network
from ...numerics.studies.run import run
from ...numerics.studies.store import opened
from ...numerics.support.consent import Consent
from ...numerics.support.devices import device_of
from ...numerics.support.files import check_writable
from ...numerics.support.manifest import manifest
from ...numerics.support.progress import Progress, silent
from ...numerics.tableau import tabulate
from .frechet import distances
from .low_precision import PRECISE, floors
from .sample_pictures import draw_pictures, grid_for

OWN = Consent(large=True)  # the cost of this study is known
WITHIN = 0.15  # tolerance of an observed order around the proved one
ABOVE = 20.0  # times the error of the reference: smaller values measure the reference
SCHEDULE = {"kind": "vp-linear", "beta_min": 0.1, "beta_max": 20.0}
GRID = {"kind": "uniform-lambda", "t_min": 4e-3, "t_max": 0.77}  # lambda from -3 to 3.7
FULL = {**GRID, "t_max": 1.0}  # starts at almost pure noise, for images
SHORT = (
    "ddim",
    "dpm-solver++-2m",
    "exp-adams-3",
    "exp-adams-4",
    "unipc-2",
    "edm-heun",
    "dpm-solver++-2s",
    "dpm-solver++-3s",
    "deis-rhoab2",
    "ipndm-4",
    "li-accelerated-ode",
    "etd-rk4",
)
SHORTER = ("ddim", "dpm-solver++-2m", "exp-adams-3", "unipc-2", "edm-heun", "dpm-solver++-3s")
TIMED = 16  # samples in the timed batch
TIMED_BY = "dpm-solver++-2m"
COST = 0.01  # the relative error whose cost in evaluations is given


@dataclass(frozen=True)
class Setting:
    """The runs on one of the project's checkpoints."""

    name: str
    methods: tuple[str, ...]
    steps: tuple[int, ...]
    samples: int

    def study(self, start: str, steps: Sequence[int]) -> NetworkStudy:
        """The study with "exact" start values, which show the orders, or with the sampler's own start-up, "ramp"."""
        run = {"methods": list(self.methods), "steps": list(steps), "metrics": ["trajectory"], "points": self.samples}
        target = {"checkpoint": self.name}
        return parse_network({"target": target, "schedule": SCHEDULE, "grid": GRID, "run": {**run, "start": start}})


def settings(quick: bool) -> tuple[Setting, ...]:
    """Every deterministic sampler of the catalogue on rings, some of them on images."""
    every = tuple(name for name, record in METHODS.items() if not record.stochastic)
    doubled = [5 * 2**k for k in range(7)]
    if quick:
        return (Setting("rings", SHORT, tuple(doubled[:5]), 8), Setting("digits", SHORTER, tuple(doubled[:4]), 1))
    return (
        Setting("rings", every, tuple(doubled[:6]), 16),
        Setting("digits", SHORT, tuple(doubled[:6]), 2),
        Setting("photos", SHORTER, tuple(doubled[:4]), 1),
    )


def run_checkpoints(
    out: Path,
    quick: bool,
    progress: Progress = silent,
    device: str = "cpu",
) -> dict[str, Any]:
    """Run the standard study in the folder `out`, which keeps finished runs, and write figures of samples into it.

    Returns {"rates", "costs", "floors", "frechet", "manifest"}, each but the last a list of rows.
    """
    started = datetime.now(UTC)
    where, wanted = device_of(device), settings(quick)
    check_writable(out)
    rates: list[dict[str, Any]] = []
    costs: list[dict[str, Any]] = []
    of_networks: dict[str, Any] = {}
    for setting in wanted:
        measured = measure_network(setting, out, where, progress)
        rates += measured["rates"]
        costs += measured["costs"]
        of_networks[setting.name] = measured["network"]
    return {
        "rates": rates,
        "costs": costs,
        **measure_common(wanted, out, where, quick, progress),
        "manifest": {**manifest(0, started), "device": str(where), "networks": of_networks},
    }


def measure_network(setting: Setting, out: Path, where: torch.device, progress: Progress = silent) -> dict[str, Any]:
    """Run the methods of a setting on its network: {"rates", "costs", "network"}, the last a description of it."""
    label = _labelled(progress, setting.name)
    exact = run(setting.study("exact", setting.steps), out / setting.name, label, OWN, str(where), portable=False)
    few = setting.steps[:4]
    ramp = run(setting.study("ramp", few), out / f"{setting.name}-start-up", label, OWN, str(where), portable=False)
    problem = prepare_network(setting.study("ramp", few), OWN)
    size = NetworkMeasurement(problem, out / setting.name, where).size()
    of_run = exact["manifest"]
    network = {key: of_run[key] for key in ("checkpoint", "reference", "run", "grid", "schedule")}
    return {
        "rates": [_rate(setting.name, method, curve, exact) for method, curve in _curves(exact)],
        "costs": [_cost(setting.name, method, curve, size) for method, curve in _curves(ramp)],
        "network": network | {"samples_per_second": throughput(problem.checkpoint, where)},
    }


def measure_common(
    wanted: Sequence[Setting], out: Path, where: torch.device, quick: bool, progress: Progress = silent
) -> dict[str, Any]:
    """Run the parts for all networks together: {"floors", "frechet"}. Figures of samples are written into `out`."""
    precise = next(setting for setting in wanted if setting.name == PRECISE)
    with opened(out) as store:
        progress(0, 1, "precision")
        measured = floors(precise.study("exact", precise.steps), out / PRECISE, store, where)
        progress(0, 1, "pictures")
        for setting in wanted:
            if setting.name != "rings":
                draw_pictures(setting.name, SHORTER, SCHEDULE, FULL, out / f"pictures-{setting.name}", where)
        progress(0, 1, "Frechet distances")
        apart = distances(SHORTER, SCHEDULE, FULL, store, where, quick)
    progress(1, 1, "")
    return {"floors": measured, "frechet": apart}


def throughput(checkpoint: Checkpoint, device: torch.device) -> float:
    """Samples per second with 20 steps of DPM-Solver++ 2M in float32, in a batch of TIMED; the median of three runs."""
    way = grid_for(TIMED_BY, 20, SCHEDULE, FULL)
    assert way is not None
    tableau, denoise = tabulate(TIMED_BY, way), checkpoint.denoiser(torch.float32, device)
    start = torch.zeros((TIMED, *checkpoint.shape), device=device)
    taken = []
    for _ in range(4):
        begun = time.perf_counter()
        sample(denoise, start, tableau, dtype=torch.float32, checked=False).sum().item()  # .item() waits for the device
        taken.append(time.perf_counter() - begun)
    return round(TIMED / statistics.median(taken[1:]), 2)  # the first one warms up


def _labelled(progress: Progress, name: str) -> Progress:
    return lambda done, total, label: progress(done, total, f"{name}: {label}" if label else name)


def _curves(answer: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The records of each method, in the order of steps."""
    for fit in answer["fits"]:
        yield fit["method"], [r for r in answer["records"] if r["method"] == fit["method"]]


def _rate(network: str, method: str, curve: list[dict[str, Any]], answer: dict[str, Any]) -> dict[str, Any]:
    noise = ABOVE * answer["manifest"]["reference"]["distance"]
    points = [(r["steps"], r["value"]) for r in curve if r["value"] is not None and r["value"] > noise]
    order = resolve(method).order
    slopes = local_orders(points)
    return {
        "network": network,
        "method": method,
        "order": order,
        "steps": [r["steps"] for r in curve],
        "values": [r["value"] for r in curve],
        "local_orders": slopes,
        "asymptotic_from": asymptotic_from(slopes, order),
        "last": slopes[-1][2] if slopes else None,
    }


def local_orders(points: Sequence[tuple[int, float]]) -> list[tuple[int, int, float]]:
    """(N, M, observed order) for neighbours N < M."""
    return [(n, m, math.log(e / later) / math.log(m / n)) for (n, e), (m, later) in pairwise(points)]


def asymptotic_from(slopes: Sequence[tuple[int, int, float]], order: int) -> int | None:
    """The first N from which all local orders are within WITHIN of the proved one; None if the last one is not."""
    first = None
    for n, _, slope in reversed(slopes):
        if abs(slope - order) > WITHIN:
            break
        first = n
    return first


def _cost(network: str, method: str, curve: list[dict[str, Any]], size: float) -> dict[str, Any]:
    points = [(r["nfe"], r["value"] / size) for r in curve if r["value"] is not None]
    return {"network": network, "method": method, "size": size, "points": points, "nfe": price(points)}


def price(points: Sequence[tuple[int, float]], error: float = COST) -> float | None:
    """Evaluations from which the relative error stays below `error`, by linear interpolation in log-log.

    None if it does not; the first number of evaluations if that is enough.
    """
    below = [n for n, (_, value) in enumerate(points) if value > error]
    if not below:
        return float(points[0][0]) if points else None
    if below[-1] == len(points) - 1:
        return None
    (n, e), (m, later) = points[below[-1]], points[below[-1] + 1]
    return math.exp(math.log(n) + math.log(m / n) * math.log(e / error) / math.log(e / later))
