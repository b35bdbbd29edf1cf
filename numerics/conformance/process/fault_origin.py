"""Whose fault an exception is: the sampler's, or that of the adapter around it."""

from __future__ import annotations

import sys
import traceback

NEUTRAL = {"torch", "numpy"} | sys.stdlib_module_names
PACKAGE = __name__.partition(".")[0]


def blamed(fault: BaseException, text: str) -> str:
    """Its name and text; behind whose they are, where none of the sampler's code ran when it was raised."""
    line = f"{type(fault).__name__}: {text}" if text else type(fault).__name__
    modules = {frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(fault.__traceback__)}
    tops = {str(name).partition(".")[0] for name in modules if name != "__main__"}  # which the child is
    adapter = f"the adapter of {PACKAGE} fails on what the sampler holds, not the sampler itself: "
    theirs = tops - NEUTRAL - {PACKAGE} or isinstance(fault, SyntaxError)  # a module that does not even begin to run
    return line if theirs else adapter + line
