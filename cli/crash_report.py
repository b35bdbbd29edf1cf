"""The last net under a command: an exception that nobody expected is a fault of samplerproof, and is said to be one."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
import warnings

from ..numerics.errors import LONGEST, InputError, one_line

FAULT = 3  # the exit code
REPORTED = 200_000  # characters of a report


def said(fault: Exception) -> tuple[str, int]:
    """The line of an exception that no command has expected, and the exit code; no line where all was said."""
    usage = getattr(fault, "format_message", None)  # of click, which typer brings along under another name
    if usage is not None and not str(usage()).startswith("Usage:"):
        return _usage(fault, str(usage())), 2
    if usage is not None:  # the help of a command without arguments
        print(usage(), file=sys.stderr)
        return "", 2
    if type(fault).__name__ == "Abort":
        return "interrupted", 130
    if isinstance(fault, MemoryError) or "can't allocate memory" in str(fault):
        reason = one_line(fault, 150) or "it is used up"
        return str(InputError("memory", reason, "smaller sizes, or a machine with more memory")), 2
    what = one_line(f"{type(fault).__name__}: {one_line(fault, 100)}", 130)
    return f"{what}: this is a fault of samplerproof; please report it, with {_report(fault)}", FAULT


def _usage(fault: Exception, message: str) -> str:
    """The line of wrong usage: what is wrong, and where the options and arguments are listed."""
    context = getattr(fault, "ctx", None)
    command = f"{context.info_name} " if context is not None and context.parent is not None else ""
    see = f"see samplerproof {command}--help"
    return f"{one_line(message, LONGEST - len(see) - 2).rstrip('.')}; {see}"


def hold_back_runtime_warnings() -> None:
    """What numpy says of an overflow on the way is no answer to a command: the value is looked at where it leaves."""
    show = warnings.showwarning

    def shown(message, category, *more, **options):  # type: ignore[no-untyped-def]
        if not issubclass(category, RuntimeWarning):
            show(message, category, *more, **options)

    warnings.showwarning = shown


def _report(fault: Exception) -> str:
    """Write down what happened, in a new file that only this user reads; where it is, in words."""
    from importlib.metadata import PackageNotFoundError, version

    def known(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    names = ("samplerproof", "torch", "numpy", "scipy", "sympy", "pydantic", "typer", "safetensors", "diffusers")
    lines = [
        f"command: {' '.join(map(ascii, sys.argv))}",
        f"Python {platform.python_version()} on {platform.platform()}",
        *(f"{name} {known(name)}" for name in names),
        "",
        *traceback.format_exception(fault),
    ]
    try:
        descriptor, path = tempfile.mkstemp(prefix="samplerproof-fault-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write("\n".join(lines)[:REPORTED])
    except OSError:
        return "the command that you gave (no report could be written)"
    return path
