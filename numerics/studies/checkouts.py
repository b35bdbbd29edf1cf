"""Where a list of verifications has its libraries: folders with a checkout, which a reader may or may not have."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ..conformance.adapters.target import split
from ..errors import InputError
from ..support.limits import NAME, PATH


class Checkout(BaseModel):
    """A library at a commit.  path: the folder of the checkout, relative to the file of the list; inside: the folder in
    it that has the library.  version: of a release.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    path: Annotated[str, Field(min_length=1, max_length=PATH)]
    inside: Annotated[str, Field(max_length=PATH)] = ""
    repository: Annotated[str, Field(pattern="^https://", max_length=PATH)] | None = None
    commit: Annotated[str, Field(pattern="^[0-9a-f]{7,40}$")] | None = None
    version: Annotated[str, Field(max_length=NAME)] | None = None

    @property
    def provenance(self) -> dict[str, Any]:
        """Version, repository and commit, as far as they are given."""
        given = {"version": self.version, "repository": self.repository, "commit": self.commit}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def fetched_by(self) -> str:
        """The command that brings it."""
        if self.repository is None:
            return f"a folder {self.path} with it"
        at = f" && git -C {self.path} checkout {self.commit}" if self.commit else ""
        return f"git clone {self.repository} {self.path}{at}"


def library_of(target: str) -> str:
    """The library that a target names."""
    return split(target)[0]


def present(checkouts: dict[str, Checkout], base: Path) -> dict[str, Path]:
    """The folders that exist, by library.

    Raises InputError on a checkout at another commit than the list has; a folder without history is taken as it is.
    """
    found = {name: base / each.path for name, each in checkouts.items() if (base / each.path).is_dir()}
    for name, folder in found.items():
        wanted = checkouts[name].commit
        head = _head(folder) if wanted is not None else None
        if wanted is not None and head is not None and not head.startswith(wanted):
            allowed = f"{wanted}, by git -C {checkouts[name].path} checkout {wanted}; or another commit in the list"
            raise InputError(f"verification.checkouts.{name}.commit", head, allowed)
    return {name: folder / checkouts[name].inside for name, folder in found.items()}


def _head(folder: Path) -> str | None:
    """The commit that a checkout is at; None where the folder is none."""
    if not (folder / ".git").exists():
        return None
    asked = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or None
