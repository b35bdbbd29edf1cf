"""What else one waits for: an exact score, an exact flow, a whole study, a proof, all proofs, and whole commands.

    python benchmarks/waits.py [--record FILE]

The score is set beside a limit: the exponentials, to base 2 as they take least, and two matrix products of the same
numbers of points, components and dimensions. The study has ten samplers, three schedules and T = 8..1024; beside it
stands what a loop over the same evaluations of a score written in three lines takes, by the time of one evaluation of
10,000 samples. CPU seconds of one thread; of short runs the least of several, in turn. Of commands, seconds of the
clock on all cores: `reproduce`, the list of verifications of the book, `verify` of one scheduler, and the import of
torch and its library.
--record writes the figures as JSON, with the versions and the commit; benchmarks/waits.json is such a record.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from samplerproof.numerics.points import Point
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.studies.config import Study, parse
from samplerproof.numerics.studies.run import run
from samplerproof.numerics.support.consent import Consent
from samplerproof.numerics.support.files import write_text
from samplerproof.numerics.support.manifest import of_benchmark
from samplerproof.numerics.targets.flow import exact_flow
from samplerproof.numerics.targets.mixture import GaussianMixture

COUNT, DIM, COMPONENTS, TURNS = 50_000, 16, 64, 5  # of the score
SAMPLES = 10_000  # of the loop beside the study
METHODS = [
    *("ddim", "dpm-solver++-2m", "dpm-solver++-3m", "dpm-solver++-2s", "unipc-3"),
    *("unipc-2", "edm-heun", "deis-tab2", "dpm-solver-3s", "ipndm-4"),
]
STEPS = [7, 15, 31, 63, 127, 255, 511, 1023]
LAW = {"weights": [0.1, 0.2, 0.3, 0.4], "means": [-2.0, -0.5, 0.6, 1.5], "stds": [0.3, 0.2, 0.4, 0.25]}
SCHEDULES = [
    ({"kind": "vp-linear"}, {"kind": "uniform-t", "t_min": 1e-3, "t_max": 1.0}),
    ({"kind": "cosine"}, {"kind": "uniform-lambda", "t_min": 1e-3, "t_max": 0.99}),
    ({"kind": "edm"}, {"kind": "karras", "sigma_min": 0.02, "sigma_max": 80.0}),
]
PROVED = "dpm-solver++-3m"
TARGETS, SCHEDULER = Path("book/verification.toml"), "DPMSolverMultistepScheduler"
COMMAND = "from samplerproof.cli.main import run; run()"


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def least(*works: Callable[[], object]) -> list[float]:
    """The least seconds of each, run in turn."""
    found = [[seconds(work) for work in works] for _ in range(TURNS)]
    return [min(one) for one in zip(*found, strict=True)]


def score(full: bool, dtype: torch.dtype) -> dict[str, Any]:
    """Microseconds a point of the score and of its limit; full: covariances without a common set of axes."""
    drawn = torch.Generator().manual_seed(0)
    means = torch.randn(COMPONENTS, DIM, generator=drawn, dtype=torch.float64)
    root = torch.randn(COMPONENTS, DIM, DIM, generator=drawn, dtype=torch.float64) / 8
    spread: dict[str, Any] = {"stds": [0.3] * COMPONENTS}
    if full:
        spread = {"covariances": (root @ root.mT + 0.1 * torch.eye(DIM)).tolist()}
    law = GaussianMixture([1 / COMPONENTS] * COMPONENTS, means.tolist(), **spread)
    at = Point(alpha=1.0, sigma=0.5)
    x = torch.randn(COUNT, DIM, generator=drawn, dtype=torch.float64).to(dtype)
    block, exponents = x[:2000], torch.randn(2000, COMPONENTS, dtype=dtype)
    out = torch.empty_like(exponents)
    # Of full covariances each component turns a point to its axes.
    axes = torch.randn(DIM, COMPONENTS * (DIM if full else 1), dtype=dtype)
    turned = block @ axes

    def limit() -> None:
        for _ in range(COUNT // len(block)):
            torch.exp2(exponents, out=out)
            torch.mm(block, axes, out=turned)
            torch.mm(turned, axes.T)

    ours, bound = least(lambda: law(x, at, "score"), limit)
    per = 1e6 / COUNT
    return {"ours": round(per * ours, 3), "limit": round(per * bound, 3), "share": round(bound / ours, 2)}


def flow() -> float:
    """Microseconds a point of the exact flow on the line, from the noisy end to the clean one."""
    law, process = GaussianMixture(**LAW), schedule("vp-linear")
    noisy, clean = process.point(1.0), process.point(1e-3)
    x = law.sample(COUNT, noisy, torch.Generator().manual_seed(0))
    return 1e6 / COUNT * least(lambda: exact_flow(law, x, noisy, clean))[0]


def plain_score(x: Tensor, alpha: float, sigma: float) -> Tensor:
    """The score in three lines."""
    weights, means, stds = (torch.tensor(LAW[name], dtype=torch.float64) for name in ("weights", "means", "stds"))
    variance, away = alpha**2 * stds**2 + sigma**2, x[:, None] - alpha * means
    shares = torch.softmax(weights.log() - variance.log() / 2 - away**2 / (2 * variance), dim=1)
    return -(shares * away / variance).sum(dim=1)


def study() -> dict[str, Any]:
    """CPU seconds of the study, and of a loop over its evaluations."""
    wanted = []
    for process, grid in SCHEDULES:
        asked = {"methods": METHODS, "steps": STEPS, "metrics": ["trajectory"], "points": 1001}
        found = parse({"target": LAW, "schedule": process, "grid": grid, "run": asked})
        assert isinstance(found, Study)
        wanted.append(found)
    answers: list[dict[str, Any]] = []
    taken = seconds(lambda: answers.extend(run(one, None, consent=Consent(large=True)) for one in wanted))
    evaluations = sum(record["nfe"] for answer in answers for record in answer["records"])
    x = torch.randn(SAMPLES, dtype=torch.float64)
    (one,) = least(lambda: [plain_score(x, 0.5, 0.8) for _ in range(50)])
    return {"seconds": round(taken, 2), "evaluations": evaluations, "loop": round(evaluations * one / 50, 1)}


def proofs() -> dict[str, Any]:
    """CPU seconds of one proof, with what it loads, and of all."""
    from samplerproof.book.proofs import prove

    one = seconds(lambda: prove([PROVED], False, certified=False))
    answer: list[Any] = []
    every = seconds(lambda: answer.extend(prove([], True, certified=False)))
    return {"one": round(one, 2), "all": round(every, 1), "records": len(answer)}


def clock(*arguments: str) -> float:
    """Seconds of the clock that Python takes with these arguments."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", *arguments], capture_output=True)
    if done.returncode > 1:  # 1: a target deviates
        raise SystemExit(f"{arguments}: exit code {done.returncode}, {done.stderr.decode()[-200:]}")
    return time.perf_counter() - start


def commands() -> dict[str, float]:
    """Seconds of whole commands, each in a folder of its own."""
    imports = [clock(f"import torch; from diffusers import {SCHEDULER}") for _ in range(2)]
    one = [clock(COMMAND, "verify", f"diffusers:{SCHEDULER}") for _ in range(2)]
    with TemporaryDirectory() as verified, TemporaryDirectory() as reproduced:
        return {
            "imports": round(min(imports), 2),
            "one target": round(min(one), 2),
            "list of targets": round(clock(COMMAND, "study", str(TARGETS), "--out", verified), 1),
            "reproduce": round(clock(COMMAND, "reproduce", "--out", reproduced), 1),
        }


def main(record: Path | None) -> None:
    torch.set_num_threads(1)
    found: dict[str, Any] = {
        "score": {
            "float64": score(False, torch.float64),
            "float32": score(False, torch.float32),
            "full covariances": score(True, torch.float64),
        },
        "size": {"dimensions": DIM, "components": COMPONENTS, "points": COUNT},
        "flow": round(flow(), 2),
        "study": study(),
        "proofs": proofs(),
        "commands": commands(),
    }
    for name, value in found.items():
        print(f"{name:10s} {json.dumps(value)}", flush=True)
    if record is not None:
        write_text(record, json.dumps({**found, **of_benchmark()}, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="CPU seconds of what else one waits for.")
    parser.add_argument("--record", type=Path, help="write the figures there")
    main(parser.parse_args().record)
