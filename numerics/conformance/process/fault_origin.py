"""The origin of an exception: the sampler, or the adapter around it."""

from __future__ import annotations

import sys
import traceback

NEUTRAL = {"torch", "numpy"} | sys.stdlib_module_names
PACKAGE = __name__.partition(".")[0]
LONGEST = 200  # characters of a message


def with_origin(fault: BaseException, text: str) -> str:
    """The type and text of an exception, preceded by a remark where it was raised without any code of the sampler."""
    line = _line(fault, text)
    modules = {frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(fault.__traceback__)}
    tops = {str(name).partition(".")[0] for name in modules if name != "__main__"}  # the child is __main__
    adapter = f"the adapter of {PACKAGE} fails on what the sampler holds, not the sampler itself: "
    external = tops - NEUTRAL - {PACKAGE} or isinstance(fault, SyntaxError)  # such a module does not even start
    return line if external else adapter + line


def raised(fault: Exception) -> str:
    """The type and the message of an exception in one line, of at most LONGEST characters."""
    return _line(fault, " ".join(str(fault).split()))[:LONGEST]


def _line(fault: BaseException, text: str) -> str:
    return f"{type(fault).__name__}: {text}" if text else type(fault).__name__
