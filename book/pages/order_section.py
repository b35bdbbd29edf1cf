"""The section on the order of a method: the theorem, its meaning, and the conditions that fail at the next order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from ...numerics.records import Record
from ...theory.latex import tex
from ..markup import plain, table
from .kernel_page import coq
from .leading_error_formula import leading_error, symbols
from .myst import display

SMOOTH = r"On a smooth grid, $r_k = 1 + k\,e_1 h + O(h^2)$, the leading defects are"
LETTERS = {
    False: "$r_k$ are step ratios, $q_k$ derivatives of the schedule",
    True: "$f$ is the function whose mean is in error, and a vector $e_a$ that occurs twice is summed over",
}


def order(record: Record, proof: dict[str, Any]) -> Iterator[str]:
    """The paragraphs of the section.  proof: the method's kept proof."""
    yield f"**Theorem.** `{record.name}` {plain(proof['statement'].removeprefix(record.name + ' '))}."
    yield " ".join(_meaning(record, proof))
    yield from coq(record)
    found = leading_error(record.name)
    if found is None:
        yield from _failing(record, proof)
        return
    formula, more = found
    yield SMOOTH if record.history else "The leading defects are"
    yield display(formula)
    rest = f"; {more} more terms are left out" if more else ""
    yield f"with the derivatives of $G$ in $dz/du = G(z, u)$, nested as the brackets show{rest}."


def _meaning(record: Record, proof: dict[str, Any]) -> Iterator[str]:
    p = record.order
    if record.stochastic:
        yield (
            f"That is: over a run the means of smooth functions of the samples have errors of $O(h^{{{p}}})$, and some "
            "have no smaller ones."
        )
        if record.law_order is not None or record.gaussian_order is not None:
            any_target, gaussian = record.order_in_law(False), record.order_in_law(True)
            yield f"With an exact score the law of the samples is of order {any_target}, on Gaussians of {gaussian}."
        chapter = "[the chapter on stochastic samplers](../chapters/stochastic_orders.md)"
    else:
        yield (
            f"That is: a step that starts on the exact solution has an error of $O(h^{{{p + 1}}})$, and no smaller one "
            "for some models."
        )
        if record.equal_steps:
            free = proof["proved_order_free"]
            yield f"Its weights are those for equal steps: for step ratios away from 1 the order is {free}."
        chapter = "[the chapter on trees](../chapters/trees_and_orders.md)"
    yield (
        f"Both sides are decided in exact algebra, as {chapter} explains. `samplerproof prove {record.name} --json` "
        "proves it again and lists all conditions that fail at the next order."
    )


def _failing(record: Record, proof: dict[str, Any]) -> Iterator[str]:
    """The conditions that fail at the next order: a row for each tree or forest of the proof."""
    yield f"The terms that fail at the next order, with coefficients and powers of $h$; {LETTERS[record.stochastic]}."
    known, rows = symbols(record.name), []
    for defect in proof["leading_defects"]:
        coefficient = sp.sympify(defect["coefficient"], locals=known, rational=True)
        rows.append((f"${defect['differential']}$", f"${tex(coefficient)}$", f"$h^{{{defect['power']}}}$"))
    yield table(("term", "coefficient", "power"), rows)
    if (more := proof["defects"] - len(rows)) > 0:
        yield f"{more} more are left out."
