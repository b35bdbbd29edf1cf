"""What a command shows of its progress in a log, and what it states when Ctrl-C ends it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from samplerproof.cli import interruption, main
from samplerproof.numerics.support import progress_bar


def test_a_log_has_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Assert lines on standard error at least 20 s apart, none in shorter work, and nothing on standard output."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress_bar.progress_bar("study") as progress:
        for done in range(50):
            progress(done, 50, f"ddim, N = {done}")
            now[0] += 0.9
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "study: 23 of 50, ddim, N = 23 (21 s)",
        "study: 46 of 50, ddim, N = 46 (41 s)",
    ]
    with progress_bar.progress_bar("study") as progress:
        progress(1, 50, "")
    assert capsys.readouterr() == ("", "")


def interrupted(keeps: Callable[[int, int], str] | None, reached: list[tuple[int, int]]) -> None:
    with interruption.interruptible("x", keeps) as progress:
        for done, total in reached:
            progress(done, total, "")
        raise KeyboardInterrupt


def test_an_interruption_states_what_is_kept() -> None:
    """Assert the numbers that were reached, and the line of work that keeps nothing or has not begun."""
    keeps = interruption.kept("runs", "results/x/")
    for reached, chosen, line in (
        ([(3, 21), (7, 21)], keeps, "interrupted; 7 of 21 runs are kept in results/x/; run again to go on"),
        ([], keeps, "interrupted"),
        ([(3, 21)], None, "interrupted; nothing is kept"),
    ):
        with pytest.raises(interruption.Interrupted) as ended:
            interrupted(chosen, reached)
        assert str(ended.value) == line


def test_another_fault_passes() -> None:
    """Assert that only an interruption is turned into its line."""
    with pytest.raises(ZeroDivisionError), interruption.interruptible("x"):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("first", "code"),
    [(SystemExit(143), 143), (KeyboardInterrupt(), 130), (SystemExit(2), 3), (ValueError("a fault"), 3)],
    ids=["a signal", "an interrupt", "an exit", "a fault"],
)
def test_a_failure_while_a_command_is_ended(first: BaseException, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert the exit code of the signal where what is cleaned up after it fails; without a signal, that of a fault."""

    def app(**_: object) -> None:
        try:
            raise first
        finally:
            raise RuntimeError("release unlocked lock")

    monkeypatch.setattr(main, "app", app)
    with pytest.raises(SystemExit) as stop:
        main.run()
    assert stop.value.code == code
