"""The benchmarks run, and say what they did not measure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]


def gpu(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/gpu.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_the_device_benchmark_runs_on_a_cpu(tmp_path: Path) -> None:
    """Assert a whole record, and that graphs and kernels are not claimed where there is no CUDA device."""
    done = gpu("--device", "cpu", "--quick", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "not measured" in done.stdout
    (path,) = tmp_path.iterdir()
    record = json.loads(path.read_text(encoding="utf-8"))
    assert {"device", "versions", "commit", "dirty", "diffusers", "command", "seconds"} <= set(record)
    assert len(record["rows"]) == 2 * 3 * 3
    for row in record["rows"]:
        assert set(row["not_measured"]) == {"graph", "kernels"}
        solvers = {"diffusers", "ours", "unchecked"}
        assert set(row["times_as_fast"]) == solvers
        assert set(row["microseconds"]) == (solvers | {"model"} if row["model"] == "unet" else solvers)
        assert all(value > 0 for value in row["microseconds"].values())
        assert (row["solver_share"] is None) == (row["model"] == "none")
        assert row["kernels"] is None


def test_a_device_that_is_not_there_is_one_line() -> None:
    if not torch.cuda.is_available():
        done = gpu("--device", "cuda", "--quick")
        assert done.returncode == 2
        assert done.stderr.startswith("--device: got 'cuda'")
        assert done.stderr.count("\n") == 1
