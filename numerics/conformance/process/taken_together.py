"""Limits of all processes of a child together: those of the system are of one process, and some bind no superuser."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

GIB = 1 << 30
MEMORY = 6 * GIB  # that they hold; one may ask for 4 GiB and torch's
WRITTEN = 8 * GIB  # that they have written to files and pipes
TASKS = 1000  # processes and threads
OVER = {
    "tasks": f"it starts more than {TASKS} processes and threads",
    "memory": f"its processes hold more than {MEMORY // GIB} GiB of memory",
    "written": f"its processes write more than {WRITTEN // GIB} GiB",
}


def limit_passed(root: int) -> str | None:
    """The key of OVER for the limit that the descendants of a process pass together; None where they pass none."""
    processes = _below(root)
    tasks = resident = written = 0
    for process in processes:
        with suppress(OSError, ValueError, IndexError):
            # pid (name, any characters) state parent …: threads are field 20, pages that are resident field 24
            text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
            fields = text.rpartition(")")[2].split()
            tasks += int(fields[17])
            resident += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
            written += _number(process, "io", "wchar:")
    if tasks > TASKS:
        return "tasks"
    if written > WRITTEN:
        return "written"
    # Forks share their pages, which count once; to find that out takes longer.
    if resident > MEMORY and sum(1024 * _number(process, "smaps_rollup", "Pss:") for process in processes) > MEMORY:
        return "memory"
    return None


def _below(root: int) -> list[int]:
    """The descendants of a process, without a look at all others; none where the system does not tell."""
    found = [root]
    for process in found:
        with suppress(OSError, ValueError):
            for task in os.listdir(f"/proc/{process}/task"):
                found += map(int, Path(f"/proc/{process}/task/{task}/children").read_text(encoding="utf-8").split())
    return found[1:]


def _number(process: int, file: str, name: str) -> int:
    """The number after a name in a file of /proc; 0 where there is none."""
    with suppress(OSError, ValueError, IndexError):
        text = Path(f"/proc/{process}/{file}").read_text(encoding="utf-8", errors="replace")
        return int(text.partition(name)[2].split()[0])
    return 0
