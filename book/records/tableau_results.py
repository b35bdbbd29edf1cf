"""Kept results: what is proved of the tableaux of RES4LYF."""

from __future__ import annotations

from collections.abc import Iterable

from ...numerics.support.progress_bar import progress_bar
from ..library_tableaux import library, proved_entry
from ..studies.swept_schemes import measured_schemes
from .kept_records import RECORDS, Clock, Entry, Kept
from .record_keys import tableaux_key

LIBRARY = "res4lyf"
OF_TABLEAUX = Kept("tableaux", RECORDS / "tableaux", (LIBRARY,), lambda name, _: tableaux_key(library()))


def tableau_results() -> Entry:
    """The kept result: repository, commit, file, left_out, for every tableau what proved_entry answers, and `measured`.

    Raises InputError where it is missing or stale.
    """
    return OF_TABLEAUX.load()[LIBRARY]


def renew_tableaux(only: Iterable[str] = ()) -> None:
    """Prove all tableaux and measure some, in two minutes, if they are named or stale."""
    clock = Clock()
    for name in OF_TABLEAUX.chosen(only):
        found = library()
        entries = found.pop("tableau")
        with progress_bar("tableaux") as progress:
            proved = []
            for done, entry in enumerate(entries, 1):
                proved.append(proved_entry(entry))
                progress(done, len(entries), entry["name"])
        measured = list(measured_schemes())
        OF_TABLEAUX.write(name, {**found, "tableaux": proved, "measured": measured}, clock.manifest())
