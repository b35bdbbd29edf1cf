"""What advice on the kept networks was worth: kept, and renewed here."""

from __future__ import annotations

from collections.abc import Iterable

from ...numerics.support.manifest import source
from ..studies.advice_regret import ITEMS, regret
from .kept_records import RECORDS, Clock, Entry, Kept

VERSION = 1  # raised by hand when a change of the advice changes its choices
DIGITS = 8  # of the commit, from which the seed is made

OF_ADVICE = Kept("advice", RECORDS / "advice", ITEMS.keys(), lambda name, _: f"{name}, version {VERSION}")


def advice_results() -> dict[str, Entry]:
    """The kept results that are current; a network and number of evaluations that was not measured has none."""
    return OF_ADVICE.current()


def renew_advice(only: Iterable[str] = ()) -> None:
    """Ask for advice and measure its regret, for the items named or else those without a result.

    The seed of everything is the commit that the code is at.
    """
    clock, seed = Clock(), int(str(source()["commit"])[:DIGITS], 16)
    for name in OF_ADVICE.chosen(only):
        OF_ADVICE.write(name, regret(ITEMS[name], seed), clock.manifest())
    OF_ADVICE.remove_others()
