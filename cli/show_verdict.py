"""A verdict on a terminal: only lines that have a content."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table

from ..book.markup import scientific
from ..book.pages.myst import sampler_page
from .fitted_tables import print_table

if TYPE_CHECKING:
    from ..numerics.conformance.report import Verdict


def verdict(answer: Verdict) -> None:
    """What it is, the rows that differ, the findings, the repair and the coverage."""
    for line in lines(answer):
        print(line)
    if rows := [row for row in answer.steps if row.off and answer.verdict == "different-formula"]:
        table = Table("step", "entry", "found", "expected", "as shipped", "in float64", "the row is that of")
        for row in rows:
            numbers = (f"{row.found:.8g}", f"{row.expected:.8g}", scientific(row.error), scientific(row.error_float64))
            table.add_row(str(row.step), row.entry, *numbers, ", ".join(row.equals[:2]))
        print_table(table, ("as shipped", "in float64", "the row is that of"))
    for finding in answer.findings:
        print(f"  {finding.kind}{'' if finding.severity == 'note' else ' (error)'}: {finding.detail}")
    if answer.repair:
        print("  the smallest change that mends it:")
        for line in answer.repair.splitlines():
            print(f"    {line}")
    if answer.record:
        print(f"  page: {sampler_page(answer.record)} of the book; samplerproof methods {answer.record}")
    for covered in answer.coverage:
        print(f"  covered: {covered}")


def lines(answer: Verdict) -> Iterator[str]:
    """The verdict, and what was compared and observed."""
    yield f"{answer.target}: {answer.verdict}"
    if answer.reference:
        yield f"  against {answer.reference}"
    if answer.matches:
        yield f"  equals {', '.join(answer.matches)}"
    elif answer.nearest:
        yield f"  nearest: {answer.nearest}"
    if answer.guidance:
        yield f"  with two outputs of its model: {answer.guidance}"
    both = (("as shipped", answer.max_relative_error), ("in float64", answer.max_relative_error_float64))
    if errors := [f"{scientific(error)} {run}" for run, error in both if error is not None]:
        yield f"  largest relative error of a row: {', '.join(errors)}"
    local = [order for order in answer.local_orders if order is not None]
    orders = [
        f"proved {answer.nominal_order}" if answer.nominal_order is not None else "",
        f"of single steps {min(local)} to {max(local)}" if local else "",
        f"observed {answer.observed_order:.2f}" if answer.observed_order is not None else "",
    ]
    if any(orders):
        yield f"  order: {', '.join(filter(None, orders))}"
    if answer.growth:
        grown = ", ".join(f"{scientific(error)} on {n}" for n, error in sorted(answer.growth.items()))
        yield f"  roundoff as shipped: {grown} steps"
