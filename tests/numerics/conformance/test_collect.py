"""Files of a child are not trusted: each is a well-formed answer, or a line reports why it is not."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from samplerproof.numerics.conformance.adapters.resolve import resolve
from samplerproof.numerics.conformance.process import child as work
from samplerproof.numerics.conformance.process import collect
from samplerproof.numerics.conformance.process.collect import ChildResults
from samplerproof.numerics.conformance.process.launch import Job, Outcome, settings
from samplerproof.numerics.conformance.process.taken_together import OVER
from samplerproof.numerics.conformance.process.trace_transfer import plain_trace
from samplerproof.numerics.conformance.report import Failure
from samplerproof.numerics.conformance.verify import judged
from samplerproof.numerics.readback import trace

TARGET = resolve("hostile:euler")
INFO = asdict(replace(TARGET.info, grids=(), zero=None))
TRACE = plain_trace(trace(TARGET.on(4), TARGET.prediction))
ENDING = Failure("exit", "ended the process with code 0")
JOBS = (Job(4, False), Job(4, True))


def left(folder: Path, name: str, plain: Any) -> None:
    torch.save(plain, folder / name)


def whole(folder: Path) -> None:
    """The answers of a child that does as it should."""
    left(folder, "target", {"nonce": "n", "info": INFO})
    for k in range(len(JOBS)):
        left(folder, f"job-{k}", {"nonce": "n", "trace": TRACE, "failure": None, "state": ["prints"], "departures": ()})
    (folder / "settings").write_text("0", encoding="utf-8")


def child(folder: Path) -> Outcome:
    """One that is over."""
    return Outcome(folder, "n", JOBS, False, None, 0, b"", ())


def read(folder: Path) -> ChildResults:
    return collect._job_results(child(folder), ENDING)


def test_an_answer_is_read_as_it_was_left(tmp_path: Path) -> None:
    """Assert that a well-formed answer passes the checks below; a job without an answer has the ending."""
    whole(tmp_path)
    answer = read(tmp_path)
    assert answer.info is not None
    for outcome in answer.jobs:
        assert outcome.failure is None
        assert outcome.state == ("prints",)
        assert outcome.trace is not None
        assert torch.equal(outcome.trace.vectors, TRACE["vectors"])
        assert (outcome.trace.points, outcome.trace.timesteps) == (tuple(map(tuple, TRACE["points"])), None)
    (tmp_path / "job-1").unlink()
    assert read(tmp_path).jobs[1].failure == ENDING


def changed(**fields: Any) -> Callable[[Path], object]:
    """The first job's trace with other fields."""
    plain = {"nonce": "n", "trace": {**TRACE, **fields}, "failure": None, "state": [], "departures": []}
    return lambda folder: left(folder, "job-0", plain)


def instead(**fields: Any) -> Callable[[Path], object]:
    """The first job's answer with other fields."""
    plain = {"nonce": "n", "trace": None, "failure": ("error", "no", 1), "state": [], "departures": [], **fields}
    return lambda folder: left(folder, "job-0", {key: value for key, value in plain.items() if value != "none"})


def info(**fields: Any) -> Callable[[Path], object]:
    return lambda folder: left(folder, "target", {"nonce": "n", "info": {**INFO, **fields}})


def replaced(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    def go(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return go


V = TRACE["vectors"]
GARBLED: dict[str, Callable[[Path], object]] = {
    "no vectors": changed(vectors=None),
    "vectors of float32": changed(vectors=V.float()),
    "vectors of one axis": changed(vectors=V.flatten()),
    "a vector too few": changed(vectors=V[1:]),
    "no columns": changed(vectors=V[:, :0]),
    "a sparse tensor": changed(vectors=V.to_sparse()),
    "vectors as a list": changed(vectors=V.tolist()),
    "a point too few": changed(points=TRACE["points"][1:]),
    "points of text": changed(points=["a"] * len(V)),
    "points of six": changed(points=[(1.0,) * 6] * len(V)),
    "steps of text": changed(step=("1",) * len(V)),
    "steps beyond the grid": changed(step=(0, 1, 2, 3, 10**9)),
    "steps of booleans": changed(step=(True,) * len(V)),
    "nothing evaluated": changed(evaluated=(False,) * len(V)),
    "evaluated in numbers": changed(evaluated=(1,) * len(V)),
    "no grid": changed(grid=()),
    "numbers that are a list": changed(numbers=[1.0]),
    "numbers too few": changed(numbers={"tau": (1.0,)}),
    "superposition of text": changed(superposition="none"),
    "another prediction": changed(prediction="poem"),
    "another dtype": changed(dtype=torch.int8),
    "a dtype by name": changed(dtype="float32"),
    "mutated by number": changed(mutated=(1,)),
    "timesteps too few": changed(timesteps=((1.0,), (1.0,), (1.0,), 0.0)),
    "timesteps of text": changed(timesteps="yes"),
    "an unknown field": changed(extra=1),
    "a missing field": lambda folder: left(
        folder, "job-0", {"nonce": "n", "trace": {}, "failure": None, "state": [], "departures": []}
    ),
    "neither trace nor failure": instead(failure=None),
    "both": instead(trace=TRACE),
    "a failure of numbers": instead(failure=(1, 2, 3)),
    "a failure of many parts": instead(failure=("error", "no", 1, 2)),
    "a failure in two lines": instead(failure=("error", "no\nyes", 1)),
    "a failure without end": instead(failure=("error", "no" * 100_000, 1)),
    "state of text": instead(state="prints"),
    "state of objects": instead(state=[None]),
    "no state": instead(state="none"),
    "no nonce": instead(nonce="none"),
    "another nonce": instead(nonce="m"),
    "a list": lambda folder: left(folder, "job-0", [1, 2]),
    "a module": lambda folder: left(folder, "job-0", torch.nn.Linear(2, 2)),
    "an empty file": lambda folder: (folder / "job-0").write_bytes(b""),
    "a torn file": lambda folder: (folder / "job-0").write_bytes((folder / "job-0").read_bytes()[:-100]),
    "text": lambda folder: (folder / "job-0").write_text("conforms", encoding="utf-8"),
    "too long": lambda folder: os.truncate(folder / "job-0", collect.LONGEST_ANSWER + 1),
    "a link": replaced("job-0", lambda path: path.symlink_to("job-1")),
    "a link to a device": replaced("job-0", lambda path: path.symlink_to("/dev/zero")),
    "a link to itself": replaced("job-0", lambda path: path.symlink_to("job-0")),
    "a pipe": replaced("job-0", os.mkfifo),
    "a folder": replaced("job-0", Path.mkdir),
    "info: a text": lambda folder: left(folder, "target", {"nonce": "n", "info": "euler"}),
    "info: a process": info(process="poem"),
    "info: an order": info(advertised_order="high"),
    "info: variants": info(variants=(1, 2)),
    "info: a name": info(name=["x"]),
    "info: nothing": lambda folder: left(folder, "target", {"nonce": "n"}),
    "target: a failure": lambda folder: left(folder, "target", {"nonce": "n", "failure": {"kind": 1}}),
    "target: a pipe": replaced("target", os.mkfifo),
    "target: no nonce": lambda folder: left(folder, "target", {"info": INFO}),
}


FIELDS = ("an unknown field", "a missing field", "no state", "target: a failure")


@pytest.mark.tried("answers of a child forged or garbled")
@pytest.mark.parametrize(("name", "garble"), GARBLED.items(), ids=GARBLED)
def test_a_malformed_answer_is_reported(name: str, garble: Callable[[Path], object], tmp_path: Path) -> None:
    """Assert one line, the verdict error and exit code 2, for every content."""
    whole(tmp_path)
    garble(tmp_path)
    verdict = judged(read(tmp_path), "hostile:euler", 4, None)
    assert verdict.verdict == "error"
    assert verdict.exit_code == 2
    (finding,) = verdict.findings
    assert "is malformed: " in finding.detail
    assert ("has the fields" in finding.detail) == (name in FIELDS)
    assert "\n" not in finding.detail
    assert len(finding.detail) < 500


@pytest.mark.tried("hostile samplers")
def test_no_terminal_interprets_a_message(tmp_path: Path) -> None:
    """Assert that control characters come out as Python writes them, and other text as it is."""
    whole(tmp_path)
    instead(failure=("error", "\x1b[2J\u202eσ = 1", 1), state=["prints \x1b]0;x\x07"])(tmp_path)
    answer = read(tmp_path).jobs[0]
    assert answer.failure is not None
    assert (answer.failure.message, answer.state) == (r"\x1b[2J\u202eσ = 1", (r"prints \x1b]0;x\x07",))
    (tmp_path / "stderr").write_text("\x1b[2J", encoding="utf-8")
    assert collect._ending(child(tmp_path)).message == r"the child process did not start: \x1b[2J"


def test_the_limit_that_processes_pass_is_named(tmp_path: Path) -> None:
    """Assert the line for each, and that it needs the folder."""
    (tmp_path / "ready").touch()
    for name, message in OVER.items():
        (tmp_path / "ended").write_text(name, encoding="utf-8")
        assert collect._ending(child(tmp_path)).message == message
    assert "folder" in collect._ending(child(tmp_path / "nowhere")).message


@pytest.mark.parametrize("text", ["", "x", "9" * 10_000, "-1", "\x00", "3 4", "٣"])
def test_notes_without_a_number_are_ignored(text: str, tmp_path: Path) -> None:
    """Assert that the step, the number of settings and the exit code are read only where they are numbers."""
    for name in ("progress", "settings", "ended", "stderr"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "ready").touch()
    assert collect._progress(tmp_path, 3) == (4 if text == "3 4" else None)
    assert settings(tmp_path) == 0
    assert collect._ending(child(tmp_path)).kind in ("exit", "crash")


def test_where_there_are_no_limits_none_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that the child starts on a system that has no module for them."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    monkeypatch.setitem(sys.modules, "resource", None)
    work._limit()
    assert resource.getrlimit(resource.RLIMIT_CORE) == before
