"""The folder that a target is started in: what is changed there while it runs.

The user's own files lie there, and a target finds them by relative paths. Who changed them is not seen, only that it
happened meanwhile: the user may have done it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DEPTH = 3  # levels of folders that are looked at
MOST = 2000  # entries; those of the upper levels first
TOLD = 3  # names that a line says


@dataclass(frozen=True)
class Surroundings:
    """A folder as it was.  entries: what lay there, by its path.  top: the names in the folder itself, if not too many.

    An entry of a file is its size and the time of its last change, that of anything else its kind.
    """

    folder: Path
    entries: dict[str, object]
    top: frozenset[str] | None

    @classmethod
    def now(cls) -> Surroundings:
        """The current folder of this process."""
        folder = Path.cwd()
        entries = {}
        for path in _found(folder):
            entries[str(path.relative_to(folder))] = _entry(path)
            if len(entries) >= MOST:
                break
        return cls(folder, entries, _names(folder))

    def changes(self) -> tuple[str, ...]:
        """What is different now, in a line each: deleted and changed to DEPTH, made in the folder itself."""
        entries = {name: _entry(self.folder / name) for name in self.entries}
        gone = [name for name, entry in entries.items() if entry is None and self.entries[name] is not None]
        changed = [name for name, entry in entries.items() if entry not in (None, self.entries[name])]
        top = _names(self.folder)
        made = sorted(top - self.top) if top is not None and self.top is not None else []
        said = (("deleted", _outermost(gone)), ("changed", changed), ("made", made))
        return tuple(
            f"while it ran, {_listed(names)} in the folder it was started in {'were' if names[1:] else 'was'} {what}"
            for what, names in said
            if names
        )


def _found(folder: Path) -> Iterator[Path]:
    """Breadth first: hidden ones in the folder itself only, and what Python writes beside modules nowhere."""
    level = [folder]
    for depth in range(DEPTH):
        below: list[Path] = []
        for parent in level:
            try:
                names = sorted(os.listdir(parent))
            except OSError:
                continue
            for name in names:
                if name == "__pycache__" or (depth and name.startswith(".")):
                    continue
                yield parent / name
                if not name.startswith(".") and (parent / name).is_dir() and not (parent / name).is_symlink():
                    below.append(parent / name)
        level = below


def _entry(path: Path) -> object:
    try:
        found = path.lstat()
    except OSError:
        return None
    kind = stat.S_IFMT(found.st_mode)  # a folder changes with what is in it
    return (kind, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else kind


def _names(folder: Path) -> frozenset[str] | None:
    """But for hidden folders, which tools of all kinds make."""
    try:
        names = [name for name in os.listdir(folder) if name != "__pycache__"]
    except OSError:
        return frozenset()
    if len(names) > MOST:
        return None
    return frozenset(name for name in names if not (name.startswith(".") and (folder / name).is_dir()))


def _outermost(names: list[str]) -> list[str]:
    """Without what lay in folders that are named themselves."""
    known = set(names)
    return [name for name in names if known.isdisjoint(map(str, Path(name).parents))]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return ", ".join(repr(name)[:100] for name in names[:TOLD]) + more
