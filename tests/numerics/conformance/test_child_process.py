"""Hostile samplers in a child process: an answer in one line each, and nothing happens to this process."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from shapes import first_of_each

from samplerproof.numerics.conformance.adapters.resolve import resolve
from samplerproof.numerics.conformance.process import launch
from samplerproof.numerics.conformance.process.collect import ChildResults, JobResult, collect
from samplerproof.numerics.conformance.process.global_state import guarded
from samplerproof.numerics.conformance.process.launch import Job, launched
from samplerproof.numerics.conformance.process.warm_parent import warm_parent
from samplerproof.numerics.conformance.report import Failure
from samplerproof.numerics.readback import trace

pytestmark = pytest.mark.tried("hostile samplers")
ONE = (Job(3, float64=True),)


def children() -> set[str]:
    """The children of this process, but for the warm parent."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="utf-8").split()
    with warm_parent() as warm:
        return set(found) - {str(warm.process if warm else None)}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before the file is opened, or before it is read
        return False


def probed(target: str, jobs: tuple[Job, ...] = ONE, timeout: float = 60.0) -> ChildResults:
    """The results of jobs; asserts that this process is as before and has no child left, and all messages are lines."""
    before = children()
    with guarded() as changed, launched(target, jobs) as child:
        results = collect(child, timeout)
    assert changed == []
    assert children() == before
    assert len(results.jobs) == len(jobs)
    for outcome in results.jobs:
        assert (outcome.trace is None) != (outcome.failure is None)
        for line in (outcome.failure.message if outcome.failure else "", *outcome.state):
            assert "\n" not in line
            assert "Traceback" not in line
    return results


def only(target: str, timeout: float = 60.0) -> JobResult:
    results = probed(target, timeout=timeout)
    assert results.info is not None
    assert (results.info.name, results.info.process) == (target, "ve")
    return results.jobs[0]


@pytest.mark.parametrize(
    ("name", "failure"),
    first_of_each(
        [
            ("raises", Failure("error", "ValueError: no idea what to do", None)),
            ("unspeakable", Failure("error", "Mute: an exception that cannot be shown", None)),
            ("nothing", Failure("error", "ends with NoneType, not with the sample; it was given [1, 1, 1, 1]", 2)),
            ("leaves", Failure("exit", "calls sys.exit(3)", None)),
            ("vanishes", Failure("exit", "ended the process with code 7", None)),
            ("recurs", Failure("error", "RecursionError: maximum recursion depth exceeded", None)),
            ("eats", Failure("memory", "asks for more than 4 GiB of memory", None)),
            ("crashes", Failure("crash", "the process was ended by SIGSEGV", None)),
        ],
        lambda case: case[1].kind,
    ),
)
def test_a_failure_is_one_line(name: str, failure: Failure) -> None:
    """What happened; and in which step, where it got through without values."""
    outcome = only(f"hostile:{name}")
    assert outcome.failure == failure
    assert outcome.state == ()


def test_the_time_is_limited() -> None:
    """A sampler that never ends is ended."""
    assert only("hostile:loops", timeout=1.0).failure == Failure("timeout", "still running after 1 s", None)


def test_what_came_before_the_end_is_kept() -> None:
    """The second of four jobs hangs: the first has its trace, the others are not run."""
    first, second, third, last = probed("hostile:waits", tuple(Job(n, float64=True) for n in (2, 3, 4, 5)), 1.5).jobs
    assert first.trace is not None
    assert first.trace.nfe == 2
    assert second.failure == Failure("timeout", "still running after 1.5 s", None)
    assert third.failure == Failure("timeout", "not run; the job before: still running after 1.5 s", None)
    assert last.failure == third.failure


def test_a_good_sampler_has_the_trace_of_this_process_and_no_failure() -> None:
    """Assert it in both dtypes."""
    outcomes = probed("hostile:euler", (Job(3, float64=True), Job(5, float64=False))).jobs
    for outcome, dtype in zip(outcomes, (torch.float64, torch.float32), strict=True):
        assert outcome.failure is None
        assert outcome.state == ()
        assert outcome.trace is not None
        own = trace(resolve("hostile:euler").on(outcome.job.steps), "data", dtype)
        assert torch.equal(outcome.trace.vectors, own.vectors)
        assert (outcome.trace.points, outcome.trace.grid, outcome.trace.step) == (own.points, own.grid, own.step)
        assert outcome.trace.evaluated == own.evaluated
        assert outcome.trace.superposition == own.superposition


def test_what_is_written_into_is_named() -> None:
    """The start and the model's output."""
    outcome = only("hostile:overwrites")
    assert outcome.trace is not None
    assert outcome.trace.mutated == ("start", "output 1")


def test_global_state_is_named() -> None:
    """Everything that it changes, and what it changes it to; names only of the environment."""
    (outcome,) = probed("hostile:meddles", (Job(3, float64=False),)).jobs
    assert outcome.trace is not None
    lines = " | ".join(outcome.state)
    for what in (
        "torch's default dtype: torch.float32 -> torch.float16",
        "torch's gradient mode: True -> False",
        "torch's threads",
        "torch's random numbers",
        "numpy's random numbers",
        "Python's random numbers",
        "environment: HOSTILE",
        "current folder",
        "warning filters",
        "recursion limit",
        "sys.path",
        "sys.stdout",
    ):
        assert f"changes {what}" in lines or f"changes the {what}" in lines
    assert "yes" not in lines


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("prints", ("prints on standard output: step by step",)),
        ("remembers", ()),
        ("rolls_dice", ("changes torch's random numbers",)),
    ],
)
def test_side_effects_are_reported(name: str, lines: tuple[str, ...]) -> None:
    """Printing, noise from elsewhere: a trace, and a line each; of memory between runs and such noise, a departure."""
    outcome = only(f"hostile:{name}")
    assert outcome.trace is not None
    departures = {"remembers": ["memory"], "rolls_dice": ["not-linear"]}
    assert [d.kind for d in outcome.departures] == departures.get(name, [])
    assert len(outcome.state) == len(lines)
    for line, start in zip(outcome.state, lines, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize(("name", "least"), [("breeds", 4), pytest.param("multiplies", 64, marks=pytest.mark.slow)])
def test_what_it_starts_does_not_outlive_it(
    name: str, least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes, in sessions of their own and without a parent, too; and a thread that never ends."""
    pids = tmp_path / "children"
    monkeypatch.chdir(tmp_path)
    assert only(f"hostile:{name}").trace is not None
    started = [int(pid) for pid in pids.read_text(encoding="utf-8").split()]
    assert len(started) >= least
    assert not any(alive(pid) for pid in started)


@pytest.mark.parametrize(
    ("name", "warm"),
    [
        ("kills_parent", True),
        pytest.param("kills_parent", False, marks=pytest.mark.slow),
        pytest.param("kills_all_above", True, marks=pytest.mark.slow),
        pytest.param("kills_warm_parent", True, marks=pytest.mark.slow),
        pytest.param("stops_parent", True, marks=pytest.mark.slow),
        pytest.param("stops_parent", False, marks=pytest.mark.slow),
    ],
)
def test_the_processes_that_watch_may_be_ended(
    name: str, warm: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert a line, and nothing left, when the target ends or stops its parent and those above, with a warm parent and
    without; and that the next target is verified as before, where it has that warm parent.
    """
    pids = tmp_path / "children"
    pids.touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # A warm parent of its own: that of the session is not used where another test has changed the environment since.
    monkeypatch.setattr(sys.modules[warm_parent.__module__], "_shared", [])
    monkeypatch.setattr(sys.modules[warm_parent.__module__], "WARM", warm)
    with monkeypatch.context() as impatient:
        if name == "stops_parent":  # it never ends by itself, so waiting for it shows nothing
            impatient.setattr(launch, "LAST", 0.5)
        outcome = only(f"hostile:{name}")
    if name == "kills_parent":
        assert outcome.failure == Failure("crash", "the process that watches it was ended by SIGKILL", None)
    elif name == "kills_all_above":
        assert outcome.failure == Failure("crash", "the process that watches it was ended", None)
    else:
        assert outcome.trace is not None
    deadline = time.monotonic() + 60  # its end follows that of the process that watches, at once but not before us
    while any(alive(int(pid)) for pid in pids.read_text(encoding="utf-8").split()):
        assert time.monotonic() < deadline
    assert list(tmp_path.iterdir()) == [pids]
    assert not warm or only("hostile:euler").failure is None


def test_what_watches_cannot_be_written_to() -> None:
    """Assert that a sampler that writes to every open file is read as any other."""
    assert only("hostile:scribbles").trace is not None


def test_a_folder_that_it_replaces_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that nothing is left, by either name, that the user's folder is as it was, and that one line says it."""
    temporary, victim = tmp_path / "temporary", tmp_path / "victim"
    temporary.mkdir()
    victim.mkdir()
    (victim / "precious").touch()
    monkeypatch.setenv("HOSTILE_VICTIM", str(victim))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    results = probed("hostile:swaps_folder")
    message = "it has removed or renamed the folder with its answers"
    assert (results.info, results.jobs[0].failure) == (None, Failure("error", message, None))
    deadline = time.monotonic() + launch.LAST
    while list(temporary.iterdir()):  # the process that watches removes it, after us
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (victim / "precious").exists()
    assert not (victim / "ended").exists()


@pytest.mark.slow
def test_processes_without_end_are_ended() -> None:
    """Assert it of those that a superuser starts, too, and that none is left."""
    failure = only("hostile:floods").failure
    assert failure is not None
    assert failure.message.startswith(("it starts more than 1000 processes and threads", "BlockingIOError"))
    commands = [launch.contents(path, 1 << 16) or b"" for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [command for command in commands if b"1234.5" in command]


@pytest.mark.slow
def test_a_forged_answer_is_none() -> None:
    """Assert that a file that a target writes among the answers of the child is reported as malformed."""
    first, second = probed("hostile:forges", ONE * 2).jobs
    assert first.failure == Failure("crash", "the process was ended by SIGKILL", None)
    assert second.failure == Failure("error", "its answer job-1 is malformed: probably written by the target", None)


def test_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that modules are found there, and do not stand in for what the child imports itself; that a target opens
    files by relative path; and that what it deletes, changes and makes there is reported.
    """
    (tmp_path / "mine.py").write_text("from hostile import tidies_up as sampler", encoding="utf-8")
    (tmp_path / "json.py").write_text("1 / 0", encoding="utf-8")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "weights.txt").write_text("one", encoding="utf-8")
    (tmp_path / "kept" / "changed.txt").write_text("one", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("dear diary", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    results = probed("mine:sampler")
    assert results.jobs[0].trace is not None
    assert results.folder_changes == (
        "while it ran, 'notes.txt' in the folder it was started in was deleted",
        "while it ran, 'kept/changed.txt' in the folder it was started in was changed",
        "while it ran, 'written.txt' in the folder it was started in was made",
    )


@pytest.mark.parametrize(
    ("target", "kind", "message"),
    first_of_each(
        [
            ("nowhere:euler", "input", "target: got 'nowhere:euler'; no module nowhere"),
            ("broken:sampler", "error", "ZeroDivisionError: division by zero"),
            ("needy:sampler", "error", "ModuleNotFoundError: No module named 'nowhere'"),
            ("endless:sampler", "timeout", "in its import: still running after 1 s"),
            ("gone:sampler", "exit", "in its import: ended the process with code 5"),
        ],
        lambda case: case[1],
    ),
)
def test_a_target_that_cannot_be_built(
    target: str, kind: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault stands for every job."""
    modules = {
        "broken": "1 / 0",
        "needy": "import nowhere",
        "endless": "while True: pass",
        "gone": "import os; os._exit(5)",
    }
    for name, text in modules.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    results = probed(target, ONE * 2, 1.0 if kind == "timeout" else 60.0)
    assert results.info is None
    for outcome in results.jobs:
        assert outcome.failure is not None
        assert outcome.failure.kind == kind
        assert outcome.failure.message.startswith(message)
