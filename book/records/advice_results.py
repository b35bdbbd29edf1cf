"""What advice on the kept networks was worth, and error bars on them: kept, and renewed here."""

from __future__ import annotations

from collections.abc import Iterable

from ...numerics.support.manifest import source
from ..studies.advice_regret import ITEMS, regret
from ..studies.error_bar_study import BARRED, bars_of
from .kept_records import RECORDS, Clock, Entry, Kept

VERSION = 6  # raised by hand when a change of the advice changes its choices
BARS = 1  # the same of error bars
DIGITS = 8  # of the commit, from which the seed is made

OF_ADVICE = Kept("advice", RECORDS / "advice", ITEMS.keys(), lambda name, _: f"{name}, version {VERSION}")

OF_BARS = Kept("error-bars", RECORDS / "error_bars", BARRED.keys(), lambda name, _: f"{name}, error bars {BARS}")


def advice_results() -> dict[str, Entry]:
    """The kept results that are current; a network and number of evaluations that was not measured has none."""
    return OF_ADVICE.current()


def renew_advice(only: Iterable[str] = ()) -> None:
    """Ask for advice and measure its regret, for the items named or else those without a result.

    The seed of everything is the commit that the code is at.
    """
    clock, seed = Clock(), _seed()
    for name in OF_ADVICE.chosen(only):
        OF_ADVICE.write(name, regret(ITEMS[name], seed), clock.manifest())
    OF_ADVICE.remove_others()


def bar_results() -> dict[str, Entry]:
    """The kept results that are current; a network that was not measured has none."""
    return OF_BARS.current()


def renew_bars(only: Iterable[str] = ()) -> None:
    """Calibrate error bars and judge them, for the networks named or else those without a result."""
    clock, seed = Clock(), _seed()
    for name in OF_BARS.chosen(only):
        OF_BARS.write(name, {"seed": seed, "rows": bars_of(name, seed)}, clock.manifest())


def _seed() -> int:
    return int(str(source()["commit"])[:DIGITS], 16)
