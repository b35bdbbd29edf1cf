"""Cost of a solver step beside its model: our loop, diffusers' scheduler, and the floor of one fused pass.

    python benchmarks/step.py            needs diffusers (pip install 'samplerproof[peers]')

All three run DPM-Solver++(2M) over the same number of steps on a model that costs nothing, in turn, several times;
medians and their ratios are printed. The floor is one torch.add(a, b, out=c) scaled to the bytes that a two-output
update must touch: read x and two outputs, write x.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from samplerproof.numerics.grids import grid
from samplerproof.numerics.points import Point
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate

STEPS = 50


def ours(x: Tensor, model: Tensor) -> Callable[[], object]:
    vp = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
    tableau = tabulate("dpm-solver++-2m", grid(vp, "uniform-lambda", STEPS, t_min=1e-3, t_max=1.0))

    def denoise(y: Tensor, at: Point, prediction: str) -> Tensor:
        return model

    return lambda: sample(denoise, x, tableau, dtype=x.dtype)


def theirs(x: Tensor, model: Tensor) -> Callable[[], object]:
    from diffusers import DPMSolverMultistepScheduler

    scheduler = DPMSolverMultistepScheduler(prediction_type="sample", final_sigmas_type="sigma_min")

    def run() -> Tensor:
        scheduler.set_timesteps(STEPS)
        y = x
        for t in scheduler.timesteps:
            y = scheduler.step(model, t, y, return_dict=False)[0]
        return y

    return run


def floor(x: Tensor, model: Tensor) -> Callable[[], object]:
    out = torch.empty_like(x)
    return lambda: [torch.add(x, model, out=out) for _ in range(STEPS)]


def main() -> None:
    torch.set_num_threads(1)
    for shape, rounds in (((1, 4, 64, 64), 15), ((16, 3, 256, 256), 5)):
        x, model = torch.randn(shape), torch.randn(shape)
        runs = {"ours": ours(x, model), "diffusers": theirs(x, model), "floor": floor(x, model)}
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(rounds + 1):
            for name, run in runs.items():
                start = time.perf_counter()
                run()
                seconds[name].append((time.perf_counter() - start) / STEPS)
        median = {name: statistics.median(values[1:]) * 1e6 for name, values in seconds.items()}
        median["floor"] *= 4 / 3  # add touches three arrays, the update four
        print(f"{'x'.join(map(str, shape))} float32, microseconds a step (median of {rounds}), one thread")
        for name, value in median.items():
            ratio = f"{median['diffusers'] / value:6.1f} x as fast as diffusers"
            print(f"  {name:10s} {value:10.1f}   {value / median['floor']:6.1f} x floor   {ratio}")


if __name__ == "__main__":
    main()
