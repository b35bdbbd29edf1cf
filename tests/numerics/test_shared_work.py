"""Processes that share an output folder share its work, whatever happens to one of them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from samplerproof.numerics.studies import shared_work
from samplerproof.numerics.studies.shared_work import FILE, claiming, shared
from samplerproof.numerics.studies.store import Value, opened

PIECES = 24
# Works through the pieces, printing the number of each on standard output; `at` is what happens in a piece.
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from samplerproof.numerics.studies import shared_work
from samplerproof.numerics.studies.store import Value, opened

folder, at = Path(sys.argv[1]), sys.argv[2]
shared_work.PATIENCE = float(sys.argv[3])
while not (folder / "go").exists():
    time.sleep(0.005)

def compute(k):
    print(k, flush=True)
    time.sleep(0.02)
    if k == 3 and at != "none":
        os.kill(os.getpid(), getattr(signal, at))
    store.put([({"piece": k}, Value(k, k / 7))])
    return Value(k, k / 7)

with opened(folder) as store, shared_work.claiming(folder) as claims:
    names = [f"piece {k}" for k in range(int(sys.argv[4]))]
    found = dict(shared_work.shared(claims, names, lambda k: store.get({"piece": k}), compute))
    assert found == {k: Value(k, k / 7) for k in range(len(names))}
"""


def started(folder: Path, at: str = "none", patience: float = 60.0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(folder), at, str(patience), str(PIECES)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_nothing_is_computed_twice(tmp_path: Path) -> None:
    """Assert of four processes that begin at once that every piece is computed by one, and that all have all."""
    processes = [started(tmp_path) for _ in range(4)]
    (tmp_path / "go").touch()
    computed = [[int(k) for k in process.communicate(timeout=60)[0].split()] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert Counter(k for one in computed for k in one) == Counter(range(PIECES))
    assert sum(map(bool, computed)) > 1
    assert not (tmp_path / FILE).exists()


@pytest.mark.tried("processes killed or stopped")
@pytest.mark.parametrize(("at", "patience", "least"), [("SIGKILL", 600.0, 0.0), ("SIGSTOP", 0.5, 0.5)])
def test_a_process_that_ends_or_is_stopped_holds_nobody_up(
    tmp_path: Path, at: str, patience: float, least: float
) -> None:
    """Assert that its piece alone is computed again: at once if it was killed, after a while if it was stopped."""
    (tmp_path / "go").touch()
    lame = started(tmp_path, at)
    assert lame.stdout is not None
    assert [int(lame.stdout.readline()) for _ in range(4)] == [0, 1, 2, 3]
    time.sleep(0.1)
    begun = time.monotonic()
    other = started(tmp_path, patience=patience)
    computed = [int(k) for k in other.communicate(timeout=120)[0].split()]  # less than its patience
    assert other.returncode == 0
    assert sorted(computed) == list(range(3, PIECES))
    assert computed[-1 if at == "SIGSTOP" else 0] == 3
    assert least < time.monotonic() - begun
    if at == "SIGSTOP":
        lame.send_signal(signal.SIGCONT)  # it ends its piece, and finds the others
        assert lame.communicate(timeout=120)[0] == ""
        assert lame.returncode == 0
    else:
        lame.communicate(timeout=120)
        with claiming(tmp_path):
            pass
    assert not (tmp_path / FILE).exists()


def test_without_locks_everything_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that where the system has no such locks the work is done all the same."""
    monkeypatch.setattr(shared_work, "fcntl", None)
    with opened(tmp_path) as store, claiming(tmp_path) as claims:
        done = shared(claims, ["a", "b"], lambda k: store.get({"piece": k}), lambda k: Value(k, 0.5))
        assert dict(done) == {0: Value(0, 0.5), 1: Value(1, 0.5)}
    assert not (tmp_path / FILE).exists()
