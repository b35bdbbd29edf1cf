"""Studies and lists that processes share: the records of one process, to the bit, also where workers are killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import samplerproof as sp
from samplerproof.book.studies import verification
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.studies.config import Study, Verification, parse
from samplerproof.numerics.studies.run import run
from samplerproof.numerics.support import manifest

STUDY = """
[target]
weights = [0.3, 0.7]
means = [[-1.2, 0.0], [0.9, 0.2]]
stds = [0.5, 0.35]
[schedule]
kind = "edm"
[[grid]]
kind = "karras"
sigma_min = 0.01
sigma_max = 80
rho = 7
[[grid]]
kind = "uniform-lambda"
t_max = 80
t_min = 0.01
[run]
methods = ["ddim", "dpm-solver++-2m", "sa-solver-2?tau=1/2"]
steps = [8, 16]
metrics = ["trajectory", "moments"]
samples = 200
"""
RUNS = 12


def study() -> Study:
    """The study, anew."""
    found = parse(tomllib.loads(STUDY))
    assert isinstance(found, Study)
    return found


@pytest.fixture(scope="module")
def alone() -> list[dict[str, Any]]:
    """The records of one process."""
    records: list[dict[str, Any]] = run(study(), None)["records"]
    return records


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A scheduler on this machine with two workers, each a process that is started again when it dies."""
    distributed = pytest.importorskip("distributed")
    made = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=50
    )
    with made:
        yield made


@pytest.mark.parametrize(
    ("workers", "scheduler", "line"),
    [
        (0, None, "workers: got 0; a whole number from 1 to 256"),
        (257, None, "workers: got 257; a whole number from 1 to 256"),
        (2, "tcp://127.0.0.1:9", "workers: got 2; left out beside a scheduler"),
        (1, "nowhere", "scheduler: got 'nowhere'; the address of a running scheduler"),
    ],
)
def test_a_wrong_number_or_address_is_one_line_and_nothing_is_written(
    tmp_path: Path, workers: int, scheduler: str | None, line: str
) -> None:
    """Assert the message, and that no folder is made."""
    if scheduler == "nowhere":
        pytest.importorskip("distributed")
    with pytest.raises(InputError) as fault:
        run(study(), tmp_path / "out", workers=workers, scheduler=scheduler)
    assert str(fault.value).startswith(line)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_processes_measure_what_one_does_and_a_killed_one_loses_its_run(
    tmp_path: Path, alone: list[dict[str, Any]]
) -> None:
    """Assert the same records, once undisturbed, asked for by `sp.study`, and once with a process killed, of which none
    is left.
    """
    assert sp.study(tomllib.loads(STUDY), workers=2)["records"] == alone
    killed: list[int] = []

    def kill(done: int, total: int, label: str) -> None:
        if done == 2 and not killed:
            (first, *_) = multiprocessing.active_children()
            assert first.pid is not None
            killed.append(first.pid)
            os.kill(first.pid, signal.SIGKILL)

    answer = run(study(), tmp_path / "killed", kill, workers=2)
    assert killed
    assert answer["records"] == alone
    assert answer["manifest"]["computed"] == len(alone)
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_on_the_line_processes_measure_in_shares_what_one_does_together() -> None:
    """Assert the same records: a process of a pool runs four samplers of a grid at once, and this one all of them."""
    target = {"weights": [0.3, 0.7], "means": [-3.0, 3.0], "stds": [0.5, 0.35]}
    names = ["ddim", "unipc-3", "dpm-solver-3s", "edm-heun", "exp-adams-3"]
    run = {"methods": names, "steps": [8, 40], "metrics": ["trajectory"], "points": 201}
    asked = {**tomllib.loads(STUDY), "target": target, "run": run}
    assert sp.study(asked, workers=2)["records"] == sp.study(asked)["records"]


@pytest.mark.slow
def test_a_cluster_measures_what_one_process_does_though_its_workers_are_killed(
    tmp_path: Path, alone: list[dict[str, Any]], cluster: Any
) -> None:
    """Assert the same records after each of the two workers was killed, and that all are read again from the store."""
    killed: list[int] = []

    def kill(done: int, total: int, label: str) -> None:
        if done in (2, 6) and len(killed) < (1 if done == 2 else 2):
            worker = cluster.workers[len(killed)]
            killed.append(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)

    answer = run(study(), tmp_path, kill, scheduler=cluster.scheduler_address)
    assert len(set(killed)) == 2
    assert answer["records"] == alone
    again = run(study(), tmp_path, scheduler=cluster.scheduler_address)
    assert again["manifest"]["reused"] == len(alone)
    assert json.dumps(again["records"]) == json.dumps(alone)


@pytest.mark.slow
def test_a_worker_verifies_what_is_installed_and_what_is_not_stays_here(
    tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert a verdict that a worker reached with a process of its own, and one on a module that is no package."""

    def stand_in(target: str, *_question: Any, **_options: Any) -> dict[str, Any]:
        return {"target": target, "verdict": "identical", "findings": []}

    # Workers have the function itself: what is sent is its name.
    alone = verification.verdict_record
    stand_in.__module__, stand_in.__qualname__ = alone.__module__, alone.__qualname__
    monkeypatch.setattr(verification, "verdict_record", stand_in)
    listed = Verification(targets=["diffusers:DDIMScheduler?clip_sample=false", "mine:euler"], steps=4)
    sent, kept = verification.run_verification(listed, tmp_path, scheduler=cluster.scheduler_address)["records"]
    assert [sent[name] for name in ("verdict", "matches", "reference")] == ["roundoff", ["ddim"], "ddim"]
    assert kept == stand_in("mine:euler")


@pytest.mark.slow
def test_a_list_goes_on_though_a_worker_is_killed_and_needs_the_same_libraries(
    tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert a verdict on every target, none computed twice, and a line on a library of another version."""
    targets = [f"diffusers:{name}Scheduler" for name in ("DDIM", "DDPM", "PNDM", "Euler", "Heun", "LMS")]
    listed = Verification(targets=targets, steps=4)

    def stand_in(target: str, *_question: Any, **_options: Any) -> dict[str, Any]:
        time.sleep(0.4)
        return {"target": target, "verdict": "identical", "findings": [], "by": os.getpid()}

    monkeypatch.setattr(verification, "verdict_record", stand_in)
    killed: list[int] = []

    def kill(done: int, total: int, label: str) -> None:
        if not killed:
            busy = next(state for state in cluster.scheduler.workers.values() if state.processing)
            (worker,) = (worker for worker in cluster.workers.values() if worker.worker_address == busy.address)
            killed.append(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)

    address = cluster.scheduler_address
    found = verification.run_verification(listed, tmp_path / "out", kill, scheduler=address)["records"]
    assert killed
    assert [record["target"] for record in found] == targets
    assert os.getpid() not in {record["by"] for record in found}
    again = verification.run_verification(listed, tmp_path / "out", scheduler=address)["records"]
    assert again == found
    monkeypatch.setattr(verification, "versions", lambda target: {"diffusers": "0.1"})
    with pytest.raises(InputError, match=r"diffusers 0\.1, as here, on all workers; not on tcp"):
        verification.run_verification(listed, tmp_path / "other", scheduler=address)
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_workers_of_another_version_and_none_are_refused(
    tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert one line for each: the code of the workers differs from ours; the scheduler has no workers."""
    ours = manifest.versions()
    monkeypatch.setattr(manifest, "versions", lambda: {**ours, "torch": "0"})
    manifest.fingerprint.cache_clear()
    with pytest.raises(InputError, match="this version of samplerproof, torch, numpy, scipy and Python on all workers"):
        run(study(), tmp_path / "other", scheduler=cluster.scheduler_address)
    monkeypatch.undo()
    manifest.fingerprint.cache_clear()
    cluster.scale(0)
    cluster.sync(cluster._correct_state)
    with pytest.raises(InputError, match="a scheduler with workers"):
        run(study(), tmp_path / "none", scheduler=cluster.scheduler_address)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"workers": 0}, "workers: got 0; a whole number from 1 to 256"),
        ({"workers": 2.0}, "workers: got 2.0; a whole number"),
        ({"scheduler": 8786}, "scheduler: got 8786; the address of a scheduler, or None"),
    ],
)
def test_from_python_what_is_wrong_is_one_line(given: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as fault:
        sp.study(tomllib.loads(STUDY), **given)
    assert str(fault.value).startswith(line)
