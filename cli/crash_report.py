"""Unexpected exceptions: the line that reports one as a fault of samplerproof, and a file with the details."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
import warnings

from ..numerics.errors import LONGEST, InputError, one_line
from .interruption import CODE

FAULT = 3  # the exit code
REPORTED = 200_000  # characters of a report


def line_of(fault: Exception) -> tuple[str, int]:
    """The line for an exception that no command expected, and the exit code; an empty line if all is printed."""
    usage = getattr(fault, "format_message", None)  # of an exception of click, which typer bundles under another name
    if usage is not None and not str(usage()).startswith("Usage:"):
        return _usage(fault, str(usage())), 2
    if usage is not None:  # the help of a command without arguments
        print(usage(), file=sys.stderr)
        return "", 2
    if type(fault).__name__ == "Abort":
        return "interrupted", CODE
    if isinstance(fault, MemoryError) or "can't allocate memory" in str(fault):
        reason = one_line(fault, 150) or "no more is available"
        return str(InputError("memory", reason, "smaller sizes, or a machine with more memory")), 2
    what = one_line(f"{type(fault).__name__}: {one_line(fault, 100)}", 130)
    return f"{what}: this is a fault of samplerproof; please report it, with {_report(fault)}", FAULT


def _usage(fault: Exception, message: str) -> str:
    """The line for wrong usage: the fault, and the help that lists options and arguments."""
    context = getattr(fault, "ctx", None)
    command = f"{context.info_name} " if context is not None and context.parent is not None else ""
    see = f"see samplerproof {command}--help"
    message = message.replace("Value error, ", "").replace("Input should be", "must be")
    return f"{one_line(message, LONGEST - len(see) - 2).rstrip('.')}; {see}"


def hold_back_runtime_warnings() -> None:
    """Suppress RuntimeWarnings, such as numpy's of an overflow: every value is checked where it is returned."""
    show = warnings.showwarning

    def shown(message, category, *more, **options):  # type: ignore[no-untyped-def]
        if not issubclass(category, RuntimeWarning):
            show(message, category, *more, **options)

    warnings.showwarning = shown


def _report(fault: Exception) -> str:
    """Write the details to a new file that only this user can read; returns its path, or a substitute in words."""
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
        return "the command that you ran (no report could be written)"
    return path
