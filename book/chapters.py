"""What the chapters of the book share: a claim proved on the spot, and LaTeX that a notebook typesets."""

from __future__ import annotations

import textwrap

from ..theory.claims import CLAIMS

WIDTH = 86  # characters that fit beside the contents


class Formula(str):
    """LaTeX that the notebook typesets."""

    def _repr_latex_(self) -> str:
        return f"$${self}$$"


def prove(name: str) -> None:
    """Run a claim of theory/claims and print it: what must vanish vanishes, what must not does not.

    Raises KeyError on a name that no claim has, AssertionError where a claim does not hold.
    """
    claim = {claim.name: claim for claim in CLAIMS}[name]
    proof = claim.prove()
    assert proof.holds, name
    print(textwrap.fill(f"{name}: {claim.statement}", WIDTH, subsequent_indent="  "))
    print(f"  Proved to be zero: {len(proof.zero)}." + f" Not to be: {len(proof.nonzero)}." * bool(proof.nonzero))
