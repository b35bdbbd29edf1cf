"""Progress of a command, and the line that states what is kept where Ctrl-C ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..numerics.support.progress import Progress
from ..numerics.support.progress_bar import progress_bar

CODE = 130  # the exit code of an interrupted command


class Interrupted(Exception):
    """An interrupted command; the message states what is kept."""


def kept(things: str, folder: object) -> Callable[[int, int], str]:
    """What an interruption keeps: so many of the things, in a folder."""
    return lambda done, total: f"{done} of {total} {things} are kept in {folder}; run again to go on"


@contextmanager
def interruptible(title: str, keeps: Callable[[int, int], str] | None = None) -> Iterator[Progress]:
    """The callback (done, total, label) of progress_bar, for the work in this context.

    keeps: what is kept after `done` of `total`; None: nothing.  Raises Interrupted on Ctrl-C.
    """
    reached: list[tuple[int, int]] = []
    try:
        with progress_bar(title) as progress:

            def counted(done: int, total: int, label: str) -> None:
                reached[:] = [(done, total)]
                progress(done, total, label)

            yield counted
    except KeyboardInterrupt:
        if keeps is None:
            raise Interrupted("interrupted; nothing is kept") from None
        raise Interrupted(f"interrupted; {keeps(*reached[0])}" if reached else "interrupted") from None
