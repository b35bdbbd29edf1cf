"""Changes in the folder in which a target is started.

The user's own files are there, and a target finds them by relative paths. A change is reported, not its origin: the
user may have made it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DEPTH = 3  # levels of folders that are examined
MOST = 2000  # entries; those of the upper levels first
SHOWN = 3  # names in a line


@dataclass(frozen=True)
class Surroundings:
    """A folder at one time.  entries: by path.  top: the names in the folder itself, None where there are too many.

    The entry of a file has its size and the time of its last change, any other entry its kind.
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
        """Differences to the folder now, a line each: deleted and changed to DEPTH, made in the folder itself."""
        entries = {name: _entry(self.folder / name) for name in self.entries}
        gone = [name for name, entry in entries.items() if entry is None and self.entries[name] is not None]
        changed = [name for name, entry in entries.items() if entry not in (None, self.entries[name])]
        top = _names(self.folder)
        made = sorted(top - self.top) if top is not None and self.top is not None else []
        lists = (("deleted", _outermost(gone)), ("changed", changed), ("made", made))
        return tuple(
            f"while it ran, {_listed(names)} in the folder it was started in {'were' if names[1:] else 'was'} {what}"
            for what, names in lists
            if names
        )


def _found(folder: Path) -> Iterator[Path]:
    """Paths breadth first: hidden ones in the folder itself only, __pycache__ nowhere."""
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
    kind = stat.S_IFMT(found.st_mode)  # a folder changes with its content
    return (kind, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else kind


def _names(folder: Path) -> frozenset[str] | None:
    """The names in a folder, without hidden folders, which many tools make; None where there are too many."""
    try:
        names = [name for name in os.listdir(folder) if name != "__pycache__"]
    except OSError:
        return frozenset()
    if len(names) > MOST:
        return None
    return frozenset(name for name in names if not (name.startswith(".") and (folder / name).is_dir()))


def _outermost(names: list[str]) -> list[str]:
    """The names without those in folders that are named themselves."""
    known = set(names)
    return [name for name in names if known.isdisjoint(map(str, Path(name).parents))]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(repr(name)[:100] for name in names[:SHOWN]) + more
