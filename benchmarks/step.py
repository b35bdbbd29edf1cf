"""Cost of a solver step beside its model: our loop, the peers' samplers, and the floor of one fused pass.

    python benchmarks/step.py [--record FILE]      needs diffusers and k-diffusion (make installs both)

All run DPM-Solver++(2M) over the same number of steps on a model that costs nothing, in turn, many times; of three runs
a turn the fastest counts. Medians, first quartiles and ratios of medians are printed, set-up included. "unchecked" is
our loop with checked=False, "compiled" the one whose row is a kernel of torch.compile. The floor is one torch.add(a, b,
out=c), scaled to the bytes that an update from two outputs must touch: read x and two outputs, write x. --record writes
the figures as JSON, with the versions and the commit; benchmarks/step.json is such a record.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from samplerproof.numerics.grids import grid
from samplerproof.numerics.points import Point
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.support.files import write_text
from samplerproof.numerics.support.manifest import of_benchmark
from samplerproof.numerics.tableau import tabulate

STEPS = 50
SHAPES = (((1, 4, 64, 64), 60), ((16, 3, 256, 256), 6))  # and rounds
TURN = 3  # runs, of which the fastest counts: the first finds the caches as another left them


def ours(x: Tensor, model: Tensor, **options: bool) -> Callable[[], object]:
    vp = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
    tableau = tabulate("dpm-solver++-2m", grid(vp, "uniform-lambda", STEPS, t_min=1e-3, t_max=1.0))

    def denoise(y: Tensor, at: Point, prediction: str) -> Tensor:
        return model

    return lambda: sample(denoise, x, tableau, dtype=x.dtype, **options)


def diffusers(x: Tensor, model: Tensor) -> Callable[[], object]:
    from diffusers import DPMSolverMultistepScheduler

    scheduler = DPMSolverMultistepScheduler(prediction_type="sample", final_sigmas_type="sigma_min")

    def run() -> Tensor:
        scheduler.set_timesteps(STEPS)
        y = x
        for t in scheduler.timesteps:
            y = scheduler.step(model, t, y, return_dict=False)[0]
        return y

    return run


def k_diffusion(x: Tensor, model: Tensor) -> Callable[[], object]:
    from samplerproof.numerics.conformance.adapters.k_diffusion import sampling

    library = sampling()
    sigmas = library.get_sigmas_karras(STEPS, 0.03, 15.0)
    return lambda: library.sample_dpmpp_2m(lambda y, sigma: model, x, sigmas, disable=True)


def floor(x: Tensor, model: Tensor) -> Callable[[], object]:
    out = torch.empty_like(x)
    return lambda: [torch.add(x, model, out=out) for _ in range(STEPS)]


def measured(shape: tuple[int, ...], rounds: int) -> dict[str, dict[str, float]]:
    """Microseconds a step of every run, medians and first quartiles, in turn so that other load hits all."""
    x, model = torch.randn(shape), torch.randn(shape)
    runs = {
        "ours": ours(x, model),
        "unchecked": ours(x, model, checked=False),
        "compiled": ours(x, model, compiled=True),
        "k-diffusion": k_diffusion(x, model),
        "diffusers": diffusers(x, model),
        "floor": floor(x, model),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):  # the first compiles and allocates
        for name, run in runs.items():
            turn = []
            for _ in range(TURN):
                start = time.perf_counter()
                run()
                turn.append((time.perf_counter() - start) / STEPS)
            seconds[name].append(min(turn))
    seconds["floor"] = [4 / 3 * value for value in seconds["floor"]]  # add touches three arrays, the update four
    found = {}
    for name, values in seconds.items():
        quartile, median, _ = statistics.quantiles(values[1:], n=4)
        found[name] = {"median": median * 1e6, "quartile": quartile * 1e6}
    return found


def main(record: Path | None) -> None:
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for shape, rounds in SHAPES:
        found = measured(shape, rounds)
        floor, peer = found["floor"]["median"], found["diffusers"]["median"]
        print(f"{'x'.join(map(str, shape))} float32, microseconds a step, {rounds} rounds, one thread")
        print(f"  {'':12s} {'median':>10s} {'quartile':>10s}   of the floor   times as fast as diffusers")
        for name, value in found.items():
            median = value["median"]
            print(f"  {name:12s} {median:10.1f} {value['quartile']:10.1f} {median / floor:14.2f} {peer / median:28.1f}")
        rows.append({"shape": shape, "rounds": rounds, "microseconds": found})
    if record is not None:
        answer = {
            "steps": STEPS,
            "dtype": "float32",
            "threads": 1,
            "rows": rows,
            **of_benchmark(),
        }
        write_text(record, json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Microseconds that a step takes beside its model.")
    parser.add_argument("--record", type=Path, help="write the figures there")
    main(parser.parse_args().record)
