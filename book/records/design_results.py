"""What designed tables reach on held-out mixtures, on the networks and on other models: kept, and renewed here."""

from __future__ import annotations

from collections.abc import Iterable

from ..studies.design_study import CASES, measure_case
from ..studies.transferred_tables import NFE, transferred
from .kept_records import RECORDS, Clock, Entry, Kept

DESIGN = 2  # raised by hand when a change of the design changes its tables
DIGITS, LARGEST = 12, 2**40  # hexadecimal digits of the hash of a commit that are the seed, below this

OF_DESIGNS = Kept("designs", RECORDS / "designs", CASES.keys(), lambda name, _: f"{name}, design {DESIGN}")

OF_TRANSFERRED = Kept(
    "transferred", RECORDS / "transferred", (f"transferred-{NFE}",), lambda name, _: f"{name}, design {DESIGN}"
)


def design_results() -> dict[str, Entry]:
    """The kept results that are current; a case that was not measured has none."""
    return OF_DESIGNS.current()


def renew_designs(only: Iterable[str] = ()) -> None:
    """Measure the cases named, or else the stale ones; what is held out is drawn by the hash of the commit."""
    clock = Clock()
    seed = _seed(clock)
    for name in OF_DESIGNS.chosen(only):
        result = measure_case(CASES[name], seed)
        OF_DESIGNS.write(name, result, clock.manifest())
    OF_DESIGNS.remove_others()


def transferred_results() -> dict[str, Entry]:
    """What tables for one model reach on another; nothing where it was not measured."""
    return OF_TRANSFERRED.current()


def renew_transferred(only: Iterable[str] = ()) -> None:
    """Design for every target and run every table on every one."""
    clock = Clock()
    seed = _seed(clock)
    for name in OF_TRANSFERRED.chosen(only):
        OF_TRANSFERRED.write(name, {"seed": seed, **transferred(seed)}, clock.manifest())


def _seed(clock: Clock) -> int:
    """That of the commit."""
    return int(str(clock.manifest()["commit"])[:DIGITS], 16) % LARGEST
