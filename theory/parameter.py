"""The free numbers of methods: their names, domains and symbols."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

from ..names.lookup import Domain
from .notation import NOTATION


@dataclass(frozen=True)
class Parameter:
    """A free number of a method, set by NAME?name=value; the proofs hold for every value in the domain.

    name: as it is typed; formulas, proofs and generated code show the symbol under this name.
    orders: values at which the order is another one.  excluded: values in the domain at which nodes coincide.
    latex: the name in formulas, if sympy would not write it so.
    symbol: stands for the number in rows and proofs. It is made from the name; one of the notation table is given
    where papers have other names for it: the place of a first stage is c2, and DPM-Solver calls it r or r1.
    """

    name: str
    meaning: str
    default: sp.Rational
    domain: sp.Interval
    orders: tuple[tuple[sp.Rational, int], ...] = ()
    excluded: tuple[sp.Rational, ...] = ()
    latex: str = ""
    symbol: sp.Symbol = None

    def __post_init__(self) -> None:
        if self.symbol is None:
            if self.name in NOTATION:
                raise ValueError(f"parameter: got {self.name!r}, in use for: {NOTATION[self.name].meaning}")
            object.__setattr__(self, "symbol", sp.Symbol(self.name, **_assumptions(self.domain)))
        object.__setattr__(self, "latex", self.latex or sp.latex(self.shown))

    @property
    def shown(self) -> sp.Symbol:
        """A symbol that prints under the parameter's name."""
        return sp.Symbol(self.name)

    @property
    def bounds(self) -> Domain:
        """The domain in plain numbers."""
        low, high = (float(e) if e.is_infinite else as_fraction(e) for e in self.domain.args[:2])
        excluded = tuple(map(as_fraction, self.left_out))
        return Domain(self.name, as_fraction(self.default), low, high, self.closed, excluded)

    @property
    def closed(self) -> bool:
        """Whether the ends belong to the domain; of a domain that is open on the left alone the low end is left out."""
        return bool(not self.domain.left_open or not self.domain.right_open)

    @property
    def left_out(self) -> tuple[sp.Rational, ...]:
        """The excluded values, and the low end where that one alone is."""
        return (self.domain.start, *self.excluded) if self.domain.left_open and self.closed else self.excluded


def _assumptions(domain: sp.Interval) -> dict[str, bool]:
    """What sympy may assume of a number in the domain."""
    if domain.start > 0 or (domain.start == 0 and domain.left_open):
        return {"positive": True}
    return {"nonnegative": True} if domain.start == 0 else {"real": True}


def as_fraction(number: sp.Rational) -> Fraction:
    """The rational number as one of Python's."""
    return Fraction(int(number.p), int(number.q))
