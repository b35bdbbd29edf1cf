"""Run a command in this process under limits: 10 s of CPU time, 1 GB of memory, no traceback."""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import typer

from samplerproof.cli import main

SECONDS, MEMORY = 10.0, 2**30  # of CPU time, and bytes in addition to those in use
COMMAND = typer.main.get_command(main.app)  # made once; main.run makes it of main.app at every call
WAITING = 60.0  # seconds after which a command that only waits is stopped
LINE = 320  # characters of a message


class Endless(BaseException):
    """Raised in a command that is stopped; a BaseException, which no handler of the command catches."""


class Answer(NamedTuple):
    code: int
    out: str
    err: str


def _stop(_number: int, _frame: object) -> None:
    raise Endless


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Context with limits: RLIMIT_AS for memory, an alarm of CPU time, and a longer one of wall time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    kept = {number: signal.signal(number, _stop) for number in (signal.SIGPROF, signal.SIGALRM)}
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, hard))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WAITING)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        for number, handler in kept.items():
            signal.signal(number, handler)


def typed(folder: Path, *arguments: str) -> Answer:
    """The exit code and output of the command in that folder."""
    out, err, before, argv = io.StringIO(), io.StringIO(), Path.cwd(), sys.argv
    os.chdir(folder)
    sys.argv, app = ["samplerproof", *arguments], main.app
    main.app = COMMAND  # type: ignore[assignment]
    code: object = None
    try:
        with bounded(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main.run()
    except SystemExit as stop:
        code = stop.code
    finally:
        os.chdir(before)
        sys.argv, main.app = argv, app
    assert code is None or isinstance(code, int), code
    return Answer(code or 0, out.getvalue(), err.getvalue())


def check(answer: Answer, folder: Path) -> None:
    """Assert an answer in JSON, or a refusal: one line on standard error, exit code 2, and no file written."""
    assert answer.code in (0, 1, 2), answer.err
    assert "Traceback" not in answer.err
    if answer.code == 2:
        assert answer.err.startswith("samplerproof: "), answer.err
        assert answer.err.count("\n") == 1, answer.err
        assert len(answer.err) <= LINE, answer.err
        assert answer.err.isprintable() or answer.err[:-1].isprintable(), ascii(answer.err)
        assert answer.out == ""
        assert sorted(path.name for path in folder.iterdir()) == []
    else:
        assert answer.err == ""
        json.loads(answer.out, parse_constant=_no_number)


def _no_number(text: str) -> None:
    raise AssertionError(f"{text} is not JSON")
