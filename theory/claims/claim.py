"""Claims: statements with exact proofs. Notebooks show them, tests run them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp

from ..phi_functions import is_zero

Expressions = tuple[sp.Expr, ...]


@dataclass(frozen=True)
class Proof:
    """zero: must vanish identically.  nonzero: must not."""

    zero: Expressions
    nonzero: Expressions = ()

    @property
    def holds(self) -> bool:
        return all(map(is_zero, self.zero)) and not any(map(is_zero, self.nonzero))


@dataclass(frozen=True)
class Claim:
    """A statement, how it is proved, and where it is found.

    text: the statement, its formulas between dollars, in plain letters as in alpha' x0hat + e^{-h} phi_1(h).
    prove: its docstring has the title of the claim and, below, the proof in words, with formulas as in the text.
    """

    name: str
    text: str
    prove: Callable[[], Proof]
    cite: str

    @property
    def statement(self) -> str:
        """The statement as a terminal shows it."""
        return self.text.replace("$", "")

    @property
    def title(self) -> str:
        return self._words[0].removesuffix(".")

    @property
    def argument(self) -> str:
        """The proof in words, as one paragraph."""
        return " ".join(" ".join(self._words[1:]).split())

    @property
    def _words(self) -> list[str]:
        return (inspect.getdoc(self.prove) or "").split("\n")


def claim(name: str, text: str, cite: str) -> Callable[[Callable[[], Proof]], Claim]:
    """Turn the decorated proof into a Claim."""
    return lambda prove: Claim(name, text, prove, cite)
