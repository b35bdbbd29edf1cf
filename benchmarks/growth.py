"""How the cost of a study grows: CPU seconds against methods, grids, steps, dimensions, components and samples.

    python benchmarks/growth.py [--record FILE]

One size of a study of deterministic samplers on a mixture is doubled at a time, from BASE on. The exponent is that of
the last doubling, log2 of the ratio of the seconds: 1 where the cost is proportional, less where a part of it does not
grow. Memory is what the study is estimated to take, before anything is allocated; printed is the largest size, in
doublings, that fits into MEMORY, or that a field of the file may have. --record writes the figures as JSON, with the
versions and the commit; benchmarks/growth.json is such a record.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from study import METHODS

from samplerproof.numerics.errors import InputError
from samplerproof.numerics.studies.config import Study, parse
from samplerproof.numerics.studies.cost import study_cost
from samplerproof.numerics.studies.run import run
from samplerproof.numerics.support.consent import Consent
from samplerproof.numerics.support.files import write_text
from samplerproof.numerics.support.manifest import of_benchmark

BASE = {"methods": 2, "grids": 1, "steps": 20, "dimensions": 2, "components": 4, "samples": 250}
DOUBLINGS = {"methods": 2, "grids": 2, "steps": 2, "dimensions": 3, "components": 3, "samples": 3}
MEMORY = 8e9  # bytes
REPEATS = 3


def study_of(sizes: dict[str, int]) -> Study:
    """A study of these sizes; its grids differ in rho."""
    count, drawn = sizes["components"], torch.Generator().manual_seed(0)
    law = {
        "weights": [1 / count] * count,
        "means": torch.randn(count, sizes["dimensions"], generator=drawn, dtype=torch.float64).tolist(),
        "stds": [0.3] * count,
    }
    grids = [
        {"kind": "karras", "sigma_min": 0.02, "sigma_max": 80.0, "rho": 2.0 + n / 2} for n in range(sizes["grids"])
    ]
    asked = {"methods": METHODS[: sizes["methods"]], "steps": [sizes["steps"]], "metrics": ["trajectory"]}
    data = {"target": law, "schedule": {"kind": "edm"}, "grid": grids}
    found = parse({**data, "run": asked | {"samples": sizes["samples"]}})
    assert isinstance(found, Study)
    return found


def seconds(sizes: dict[str, int]) -> float:
    """CPU seconds of a study on one thread, the least of REPEATS runs: other work on the machine only adds to them."""
    found = []
    for _ in range(REPEATS):
        study, start = study_of(sizes), time.process_time()
        run(study, None, consent=Consent(large=True))
        found.append(time.process_time() - start)
    return min(found)


def fits(name: str) -> dict[str, Any]:
    """The largest size, in doublings, and what ends it: memory, or the limit of a field."""
    if name in ("methods", "grids"):
        return {"largest": None, "ended_by": "none: runs follow one another"}
    size = BASE[name]
    while True:
        try:
            needed = study_cost(study_of(BASE | {name: 2 * size})).bytes
        except InputError as fault:
            return {"largest": size, "ended_by": f"limit of {fault.field}"}
        if needed > MEMORY:
            return {"largest": size, "ended_by": "memory"}
        size *= 2


def main(record: Path | None) -> None:
    torch.set_num_threads(1)
    seconds(BASE | {"methods": len(METHODS)})  # which loads what all need
    base = seconds(BASE)
    rows = []
    print(f"CPU seconds on one thread; {', '.join(f'{name} {value}' for name, value in BASE.items())}: {base:.2f}")
    for name, doublings in DOUBLINGS.items():
        values = [BASE[name] * 2**k for k in range(doublings + 1)]
        taken = [base, *(seconds(BASE | {name: value}) for value in values[1:])]
        exponents = [math.log2(later / before) for before, later in pairwise(taken)]
        rows.append({"size": name, "values": values, "cpu_seconds": [round(s, 3) for s in taken]})
        rows[-1] |= {"exponent": round(exponents[-1], 2), **fits(name)}
        shown = "  ".join(f"{value}: {second:.2f}" for value, second in zip(values, taken, strict=True))
        end = f"to {rows[-1]['largest']} ({rows[-1]['ended_by']})" if rows[-1]["largest"] else rows[-1]["ended_by"]
        print(f"  {name:11s} {shown}   exponent {exponents[-1]:.2f}   {end}", flush=True)
    if record is not None:
        answer = {"base": BASE, "memory": MEMORY, "rows": rows, **of_benchmark()}
        write_text(record, json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How the CPU seconds of a study grow with its sizes.")
    parser.add_argument("--record", type=Path, help="write the figures there")
    main(parser.parse_args().record)
