"""`samplerproof export`: tables and golden vectors, written for ports to other languages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..numerics.catalogue import resolve
from ..numerics.errors import InputError
from ..numerics.support.files import check_writable, write_text
from .grids_command import grid_of

MOST = 200  # methods of a call
TABLE = ".json"  # the ending of a table file


def export(
    names: Sequence[str], kind: str | None, steps: int | None, schedule: str, vectors: bool, folder: Path
) -> list[Path]:
    """Write the files of these methods on one grid, all or none, and of table files; see numerics/exports.py.

    Returns the files.  Raises InputError on a name, grid or schedule that is not known, on a method that does not exist
    on the grid, and on two names of one table.
    """
    from ..numerics.exports import exported, exported_file

    if not 1 <= len(names) <= MOST:
        raise InputError("NAME", f"{len(names)} names", f"1 to {MOST}")
    records = [name if name.endswith(TABLE) else resolve(name, "NAME").name for name in names]
    for n, name in enumerate(records):
        if name in records[:n]:
            raise InputError("NAME", names[n], f"named already: it has the table of {names[records.index(name)]!r}")
    files: dict[str, str] = {}
    methods = [name for name in records if not name.endswith(TABLE)]
    if methods:
        if kind is None or steps is None:
            option = "--grid" if kind is None else "--steps"
            raise InputError(option, None, f"needed for {methods[0]}; only a table file has levels of its own")
        grid = grid_of(kind, steps, schedule)
        for name in methods:
            files |= exported(name, grid, kind, vectors)
    elif kind is not None or steps is not None:
        option, value = ("--grid", kind) if kind is not None else ("--steps", steps)
        raise InputError(option, value, "left out: a table file has levels of its own")
    for path in records:
        if path.endswith(TABLE):
            made = exported_file(path, vectors)
            if files.keys() & made.keys():
                raise InputError("NAME", path, f"a file whose export is not {next(iter(made))}, which another has")
            files |= made
    check_writable(folder)
    for file, text in files.items():
        write_text(folder / file, text)
    return [folder / file for file in files]
