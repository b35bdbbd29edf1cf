"""Progress on standard error: a bar on a terminal; in a pipe or a log file a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .progress import Progress

EVERY = 20.0  # seconds between two lines of a log, at the least; shorter work writes none


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """A callback (done, total, label) that draws a bar if standard error is a terminal, and else writes lines."""
    if not sys.stderr.isatty():
        yield _log(title)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[label]}"), console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, label="")
        yield lambda done, total, label: bar.update(task, completed=done, total=total, label=label)


def _log(title: str) -> Progress:
    """A callback that writes a line where EVERY seconds have passed since the start or the last line."""
    started = last = time.monotonic()

    def line(done: int, total: int, label: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < EVERY:
            return
        last = now
        what = f", {label}" if label else ""
        print(f"{title}: {done} of {total}{what} ({now - started:.0f} s)", file=sys.stderr, flush=True)

    return line
