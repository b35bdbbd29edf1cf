"""Helpers for the chapters of the book: run the proof of a claim, and typeset LaTeX."""

from __future__ import annotations

import textwrap

from ..theory.claims import CLAIMS

WIDTH = 86  # characters that fit beside the contents


class Formula(str):
    """LaTeX that the notebook typesets."""

    def _repr_latex_(self) -> str:
        return f"$${self}$$"


def prove(name: str) -> None:
    """Prove a claim of theory/claims and print its statement with the number of expressions that were decided.

    Raises KeyError on an unknown name, AssertionError where the claim does not hold.
    """
    claim = {claim.name: claim for claim in CLAIMS}[name]
    proof = claim.prove()
    assert proof.holds, name
    print(textwrap.fill(f"{name}: {claim.statement}", WIDTH, subsequent_indent="  "))
    print(f"  Proved to be zero: {len(proof.zero)}." + f" Not zero: {len(proof.nonzero)}." * bool(proof.nonzero))
