"""Claims: statements with exact proofs. Notebooks show them, tests run them."""

from __future__ import annotations

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
    """A statement, how it is proved, and where it is found."""

    name: str
    statement: str
    prove: Callable[[], Proof]
    cite: str


def claim(name: str, statement: str, cite: str) -> Callable[[Callable[[], Proof]], Claim]:
    """Turn the decorated proof into a Claim."""
    return lambda prove: Claim(name, statement, prove, cite)
