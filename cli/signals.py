"""Signals that end a command: temporary files and child processes are removed, the exit code is 128 + the signal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from .interruption import CODE

NAMES = ("SIGTERM", "SIGHUP")  # an interrupt raises KeyboardInterrupt already


@contextmanager
def by_signals() -> Iterator[None]:
    """In this context the signals raise SystemExit, once; one that is ignored, as under nohup, stays ignored."""
    found = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        found = []
    taken = [number for number in found if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise SystemExit(128 + number)


def ending(fault: BaseException) -> int | None:
    """The exit code of a signal or an interrupt in whose handling an exception was raised; None where there was none.

    What is cleaned up while a signal ends a command may fail in turn; the command was ended all the same.
    """
    before = fault.__context__
    while before is not None:
        if isinstance(before, KeyboardInterrupt):
            return CODE
        if isinstance(before, SystemExit) and isinstance(before.code, int) and before.code > 128:
            return before.code
        before = before.__context__
    return None
