"""Kept results: what is proved of the tableaux of RES4LYF."""

from __future__ import annotations

from collections.abc import Iterable

from ...numerics.support.progress_bar import progress_bar
from ..library_tableaux import library, proved_entry
from .kept_records import RECORDS, Clock, Entry, Kept
from .record_keys import tableaux_key

LIBRARY = "res4lyf"
OF_TABLEAUX = Kept("tableaux", RECORDS / "tableaux", (LIBRARY,), lambda name, _: tableaux_key(library()))


def tableau_results() -> Entry:
    """The kept result: repository, commit, file, left_out and, for every tableau, what proved_entry answers.

    Raises InputError where it is missing or stale.
    """
    return OF_TABLEAUX.load()[LIBRARY]


def renew_tableaux(only: Iterable[str] = ()) -> None:
    """Prove all tableaux, in half a minute, if they are named or stale."""
    clock = Clock()
    for name in OF_TABLEAUX.chosen(only):
        found = library()
        entries = found.pop("tableau")
        with progress_bar("tableaux") as progress:
            proved = []
            for done, entry in enumerate(entries, 1):
                proved.append(proved_entry(entry))
                progress(done, len(entries), entry["name"])
        OF_TABLEAUX.write(name, {**found, "tableaux": proved}, clock.manifest())
