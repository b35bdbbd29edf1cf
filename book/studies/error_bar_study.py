"""How good the error bar of one run is: calibrated on recorded trajectories, judged on fresh samples of networks."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ...numerics.advice.advice_targets import question
from ...numerics.advice.recording import record
from ...numerics.error_bars import calibrated
from ...numerics.grids import grid
from ...numerics.sample import sample
from ...numerics.schedules import schedule
from ...numerics.tableau import tabulate

# Trajectories that bars are calibrated by, and fresh samples.
BARRED = {"rings": (32, 128), "digits": (16, 64), "photos": (16, 32), "21cmpsdenoiser": (4, 8)}
LENGTHS = (8, 10, 15, 20)
TABLES = (("dpm-solver++-2m", 7.0), ("unipc-2", 7.0), ("ipndm-3", 10.0), ("exp-adams-3", 10.0))  # with karras' rho
WITHIN = 1.5
REFERENCE = 120  # steps of the trajectories


def bars_of(network: str, seed: int) -> list[dict[str, Any]]:
    """Of every table and length: {"method", "rho", "nfe", "error", "within", "plain", "constant", "expected"}.

    error: the median of the true ones.  within: the share of fresh samples whose error is within a factor 1.5 of the
    calibrated bar; plain: of the bar without calibration; constant: of the median of the recorded trajectories' errors,
    the same for all samples; expected: the share that the calibration states.
    """
    counts = BARRED[network]
    asked = question(network, schedule("edm"), LENGTHS[0], seed=seed)
    of_bars, fresh = (
        record(asked.denoise, asked.schedule, asked.begin, asked.end, asked.starts(numbers), REFERENCE)
        for numbers in (range(counts[0]), range(counts[0], sum(counts)))
    )
    found = []
    ratios = {"sigma_min": asked.end.sigma, "sigma_max": asked.begin.sigma}
    for nfe in LENGTHS:
        for method, rho in TABLES:
            table = tabulate(method, grid(asked.schedule, "karras", nfe, **ratios, rho=rho))
            bar = calibrated(asked.denoise, table, of_bars)
            known = _size(sample(asked.denoise, of_bars.states[0], table) - of_bars.states[-1])
            y, error = sample(asked.denoise, fresh.states[0], table, error=bar)
            _, plain = sample(asked.denoise, fresh.states[0], table, error=True)
            true = _size(y - fresh.states[-1])
            shares = {"within": error, "plain": plain, "constant": known.median().expand_as(true)}
            row = {"method": method, "rho": rho, "nfe": nfe, "error": float(true.median())}
            found.append({**row, **{name: _share(of, true) for name, of in shares.items()}, "expected": bar.within})
    return found


def _size(off: Tensor) -> Tensor:
    size: Tensor = off.flatten(1).norm(dim=1) / math.sqrt(off[0].numel())
    return size


def _share(estimate: Tensor, true: Tensor) -> float:
    return float(((estimate / true).log().abs() <= math.log(WITHIN)).to(torch.float64).mean())
