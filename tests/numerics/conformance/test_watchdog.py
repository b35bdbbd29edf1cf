"""Five seconds after the process that verifies has ended, by any signal, no process and no folder is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from samplerproof.numerics.conformance.process import taken_together, watchdog
from samplerproof.numerics.conformance.process.taken_together import limit_passed
from samplerproof.numerics.conformance.process.warm_parent import UNKNOWN, WarmParent, Watchdog
from samplerproof.numerics.conformance.process.working_folder import MOST, Surroundings

TESTS = Path(__file__).resolve().parents[2] / "support"
VERIFY = "from samplerproof.cli.main import run; run()"
# What verify does with the child, without the time that torch takes to load.
LAUNCH = """
import time
from samplerproof.numerics.conformance.process.launch import Job, launched
with launched("hostile:breeds_and_hangs", [Job(5, True)]) as child:
    time.sleep(1000)
"""
# Ends a process that sleeps; then nothing, where it is not to wait.
ENDS = """
import os, subprocess, sys, time
from samplerproof.numerics.conformance.process import watchdog
sleeping = subprocess.Popen(["sleep", "1000"])
watchdog.adopt_orphans()
started = time.monotonic()
print(watchdog._end_the_rest(sleeping.pid), watchdog.descendants(os.getpid()), watchdog._end_the_rest(sleeping.pid))
print(time.monotonic() - started < watchdog.PATIENCE)
"""
STUDY = """[verification]
targets = ["hostile:breeds_and_hangs", "hostile:euler"]
against = { "hostile:euler" = "ddim" }
timeout = 1000.0
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def marked(folder: Path, command: int) -> list[int]:
    """Processes whose environment or command line names that folder, but for the command itself."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in (os.getpid(), command):
            try:
                text = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in text and alive(int(entry.name)):
                found.append(int(entry.name))
    return found


def _receptive() -> None:
    """Signals that whoever started the tests ignores, as nohup does, have their effect again."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def ended(tmp_path: Path, program: str, arguments: tuple[str, ...], number: int) -> int:
    """The exit code after a signal in the middle, once nothing is left."""
    temporary, pids, here = (tmp_path / name for name in ("temporary", "children", "here"))
    temporary.mkdir()
    here.mkdir()
    (here / "list.toml").write_text(STUDY, encoding="utf-8")
    environment = {"TMPDIR": str(temporary), "HOSTILE_CHILDREN": str(pids), "PYTHONPATH": str(TESTS)}
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=here,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_receptive,
    )
    try:
        deadline = time.monotonic() + 120
        started: list[int] = []
        while len(started) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
            started = [int(pid) for pid in pids.read_text(encoding="utf-8").split()] if pids.exists() else []
        assert len(started) == 4
        assert all(map(alive, started))
        assert list(temporary.iterdir())
        process.send_signal(number)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if not any(map(alive, started)) and not marked(temporary, process.pid) and not list(temporary.iterdir()):
                break
            time.sleep(0.05)
        assert not any(map(alive, started))
        assert marked(temporary, process.pid) == []
        assert list(temporary.iterdir()) == []
        _, errors = process.communicate(timeout=120)  # a busy machine takes its time to unload torch
        assert "Traceback" not in errors
    finally:
        process.kill()
        process.communicate()
    return process.returncode


@pytest.mark.tried("processes killed or stopped")
def test_a_killed_parent_leaves_nothing(tmp_path: Path) -> None:
    """Assert it of the processes that the target started, too, in sessions of their own and without a parent."""
    assert ended(tmp_path, LAUNCH, (), signal.SIGKILL) == -signal.SIGKILL


def test_what_is_left_is_ended_and_nothing_is_waited_for() -> None:
    """Assert the exit code of the child, that nothing is left, and that the end comes as soon as nothing is."""
    done = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["-9 [] None", "True"]


@pytest.mark.slow
@pytest.mark.tried("processes killed or stopped")
@pytest.mark.parametrize(
    ("command", "number", "code"),
    [
        ("verify", signal.SIGTERM, 143),
        ("verify", signal.SIGINT, 130),
        ("study", signal.SIGHUP, 129),  # the handler of SIGTERM
        ("study", signal.SIGINT, 130),
        ("study", signal.SIGKILL, -9),
    ],
)
def test_a_command_that_is_ended_leaves_nothing(tmp_path: Path, command: str, number: int, code: int) -> None:
    """Assert it of every signal, and the exit code; and that no verdict is kept of what was ended. Of `verify`, which a
    signal that no process can handle ends as it does the process above, SIGKILL is tried there.
    """
    verify = ("verify", "hostile:breeds_and_hangs", "--timeout", "1000", "--sweep")
    assert ended(tmp_path, VERIFY, verify if command == "verify" else ("study", "list.toml"), number) == code
    for file in (tmp_path / "here").glob("results/list/**/*"):
        assert file.is_dir() or file.read_bytes().find(b"breeds") < 0


@pytest.mark.tried("hostile samplers")
def test_processes_have_limits_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that each limit is seen where it is passed, by a child of a child too, and not before."""
    child = "import os, time; os.fork(); print(flush=True); time.sleep(1000)"
    with subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.read(2) == b"\n\n"
        root = os.getpid()
        try:
            assert limit_passed(process.pid) is None
            for limit, key in (("MEMORY", "memory"), ("WRITTEN", "written"), ("TASKS", "tasks")):
                monkeypatch.setattr(taken_together, limit, 0)
                assert limit_passed(process.pid) == key
            monkeypatch.setattr(taken_together, "TASKS", 1)
            assert limit_passed(root) == "tasks"
            monkeypatch.setattr(watchdog, "_all", lambda: [process.pid, *watchdog.descendants(process.pid)])
            assert watchdog.tasks_of_user() == 2
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.tried("hostile samplers")
def test_what_a_marked_process_starts_while_it_is_ended_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that marked processes are sought until none is left, and others are left alone."""
    there = [[1, 2, 3], [1, 3, 4], [1]]
    ended: list[int] = []
    monkeypatch.setattr(watchdog, "_all", lambda: there.pop(0))
    monkeypatch.setattr(
        watchdog, "_environment", lambda p: b"A=b\0" + f"{watchdog.MARK}={'x' if p == 1 else 'here'}".encode()
    )
    monkeypatch.setattr(watchdog, "kill", ended.append)
    watchdog.end_marked("here")
    assert (ended, there) == ([2, 3, 3, 4], [])


@pytest.mark.tried("hostile samplers")
@pytest.mark.parametrize(
    ("text", "code"), [(b"0\n", 0), (b"-9\n", -9), (b"", UNKNOWN), (b"0\n0\n", UNKNOWN), (b"\xff", UNKNOWN)]
)
def test_an_exit_code_that_a_sampler_wrote_is_unknown(text: bytes, code: int) -> None:
    """Assert that what is no number ends the wait as the end of the process does."""
    read, write = os.pipe()
    os.write(write, text)
    os.close(write)
    parent = WarmParent()
    with open(os.devnull, "wb") as nothing:
        assert Watchdog(0, nothing, read, parent).poll() == code
    parent.close()


def test_the_surroundings_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that of many files the upper ones are looked at, that a folder counts once, and that names are few."""
    for n in range(MOST):
        (tmp_path / f"{n}.txt").touch()
    for name in ("deep/a/b/c/d", "gone/a/b", ".hidden/a", "__pycache__"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").touch()
    monkeypatch.chdir(tmp_path)
    assert len(Surroundings.now().entries) == MOST
    for n in range(MOST):
        (tmp_path / f"{n}.txt").unlink()
    before = Surroundings.now()
    assert before.changes() == ()
    for name in ("deep/a/b/c/d", ".hidden/a", "__pycache__"):
        (tmp_path / name / "file").unlink()
        (tmp_path / name / "another").touch()
    assert before.changes() == ()
    for name in ("gone/a/b", "gone/a", "gone"):
        for file in (tmp_path / name).iterdir():
            file.unlink() if file.is_file() else file.rmdir()
    (tmp_path / "gone").rmdir()
    (tmp_path / "deep" / "link").symlink_to("nowhere")
    assert before.changes() == ("while it ran, 'gone' in the folder it was started in was deleted",)
    for n in range(5):
        (tmp_path / f"made {n}").touch()
    assert before.changes()[1].startswith("while it ran, 'made 0', 'made 1', 'made 2' and 2 more in the folder")
