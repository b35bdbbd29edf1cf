"""A script for a child process: checks that MODULE:CALLABLE returns a torch module.

    probe_module.py MODULE CALLABLE DESCRIPTOR

It imports nothing of this package, and torch only if the module does.  It writes "good" or the error, one line, to the
file descriptor.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module


def found(module: str, call: str) -> str:
    """The error of the callable, or "good"."""
    try:
        made = getattr(import_module(module), call)()
    except BaseException as fault:  # SystemExit and KeyboardInterrupt, too
        return f"{type(fault).__name__}: {fault}"
    torch = sys.modules.get("torch")
    good = torch is not None and isinstance(made, torch.nn.Module)
    return "good" if good else f"it returns {type(made).__name__}"


if __name__ == "__main__":
    sys.path[0] = os.getcwd()
    answer = found(sys.argv[1], sys.argv[2])
    os.write(int(sys.argv[3]), answer[:1000].encode("utf-8", "replace"))
    os._exit(0)  # without waiting for threads and exit handlers of the external code
