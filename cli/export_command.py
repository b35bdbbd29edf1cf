"""`samplerproof export`: tables and golden vectors, written for ports to other languages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..numerics.catalogue import resolve
from ..numerics.errors import InputError
from ..numerics.support.files import check_writable, write_text
from .grids_command import grid_of

MOST = 200  # methods of a call


def export(names: Sequence[str], kind: str, steps: int, schedule: str, vectors: bool, folder: Path) -> list[Path]:
    """Write the files of these methods on one grid, all or none; see numerics/exports.py.

    Returns the files.  Raises InputError on a name, grid or schedule that is not known, on a method that does not exist
    on the grid, and on two names of one table.
    """
    from ..numerics.exports import exported

    if not 1 <= len(names) <= MOST:
        raise InputError("NAME", f"{len(names)} names", f"1 to {MOST}")
    records = [resolve(name, "NAME").name for name in names]
    for n, name in enumerate(records):
        if name in records[:n]:
            raise InputError("NAME", names[n], f"named already: it has the table of {names[records.index(name)]!r}")
    grid = grid_of(kind, steps, schedule)
    files: dict[str, str] = {}
    for name in records:
        files |= exported(name, grid, kind, vectors)
    check_writable(folder)
    for file, text in files.items():
        write_text(folder / file, text)
    return [folder / file for file in files]
