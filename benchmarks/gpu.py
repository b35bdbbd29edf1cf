"""Cost of the loop on a device: ours and diffusers' schedulers, on no model and on the same U-Net, in one run.

    python benchmarks/gpu.py [--device cuda] [--quick] [--out DIR]      needs diffusers (pip install -e '.[peers]')

Microseconds a step, medians of runs taken in turn: by the device's own events on CUDA, by the clock on a CPU. What a
solver computes once before its first step, our table and their set_timesteps, is not counted. "unchecked" is our loop
with checked=False, which never waits for the device; "graph" is that loop replayed as one CUDA graph, which their
schedulers, reading values on the way, are not made for. A share is the part of a step that is not the U-Net's own time,
of diffusers and of "unchecked". Without a model states are float32 and bfloat16, with it float32. A row is measured
until SECONDS are over, and at least LEAST times: all of it takes less than three minutes. What a device cannot do, a
graph or counting kernels, is left out of its row, with the reason. On CUDA a record is written to book/records/gpu/,
elsewhere only with --out.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from samplerproof.numerics.checkpoints.own_networks import UNet
from samplerproof.numerics.denoisers import Denoiser, adapt
from samplerproof.numerics.errors import InputError, one_line
from samplerproof.numerics.grids import grid
from samplerproof.numerics.points import Point
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.support.devices import device_of
from samplerproof.numerics.support.files import check_writable, write_text
from samplerproof.numerics.support.manifest import source
from samplerproof.numerics.tableau import tabulate

RECORDS = Path(__file__).resolve().parents[1] / "book" / "records" / "gpu"
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {"clip_sample": False}),
    "dpm-solver++-2m": ("DPMSolverMultistepScheduler", {"final_sigmas_type": "sigma_min"}),
    "unipc-2": ("UniPCMultistepScheduler", {"final_sigmas_type": "sigma_min"}),
}
SHAPES = ((1, 4, 64, 64), (8, 4, 64, 64), (16, 3, 128, 128), (16, 3, 256, 256))
QUICK = ((1, 4, 64, 64), (2, 3, 32, 32))
LARGEST_ON_CPU = 2**18  # numbers for which the U-Net is run there
NOT_MEASURED = "no CUDA device: not measured"
SECONDS, LEAST = 3.0, 3  # of one row; rounds of it
SAME = 1e-3  # of the largest number: what two runs of a U-Net on a device may differ by

Run = tuple[Callable[[], object], Callable[[], object]]  # before the clock runs, and while it does
Model = Callable[[Tensor, Tensor], Tensor]  # of x [n, ...] and the time t [n]


def ours(method: str, x: Tensor, model: Model, steps: int, checked: bool) -> Run:
    vp = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
    tableau = tabulate(method, grid(vp, "uniform-lambda", steps, t_min=1e-3, t_max=1.0))

    def network(y: Tensor, at: Point) -> Tensor:
        return model(y, torch.full((len(y),), at.t, device=y.device))

    # without a model nothing is converted either: the solver alone
    denoise: Denoiser = adapt(network, "data") if isinstance(model, nn.Module) else lambda y, at, _: model(y, y)
    return lambda: None, lambda: sample(denoise, x, tableau, dtype=x.dtype, checked=checked)


def theirs(method: str, x: Tensor, model: Model, steps: int) -> Run:
    import diffusers

    name, options = METHODS[method]
    scheduler = getattr(diffusers, name)(prediction_type="sample", **options)

    def run() -> Tensor:
        y = x
        for t in scheduler.timesteps:
            options = t.to(y.dtype).expand(len(y)) if isinstance(model, nn.Module) else t
            y = scheduler.step(model(y, options), t, y, return_dict=False)[0]
        return y

    return lambda: scheduler.set_timesteps(steps, device=x.device), run


def network_only(x: Tensor, model: Model, steps: int) -> Run:
    t = torch.full((len(x),), 0.5, device=x.device)
    return lambda: None, lambda: [model(x, t) for _ in range(steps)]


def captured(run: Run) -> Run:
    """The run as one CUDA graph; checked against the run itself."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        expected = run[1]()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = run[1]()
    graph.replay()
    assert isinstance(out, Tensor)
    assert isinstance(expected, Tensor)
    torch.cuda.synchronize()
    if float((out - expected).abs().max()) > SAME * float(expected.abs().max()):
        raise RuntimeError("the replayed graph ends elsewhere than the loop")
    return lambda: None, graph.replay


def seconds(run: Run, device: torch.device) -> float:
    run[0]()
    if device.type != "cuda":
        start = time.perf_counter()
        run[1]()
        return time.perf_counter() - start
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    begin.record()
    run[1]()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3


def kernels(run: Run, steps: int) -> float:
    """Kernels launched a step, copies and fillings by the driver not counted."""
    from torch.profiler import ProfilerActivity, profile

    run[0]()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        run[1]()
        torch.cuda.synchronize()
    names = [e.name for e in profiled.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    return sum(not name.startswith("Mem") for name in names) / steps


def measured(x: Tensor, method: str, network: nn.Module | None, steps: int, rounds: int) -> dict[str, Any]:
    """One row: a shape and a dtype, a method, with the U-Net or without a model."""
    answer, cuda = torch.randn_like(x), x.device.type == "cuda"
    model: Model = network or (lambda y, t: answer)
    runs = {"diffusers": theirs(method, x, model, steps)}
    runs["ours"] = ours(method, x, model, steps, checked=True)
    runs["unchecked"] = ours(method, x, model, steps, checked=False)
    missing = {} if cuda else {"graph": NOT_MEASURED, "kernels": NOT_MEASURED}
    if cuda:
        try:
            runs["graph"] = captured(runs["unchecked"])
        except RuntimeError as fault:
            missing["graph"] = one_line(fault)
    if network:
        runs["model"] = network_only(x, model, steps)
    taken: dict[str, list[float]] = {name: [] for name in runs}
    began = time.perf_counter()
    for done in range(rounds + 1):  # the first warms up
        if done > LEAST and time.perf_counter() - began > SECONDS:
            break
        for name, run in runs.items():
            taken[name].append(seconds(run, x.device) / steps * 1e6)
    median = {name: statistics.median(values[1:]) for name, values in taken.items()}
    solvers = [name for name in median if name != "model"]
    launched = None
    if cuda and not network:
        try:
            launched = {n: kernels(runs[n], steps) for n in ("diffusers", "ours", "unchecked")}
        except RuntimeError as fault:
            missing["kernels"] = one_line(fault)
        if launched is not None and not any(launched.values()):
            launched, missing["kernels"] = None, "the profiler saw none"
    return {
        "shape": list(x.shape),
        "dtype": str(x.dtype)[6:],
        "method": method,
        "scheduler": METHODS[method][0],
        "model": "unet" if network else "none",
        "steps": steps,
        "rounds": len(taken["ours"]) - 1,
        "microseconds": {name: round(value, 3) for name, value in median.items()},
        "times_as_fast": {name: round(median["diffusers"] / median[name], 3) for name in solvers},
        "solver_share": {n: round(1 - median["model"] / median[n], 4) for n in solvers} if network else None,
        "kernels": launched,
        "not_measured": missing,
    }


def unet(shape: tuple[int, ...], quick: bool, device: torch.device) -> UNet:
    network = UNet(shape[1:], (8,) if quick else (64, 128, 256), 32, patch=2)
    return network.to(device).eval().requires_grad_(False)


def line(row: dict[str, Any]) -> str:
    times = " ".join(
        f"{row['microseconds'].get(n, float('nan')):10.1f}" for n in ("diffusers", "ours", "unchecked", "graph")
    )
    share = row["solver_share"]
    share_ = " ".join(f"{share[n]:9.1%}" for n in ("diffusers", "unchecked")) if share else f"{'-':>9s} {'-':>9s}"
    launched = (
        "/".join(f"{row['kernels'][n]:.1f}" for n in ("diffusers", "ours", "unchecked")) if row["kernels"] else "-"
    )
    shape = "x".join(map(str, row["shape"]))
    fast = f"{row['times_as_fast']['ours']:7.2f} x"
    kind = row["model"] if row["model"] != "none" else {"float32": "fp32", "bfloat16": "bf16"}[row["dtype"]]
    return f"{shape:14s} {row['method']:16s} {kind:5s} {times.replace('nan', '  -')} {fast} {share_}  {launched}"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true", help="small shapes, few rounds: does it run?")
    parser.add_argument("--out", type=Path, help=f"folder of the record; on CUDA {RECORDS.name}/ of the book's records")
    options = parser.parse_args(arguments)
    device, began = device_of(options.device), datetime.now(UTC)
    cuda = device.type == "cuda"
    out = options.out or (RECORDS if cuda else None)
    if out:
        check_writable(out)
    torch.manual_seed(0)
    steps, with_model, rounds = (4, 4, LEAST) if options.quick else (50, 20, 15)
    rows = []
    print(f"microseconds a step on {_name(device)}, medians of up to {rounds} runs", end=" ")
    print(f"of {steps} steps, {with_model} with the U-Net")
    print(f"{'':36s} {'diffusers':>10s} {'ours':>10s} {'unchecked':>10s} {'graph':>10s} {'ours':>9s}", end=" ")
    print(f"{'share':>9s} {'share':>9s}  kernels a step")
    with torch.no_grad():
        for shape in QUICK if options.quick else SHAPES:
            x = torch.randn(shape, device=device)
            cases: list[tuple[Tensor, nn.Module | None, int]] = [(x, None, steps), (x.bfloat16(), None, steps)]
            if cuda or x.numel() <= LARGEST_ON_CPU:
                cases.append((x, unet(shape, options.quick, device), with_model))
            for start, network, count in cases:
                for method in METHODS:
                    rows.append(measured(start, method, network, count, rounds))
                    print(line(rows[-1]), flush=True)
    if not cuda:
        print(f"graph, kernels: {NOT_MEASURED}")
    record = {
        "rows": rows,
        "device": _name(device),
        "cuda": torch.version.cuda if cuda else None,
        "threads": torch.get_num_threads(),
        **source(),
        "diffusers": version("diffusers"),
        "command": " ".join(["python benchmarks/gpu.py", *arguments]),
        "started": began.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - began).total_seconds(), 1),
    }
    if out:
        path = out / f"solver-{'-'.join(_name(device).lower().split())}.json"
        write_text(path, json.dumps(record, indent=1, allow_nan=False) + "\n")
        print(f"written to {path}")


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ImportError as fault:
        sys.exit(f"{fault}: pip install -e '.[peers]'")
    except InputError as fault:
        print(fault, file=sys.stderr)
        sys.exit(2)
