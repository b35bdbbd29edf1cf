"""`samplerproof prove --tableau FILE`, and what it prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from ..book.own_tableaux import prove_tableau
from ..book.proofs import term
from ..numerics.errors import InputError
from ..numerics.text_table import described
from . import show


def tableau_proof(file: Path, others: bool, json: bool) -> None:
    """Prove the tableau in a file; exit code 1 if it claims another order.  others: whether methods are named too."""
    if others:
        raise InputError("--tableau", str(file), "a file alone, without names or --all")
    answer = prove_tableau(file)
    if json:
        show.json(answer)
    else:
        print(_text(answer))
    if not answer["proved"]:
        raise typer.Exit(1)


def _text(answer: dict[str, Any]) -> str:
    """The answer, a fact a line; of the defects the five with the shortest coefficients."""
    order, claimed = str(answer["proved_order"]), answer["claimed_order"]
    if claimed is not None:
        order += f", as claimed: {'yes' if answer['proved'] else f'NO, {claimed}'}"
    if answer["proved_order_free"] != answer["proved_order"]:
        free = answer["proved_order_free"]
        order += f"; for all step ratios {'not decided' if free is None else free}"
    defects = sorted(answer["leading_defects"], key=lambda d: len(d["coefficient"]))
    shown = [term(defect) for defect in defects[:5]]
    if len(defects) > len(shown):
        shown.append(f"… {len(defects)} in all; --json has them")
    length = answer["stability"]
    stable = "not bounded, or not decided" if length is None else f"h |c| < {length:.6g}"
    facts = [
        ("order", order),
        ("statement", answer["statement"]),
        ("kind", f"{answer['kind']}, {answer['stages']} stages"),
    ]
    if answer["tolerance"]:
        facts.append(("residuals", f"at most {answer['largest_residual']:.2g}, tolerance {answer['tolerance']:g}"))
    facts.append(("fails next", "\n".join(shown)))
    if answer["kind"] != "multistep":
        facts += [("c", ", ".join(answer["c"])), ("row sums", ", ".join(answer["row_sums"]))]
    if answer["stiff_order"] is not None:
        stiff, weakened = answer["stiff_order"], answer["stiff_order_weakened"]
        facts.append(("stiff order", f"{stiff}; {weakened} where the conditions of this order hold at b(0) alone"))
    facts.append(("stable", stable if answer["zero_stable"] else "not: the states that it carries grow"))
    if answer["sweeps"] is not None:
        facts.append(("sweeps", f"order {answer['sweeps_order']} with {answer['sweeps']} sweeps"))
    facts.append(("seconds", f"{answer['seconds']:.2f}"))
    return described(answer["name"], facts)
