"""The orders claimed, proved and measured of every sampler of the catalogue, sorted by how far they are apart."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import log
from pathlib import Path
from typing import Any

from ...numerics.catalogue import METHODS
from ...numerics.records import Record
from ..markup import number, plain, table
from ..pages.myst import ONE_SIDEBAR, link

FILE = Path(__file__).with_name("claimed_orders.toml")


@dataclass(frozen=True)
class Claimed:
    """The order that a paper or a library claims, by what, and the record that has it where the sampler has not."""

    order: int
    where: str
    repair: str | None = None


@dataclass(frozen=True)
class Line:
    """A sampler's orders.  measured: on equal steps in lambda; None where no errors are kept."""

    record: Record
    claimed: Claimed | None
    measured: float | None

    @property
    def free(self) -> int:
        """The order for free step ratios."""
        return self.record.order if self.record.order_free is None else self.record.order_free

    def missing(self, order: int) -> int:
        """How much the claimed order is above this one; 0 where none is claimed."""
        return 0 if self.claimed is None else max(0, self.claimed.order - order)

    @property
    def disagreement(self) -> tuple[int, int, float]:
        """Of claimed and proved orders, for the steps of the proof and for free ratios; then of measured and proved."""
        off = 0.0 if self.measured is None else abs(self.measured - self.record.order)
        return self.missing(self.record.order), self.missing(self.free), off


@cache
def claimed() -> dict[str, Claimed]:
    """What is claimed, by the name of the record."""
    entries = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {name: Claimed(**entry) for name, entry in entries.items()}


def lines(convergence: Sequence[Mapping[str, Any]]) -> list[Line]:
    """All samplers, those whose claim is furthest above their proof first.  convergence: the kept points of all."""
    found = [Line(record, claimed().get(name), _slope(name, convergence)) for name, record in METHODS.items()]
    return sorted(found, key=lambda line: line.disagreement, reverse=True)


def _slope(name: str, convergence: Sequence[Mapping[str, Any]]) -> float | None:
    """The order between the last two numbers of steps, from exact start values."""
    own = [p for p in convergence if p["method"] == name and p["kind"] != "ramp" and p["value"]]
    if len(own) < 2:
        return None
    before, last = own[-2:]
    return log(before["value"] / last["value"]) / log(last["steps"] / before["steps"])


def claimed_page(convergence: Sequence[Mapping[str, Any]]) -> str:
    """The page of the table."""
    found = lines(convergence)
    short = [line for line in found if line.missing(line.record.order)]
    uneven = sum(bool(line.missing(line.free)) for line in found) - len(short)
    noisy = sum(line.record.stochastic for line in short)
    text = (
        "What the paper of a sampler or the name that a library has for it claims, what is proved, and what is "
        f"measured, for all {len(found)} records; the largest disagreement stands first. {len(short)} claim more than "
        f"is proved, {noisy} of them with noise, where a claim is often meant without it; {uneven} more have the "
        "claimed order for nearly equal steps only. *Proved* holds for all step ratios, or where *free* is another "
        "order for ratios 1 + O(h); *whole run* is the order with the start-up; *measured* is the slope between the "
        "last two numbers of steps, from exact start values, of samplers with noise in total variation, where the "
        "order in law may be higher. Its steps are equal in lambda: a method that is right on such steps alone is "
        "flattered. A dash under *claimed*: no claim was read."
    )
    head = ("sampler", "claimed", "by", "proved", "free", "whole run", "measured", "has the claimed order")
    return (
        ONE_SIDEBAR + "\n\n".join(["# Orders claimed, proved and measured", text, table(head, map(_row, found))]) + "\n"
    )


def _row(line: Line) -> tuple[str, ...]:
    record, claim = line.record, line.claimed
    repair = None if claim is None else claim.repair
    return (
        link(record.name, "methods/"),
        "-" if claim is None else str(claim.order),
        "-" if claim is None else plain(claim.where),
        f"{record.order}{' (weak)' if record.stochastic else ''}",
        str(line.free),
        str(record.order_asymptotic),
        number(line.measured, ".2f"),
        "-" if repair is None else link(repair, "methods/"),
    )
