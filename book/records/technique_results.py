"""What is measured of every technique: kept, and renewed here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from ..techniques.all_techniques import BY_NAME
from ..techniques.all_trials import TRIALS
from ..techniques.technique import Measured
from .kept_records import RECORDS, Clock, Entry, Kept
from .record_keys import technique_key, trial_key

OF_TECHNIQUES = Kept("techniques", RECORDS / "techniques", BY_NAME.keys(), lambda name, _: technique_key(BY_NAME[name]))

OF_TRIALS = Kept("trials", RECORDS / "trials", TRIALS.keys(), lambda name, _: trial_key(TRIALS[name]))


def technique_results() -> dict[str, Entry]:
    """The kept result of every technique.  Raises InputError where some are missing or stale."""
    return OF_TECHNIQUES.load()


def trial_results() -> dict[str, Entry]:
    """The kept figures of techniques tried on networks.  Raises InputError where some are missing or stale."""
    return OF_TRIALS.load()


def measured_of(entry: Entry) -> Measured:
    """A kept result as it was measured."""
    return Measured(
        number=entry["number"],
        head=tuple(entry["head"]),
        rows=tuple(map(tuple, entry["rows"])),
        curves={label: [(x, y) for x, y in points] for label, points in entry["curves"].items()},
        x=entry["x"],
        y=entry["y"],
        dashed=tuple(entry["dashed"]),
    )


def renew_techniques(only: Iterable[str] = ()) -> None:
    """Measure the techniques named, or else the stale ones.

    Raises AssertionError, and keeps nothing, where the number of one contradicts its verdict.
    """
    clock = Clock()
    for name in OF_TECHNIQUES.chosen(only):
        technique, found = BY_NAME[name], BY_NAME[name].measure()
        if not technique.stands(found.number):
            raise AssertionError(f"{name}: {technique.quantity} is {found.number:.4g}, outside {technique.within}")
        OF_TECHNIQUES.write(name, asdict(found), clock.manifest())
    OF_TECHNIQUES.remove_others()


def renew_trials(only: Iterable[str] = ()) -> None:
    """Try the techniques named on networks, or else those whose figures are stale."""
    clock = Clock()
    for name in OF_TRIALS.chosen(only):
        OF_TRIALS.write(name, asdict(TRIALS[name].measure()), clock.manifest())
    OF_TRIALS.remove_others()
