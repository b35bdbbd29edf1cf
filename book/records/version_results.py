"""What the reproducers of discrepancies print with other versions of their library: kept, and renewed here.

book/reproducers/versions.toml has the versions. One that is not installed is brought from the registry into a temporary
folder, without what it depends on: that is the same for all of them. Where a library comes as a checkout, versions are
commits; what runs or trains models has stand-ins, as where `verify` brings samplers.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...numerics.errors import InputError
from .kept_records import RECORDS, ROOT, Clock, Entry, Kept
from .record_keys import versions_key

FOLDER = ROOT / "book" / "reproducers"
LIMIT = 600.0  # seconds for the registry, and for a reproducer
LONGEST = 400  # characters of what is printed
STAND_INS = """from samplerproof.numerics.conformance.adapters.{adapter} import importable
with importable({folder!r}):
    exec({text!r}, {{}})
"""


def libraries(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """Of each library, the versions that are tried and the reproducers that are run with them."""
    with (folder / "versions.toml").open("rb") as file:
        return tomllib.load(file)


def of_reproducers(folder: Path = FOLDER, records: Path = RECORDS / "versions") -> Kept:
    """The kept results, by the name of the reproducer."""
    known = {name: (library, one) for library, one in libraries(folder).items() for name in one["reproducers"]}

    def key(name: str, _: Entry) -> str:
        library, one = known[name]
        return versions_key(library, one["tried"], _text(folder, name))

    return Kept("versions", records, known, key)


def answer() -> dict[str, list[dict[str, str]]]:
    """What each reproducer prints, {"library", "version", "printed"} a version, oldest first.

    Raises InputError where some are missing or stale.
    """
    return {name: entry["versions"] for name, entry in of_reproducers().load().items()}


def renew_versions(only: Iterable[str] = ()) -> None:
    """Renew the results of the reproducers named, or else the stale ones.  Raises InputError as brought does."""
    clock, kept = Clock(), of_reproducers()
    chosen = kept.chosen(only)
    for library, one in libraries().items():
        names = [name for name in one["reproducers"] if name in chosen]
        found: dict[str, list[dict[str, str]]] = {name: [] for name in names}
        for tried in one["tried"] if names else ():
            with TemporaryDirectory() as folder:
                path = (
                    checked_out(one["repository"], tried, Path(folder)) / one.get("inside", "")
                    if "repository" in one
                    else brought(library, tried, Path(folder), one.get("beside", []))
                )
                for name in names:
                    text = _text(FOLDER, name)
                    if adapter := one.get("stand_ins"):
                        text = STAND_INS.format(adapter=adapter, folder=folder, text=text)
                    line = {"library": library, "version": tried, "printed": printed(text, path)}
                    found[name].append(line)
        for name, lines in found.items():
            kept.write(name, {"versions": lines}, clock.manifest())
    kept.remove_others()


def brought(library: str, wanted: str, folder: Path, beside: Sequence[str] = ()) -> Path | None:
    """The folder into which a version, and what stands beside it, is brought; None for the one that is installed.

    Raises InputError where the registry does not have it, or is not there.
    """
    try:
        if version(library) == wanted:
            return None
    except PackageNotFoundError:
        pass
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    made = subprocess.run([*command, f"{library}=={wanted}", *beside], capture_output=True, text=True, timeout=LIMIT)
    if made.returncode:
        lines = made.stderr.strip().splitlines() or ["no reason is given"]
        raise InputError("versions", f"{library}=={wanted}", f"a version that pip installs ({lines[-1]})")
    return folder


def checked_out(repository: str, commit: str, folder: Path) -> Path:
    """The folder, with the Python files of the repository at a commit.

    Raises InputError where git does not bring them.
    """
    clone = ["git", "clone", "--quiet", "--no-checkout", repository, str(folder)]
    for command in (clone, ["git", "-C", str(folder), "checkout", "--quiet", commit, "--", ":(glob)**/*.py"]):
        made = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
        if made.returncode:
            lines = made.stderr.strip().splitlines() or ["no reason is given"]
            raise InputError("versions", f"{repository} at {commit}", f"a commit that git brings ({lines[-1]})")
    return folder


def printed(text: str, folder: Path | None) -> str:
    """What a script prints with the library in a folder, in one line; the exception where it raises one."""
    with TemporaryDirectory() as here:
        path = {} if folder is None else {"PYTHONPATH": str(folder)}
        command: Sequence[str] = [sys.executable, "-W", "ignore", "-c", text]
        made = subprocess.run(
            command, capture_output=True, text=True, cwd=here, env={**os.environ, **path}, timeout=LIMIT
        )
    lines = made.stdout.strip().splitlines() if made.returncode == 0 else made.stderr.strip().splitlines()[-1:]
    return "; ".join(lines)[:LONGEST]


def _text(folder: Path, name: str) -> str:
    return (folder / f"{name}.txt").read_text(encoding="utf-8")
