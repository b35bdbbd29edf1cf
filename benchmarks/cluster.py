"""A study of 2,000 records on four workers of dask.distributed, two of which are killed, against one process.

    python benchmarks/cluster.py [--record FILE]

The study has ten methods on five grids with ten numbers of steps, in four metrics, at 501 quadrature points on the
line; it takes minutes. The records of both must be equal to the bit. Printed are the seconds of both, the seconds that
the scheduler takes for a task without work, and the bytes of a kept record. --record writes them as JSON, with the
versions and the commit; benchmarks/cluster.json is such a record.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from study import GRIDS, IN_LEVELS, LAW, METHODS

WORKERS = 4
TASKS = 2000  # without work
KILLED_AT = (100, 300)  # runs done
WITH_RHO_3 = {"kind": "karras", "rho": 3.0, **IN_LEVELS}
STEPS = [5, 8, 10, 12, 16, 20, 25, 32, 40, 50]
RUN = {
    "methods": [*METHODS, "exp-adams-2", "unipc-3"],
    "steps": STEPS,
    "metrics": ["tv", "kl", "w2", "trajectory"],
    "points": 501,
}


def main(record: Path | None) -> None:
    """Run both, compare them, print, and write the record."""
    from distributed import LocalCluster

    from samplerproof.numerics.studies.config import parse
    from samplerproof.numerics.studies.run import run
    from samplerproof.numerics.support.files import write_text
    from samplerproof.numerics.support.manifest import of_benchmark

    study = parse({"target": LAW, "schedule": {"kind": "vp-linear"}, "grid": [*GRIDS, WITH_RHO_3], "run": RUN})
    killed: list[int] = []
    with (
        TemporaryDirectory() as folder,
        LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=50
        ) as cluster,
    ):
        overhead = seconds_of_a_task(cluster)

        def kill(done: int, total: int, label: str) -> None:
            if done in KILLED_AT:
                killed.append(cluster.workers[len(killed)].pid)
                os.kill(killed[-1], signal.SIGKILL)

        started = time.perf_counter()
        many = run(study, Path(folder) / "many", kill, scheduler=cluster.scheduler_address)
        of_many = time.perf_counter() - started
        size = (Path(folder) / "many" / "records.sqlite").stat().st_size / len(many["records"])
    started = time.perf_counter()
    one = run(study, None)
    of_one = time.perf_counter() - started
    found: dict[str, Any] = {
        "records": len(many["records"]),
        "equal": many["records"] == one["records"],
        "workers": WORKERS,
        "killed": len(set(killed)),
        "seconds": {"workers": round(of_many, 1), "one process": round(of_one, 1)},
        "milliseconds_of_a_task": round(1000 * overhead, 2),
        "bytes_of_a_record": round(size),
    }
    print(json.dumps(found, indent=1))
    if record is not None:
        found |= of_benchmark()
        write_text(record, json.dumps(found, indent=1) + "\n")


def seconds_of_a_task(cluster: Any) -> float:
    """Seconds from submission to result of a task without work, over many that are submitted at once."""
    from distributed import Client, as_completed

    with Client(cluster) as client:
        client.submit(abs, -1).result()
        started = time.perf_counter()
        for future in as_completed([client.submit(abs, -k, pure=False) for k in range(TASKS)]):
            future.result()
        return (time.perf_counter() - started) / TASKS


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A study on four workers, two of which are killed.")
    parser.add_argument("--record", type=Path, help="write the figures there")
    main(parser.parse_args().record)
