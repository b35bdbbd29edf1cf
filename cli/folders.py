"""The folders that commands write to."""

from __future__ import annotations

from pathlib import Path

from ..numerics.errors import InputError
from ..numerics.support.limits import PATH


def folder_of(given: str) -> Path:
    """The folder of --out.  Raises InputError on an invalid name."""
    if not given.strip() or len(given) > PATH:
        raise InputError("--out", given, f"the name of a folder, of 1 to {PATH} characters")
    return Path(given)


def results_of(file: Path) -> Path:
    """The default folder for the results of a study file."""
    if not file.stem.strip(". "):
        raise InputError("FILE", str(file), "a file name that can name a folder in results/; or give --out")
    return Path("results") / file.stem
