"""Kept results: one JSON file an item, with the key of the code it was made with and a manifest of its own.

`python -m samplerproof.book.records KIND` renews the stale ones of a kind, and `--only NAME…` those that it names.
Two changes that each add a sampler touch no common file.
"""

from __future__ import annotations

import json
import platform
import re
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...numerics.errors import InputError, nearest
from ...numerics.support.files import write_text

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ROOT / "book" / "records"
COMMAND = "python -m samplerproof.book.records"

Entry = dict[str, Any]


def made_by(command: str, path: Path) -> Entry:
    """The record that a command writes by itself.  Raises InputError, with the command, where there is none."""
    if not path.exists():
        raise InputError("record", str(path), f"made by `{command}`")
    entry: Entry = json.loads(path.read_text(encoding="utf-8"))
    return entry


@dataclass(frozen=True)
class Kept:
    """The kept results of a kind, in a folder.

    names: the items that there should be, in the order of the book.  key: the key of an item by the code as it is;
    entry: its kept result, for a key that depends on it.
    """

    kind: str
    folder: Path
    names: Collection[str]
    key: Callable[[str, Entry], str]

    def path(self, name: str) -> Path:
        """The file of an item: dpm-solver++-2m is in dpm-solver-pp-2m.json, and all other signs become hyphens."""
        return self.folder / (re.sub(r"[^\w.-]+", "-", name.replace("++", "-pp")) + ".json")

    def read(self, name: str) -> Entry | None:
        """The kept result of an item, stale or not; None where there is none."""
        path = self.path(name)
        if not path.exists():
            return None
        entry: Entry = json.loads(path.read_text(encoding="utf-8"))
        return entry

    def stale(self) -> list[str]:
        """The items without a result, or with one of other code."""
        return [name for name in self.names if not self._current(name, self.read(name))]

    def load(self) -> dict[str, Entry]:
        """The result of every item.  Raises InputError, with the command that renews them, where some are stale."""
        entries = {name: self.read(name) for name in self.names}
        stale = [name for name, entry in entries.items() if not self._current(name, entry)]
        if stale:
            more = f" and {len(stale) - 1} more" if stale[1:] else ""
            raise InputError(f"records of {self.kind}", f"{stale[0]}{more}", f"renewed by `{COMMAND} {self.kind}`")
        return {name: entry for name, entry in entries.items() if entry is not None}

    def current(self) -> dict[str, Entry]:
        """The results that are there and not stale, in the order of the book."""
        entries = {name: self.read(name) for name in self.names}
        return {name: entry for name, entry in entries.items() if entry is not None and self._current(name, entry)}

    def chosen(self, only: Iterable[str]) -> list[str]:
        """The items named, or else the stale ones.  Raises InputError on a name that is not an item."""
        for name in only:
            if name not in self.names:
                raise InputError("--only", name, f"one of the {self.kind}; {nearest(name, self.names)}")
        return list(only) or self.stale()

    def write(self, name: str, result: Entry, made: Entry) -> None:
        """Keep the result of an item.  made: the manifest, as from Clock."""
        entry = {"name": name, "key": self.key(name, result), **result, "manifest": made}
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path(name), json.dumps(entry, indent=1, allow_nan=False) + "\n")
        print(f"{self.kind}: {name}, {made['seconds']:.1f} s", flush=True)

    def remove_others(self) -> None:
        """Remove the results of items that are no longer there."""
        for path in set(self.folder.glob("*.json")) - set(map(self.path, self.names)):
            path.unlink()

    def _current(self, name: str, entry: Entry | None) -> bool:
        try:
            return entry is not None and entry["key"] == self.key(name, entry)
        except InputError:  # it names a sampler that is no longer there
            return False


class Clock:
    """Manifests of results that are made one after another: their source, and the seconds since the one before."""

    def __init__(self) -> None:
        from ...numerics.support.manifest import source  # it reads generated code, which needs torch

        self._source = source()
        self._last = time.perf_counter()

    def manifest(self) -> Entry:
        """The manifest of a result that is finished now."""
        before, self._last = self._last, time.perf_counter()
        return {
            **self._source,
            "platform": platform.platform(),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(self._last - before, 1),
        }
