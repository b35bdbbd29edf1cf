"""Seconds of one core that a study takes: eight methods on four grids with six numbers of steps, in four metrics.

    python benchmarks/study.py [--out DIR] [--record FILE]

The target is a mixture of two components on the line, at the default 6001 quadrature points. The parts are the import,
the leading errors, the 192 runs with their 768 values, and the figures in SVG, PNG and PDF. CPU seconds are printed,
and the seconds of a loop of known work (`unit`): on a machine that is busy with other work both grow, their ratio less.
--record writes them as JSON, with the versions and the commit; benchmarks/study.json is such a record.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

LAW = {"weights": [0.35, 0.65], "means": [-1.2, 0.9], "stds": [0.5, 0.35]}
IN_TIME, IN_LEVELS = {"t_min": 1e-3, "t_max": 1.0}, {"sigma_min": 0.02, "sigma_max": 80.0}
GRIDS = [
    {"kind": "uniform-t", **IN_TIME},
    {"kind": "uniform-lambda", **IN_TIME},
    {"kind": "karras", **IN_LEVELS},
    {"kind": "exponential", **IN_LEVELS},
]
METHODS = [
    *("ddim", "dpm-solver++-2m", "dpm-solver++-2s", "exp-adams-3"),
    *("unipc-2", "edm-heun", "deis-tab2", "dpm-solver-3s"),
]
RUN = {"methods": METHODS, "steps": [10, 20, 40, 80, 160, 320], "metrics": ["tv", "kl", "w2", "trajectory"]}
UNIT = 2_000_000  # passes of an empty loop


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main(out: Path, record: Path | None) -> None:
    found: dict[str, float] = {}

    def load() -> None:
        import samplerproof.numerics.studies.run
        import samplerproof.numerics.studies.study_figure  # noqa: F401

    found["import"] = seconds(load)
    import torch

    from samplerproof.numerics.leading.of_study import leading_errors
    from samplerproof.numerics.studies.config import parse
    from samplerproof.numerics.studies.mixture_problem import prepare
    from samplerproof.numerics.studies.run import run
    from samplerproof.numerics.studies.study_figure import draw_study
    from samplerproof.numerics.support.files import write_text
    from samplerproof.numerics.support.manifest import of_benchmark

    torch.set_num_threads(1)
    study = parse({"target": LAW, "schedule": {"kind": "vp-linear"}, "grid": GRIDS, "run": RUN})
    found["leading errors"] = seconds(lambda: leading_errors(prepare(study)))  # which are kept for the run
    answer: dict[str, Any] = {}
    found["runs"] = seconds(lambda: answer.update(run(study, out)))
    paths: list[Path] = []
    found["figures"] = seconds(lambda: paths.extend(draw_study(answer, out)))
    unit = seconds(lambda: [None for _ in range(UNIT)])
    total = sum(found.values())
    found |= {"in all": total, "without figures": total - found["figures"]}
    print(f"{len(answer['records'])} values, {len(paths)} files; CPU seconds on one thread")
    for name, value in found.items():
        print(f"  {name:16s} {value:6.1f}   {value / unit:6.0f} units")
    print(f"  {'unit':16s} {unit:6.3f}   a loop of {UNIT:,} passes")
    if record is not None:
        answer = {
            "values": len(answer["records"]),
            "files": len(paths),
            "cpu_seconds": {name: round(value, 2) for name, value in found.items()},
            "units": {name: round(value / unit) for name, value in found.items()},
            "unit_seconds": round(unit, 4),
            **of_benchmark(),
        }
        write_text(record, json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Seconds of one core that a study takes.")
    parser.add_argument("--out", type=Path, help="keep records and figures there")
    parser.add_argument("--record", type=Path, help="write the seconds there")
    given = parser.parse_args()
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        main(given.out, given.record)
    else:
        with TemporaryDirectory() as folder:
            main(Path(folder), given.record)
