"""The orders claimed, proved and measured of every sampler of the catalogue, sorted by how far they are apart."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ...numerics.catalogue import METHODS
from ...numerics.records import Record
from ..markup import plain, table
from ..pages.myst import ONE_SIDEBAR, link

WITHIN = 0.1  # of a measured order from the proved one
PLACES = {"line": "on", "plane": "in"}
WHY_OFF = ": their errors telescope over equal steps, and show the proved orders on others"
PAGE = """# Orders claimed, proved and measured

What the paper of a sampler or the name that a library has for it claims, what is proved, and what is measured, for
all {count} records; the largest disagreement stands first. {short} claim more than is proved, {noisy} of them with
noise, where a claim is often meant without it; {uneven} more have the claimed order for nearly equal steps only.
*Proved* holds for all step ratios, or where *free* is another order for ratios 1 + O(h); *whole run* is the order with
the start-up. A dash under *claimed*: no claim was read.

*Measured* is the order that runs show on two targets, with the numbers of steps that it is taken from, on steps equal
in lambda. Without noise it is the slope between the last two, from exact start values, on a mixture on the line and on
one in the plane. With noise it is that of the law, beside the proved order in law, which may be higher: on a Gaussian
of the covariance, extrapolated; on the line of the total variation, or of the means of three functions where the law is
joint with too much.

Of {orders} measured orders all are within {within} of the proved ones, and so of no other whole number{off}.
"""

FILE = Path(__file__).with_name("claimed_orders.toml")


@dataclass(frozen=True)
class Claimed:
    """The order that a paper or a library claims, by what, and the record that has it where the sampler has not."""

    order: int
    where: str
    repair: str | None = None


@dataclass(frozen=True)
class Line:
    """A sampler's orders.  measured: the kept rows of its two targets; none of a sampler of order 0."""

    record: Record
    claimed: Claimed | None
    measured: tuple[Mapping[str, Any], ...]

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
        off = max((abs(row["observed"] - row["order"]) for row in self.measured), default=0.0)
        return self.missing(self.record.order), self.missing(self.free), off


@cache
def claimed() -> dict[str, Claimed]:
    """What is claimed, by the name of the record."""
    entries = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {name: Claimed(**entry) for name, entry in entries.items()}


def lines(orders: Sequence[Mapping[str, Any]]) -> list[Line]:
    """All samplers, those whose claim is furthest above their proof first.  orders: the kept ones, on two targets."""
    found = [
        Line(record, claimed().get(name), tuple(row for row in orders if row["method"] == name))
        for name, record in METHODS.items()
    ]
    return sorted(found, key=lambda line: line.disagreement, reverse=True)


def claimed_page(orders: Sequence[Mapping[str, Any]]) -> str:
    """The page of the table."""
    found = lines(orders)
    short = [line for line in found if line.missing(line.record.order)]
    uneven = sum(bool(line.missing(line.free)) for line in found) - len(short)
    off = [line for line in found if line.disagreement[2] > WITHIN]
    text = PAGE.format(
        count=len(found),
        short=len(short),
        noisy=sum(line.record.stochastic for line in short),
        uneven=uneven,
        orders=sum(len(line.measured) for line in found),
        within=WITHIN,
        off=f", but for those of {', '.join(link(line.record.name, 'methods/') for line in off)}{WHY_OFF}"
        if off
        else "",
    )
    head = ("sampler", "claimed", "by", "proved", "free", "whole run", "measured", "and", "has the claimed order")
    return f"{ONE_SIDEBAR}{text}\n{table(head, map(_row, found))}\n"


def in_words(row: Mapping[str, Any], proved: int) -> str:
    """A measured order: 1.99 on the line, 320 to 640; with the order in law where it is not the proved one."""
    law = "" if row["order"] == proved else f" (in law {row['order']})"
    where = "on a Gaussian" if row["target"] == "Gaussian" else f"{PLACES[row['target']]} the {row['target']}"
    return f"{row['observed']:.2f}{law} {where}, {row['steps'][0]} to {row['steps'][-1]}"


def _row(line: Line) -> tuple[str, ...]:
    record, claim = line.record, line.claimed
    repair = None if claim is None else claim.repair
    shown = [in_words(row, record.order) for row in line.measured] or ["-", "-"]
    return (
        link(record.name, "methods/"),
        "-" if claim is None else str(claim.order),
        "-" if claim is None else plain(claim.where),
        f"{record.order}{' (weak)' if record.stochastic else ''}",
        str(line.free),
        str(record.order_asymptotic),
        *shown,
        "-" if repair is None else link(repair, "methods/"),
    )
