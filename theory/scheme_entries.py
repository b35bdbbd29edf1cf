"""Entries of a tableau as text: "1/6", "sqrt(3)/6", "phi1(c2 h)/2", "-2 phi2(h) - r1/2"; a blank multiplies."""

from __future__ import annotations

import re
from collections.abc import Mapping

import sympy as sp

from .phi_functions import phi

LONGEST = 500  # characters of an entry
DEEPEST = 40  # brackets open at a time
HIGHEST_PHI = 12
DIGITS = 60  # of a number, numerator and denominator each
FACTORS, PHI_FACTORS = 12, 4  # of a product: names, h and phi functions; phi functions
_TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|(\*\*|[-+*/^()]))")


class EntryError(ValueError):
    """What is wrong with an entry: what is allowed instead."""


def is_decimal(text: str) -> bool:
    """Whether an entry holds a number with a decimal point or an exponent."""
    return any(re.search(r"[.eE]", number) for number, _, _ in _TOKEN.findall(text) if number)


def entry(text: str, symbols: Mapping[str, sp.Expr]) -> sp.Expr:
    """The expression that a text stands for, exact; symbols: the names besides the functions.

    Functions: phi0, phi1, … of a multiple of h, exp of one, and sqrt of a positive number. Raises EntryError on
    anything else, on division by what is zero or holds h, on a power that is not a whole number >= 0, and on what is
    too large to be decided in reasonable time.
    """
    if len(text) > LONGEST:
        raise EntryError(f"at most {LONGEST} characters")
    tokens, end = [], 0
    while end < len(text.rstrip()):
        match = _TOKEN.match(text, end)
        if match is None:
            raise EntryError(f"numbers, names, + - * / ^ and brackets, not {text[end:].strip()[:1]!r}")
        tokens.append(match.group(match.lastindex or 0))
        end = match.end()
    reader = _Reader(tokens, symbols)
    found = reader.sum()
    if reader.tokens:
        raise EntryError(f"nothing behind {reader.tokens[-1]!r} that cannot be read")
    if (most := _factors(found, (sp.Symbol, phi))) > FACTORS:
        raise EntryError(f"products of at most {FACTORS} names, h and phi functions, not of {most}")
    if (most := _factors(found, (phi,))) > PHI_FACTORS:
        raise EntryError(f"products of at most {PHI_FACTORS} phi functions, not of {most}")
    return found


def _factors(found: sp.Expr, kinds: tuple[type, ...]) -> int:
    """How many factors of some kinds a product in an entry has at most, those of denominators too."""
    if not found.has(*kinds):
        return 0
    if found.is_Pow:
        return abs(int(found.exp)) * _factors(found.base, kinds)
    of_parts = [_factors(part, kinds) for part in found.args]
    if found.is_Mul:
        return sum(of_parts)
    return max(of_parts) if found.is_Add else 1


def _sized(digits: int) -> None:
    if digits > DIGITS:
        raise EntryError(f"numbers of at most {DIGITS} digits")


class _Reader:
    """Recursive descent: a sum of products of powers of numbers, names, calls and brackets."""

    def __init__(self, tokens: list[str], symbols: Mapping[str, sp.Expr]) -> None:
        self.tokens, self.symbols, self.depth = tokens[::-1], symbols, 0

    @property
    def next(self) -> str:
        return self.tokens[-1] if self.tokens else ""

    def sum(self) -> sp.Expr:
        self.depth += 1
        if self.depth > DEEPEST:
            raise EntryError(f"at most {DEEPEST} brackets inside each other")
        total = self.product()
        while self.next in ("+", "-"):
            sign = self.tokens.pop()
            term = self.product()
            total = total + term if sign == "+" else total - term
        self.depth -= 1
        return total

    def product(self) -> sp.Expr:
        found = self.power()
        while self.next and self.next not in ("+", "-", ")"):
            operation = self.tokens.pop() if self.next in ("*", "/") else "*"
            factor = self.power()
            if operation == "/":
                if factor == 0:
                    raise EntryError("no division by zero")
                if factor.free_symbols & {self.symbols.get("h")} or factor.has(phi):
                    raise EntryError(f"no division by {factor}; phi functions are such quotients")
                factor = 1 / factor
            found *= factor
        return found

    def power(self) -> sp.Expr:
        if self.next in ("+", "-"):
            return -self.power() if self.tokens.pop() == "-" else self.power()
        base = self.atom()
        if self.next in ("^", "**"):
            self.tokens.pop()
            exponent = self.atom()
            if not (exponent.is_Integer and 0 <= exponent <= 20):
                raise EntryError(f"whole powers from 0 to 20, not {exponent}")
            if base.is_Rational:
                _sized(int(exponent) * max(len(str(abs(base.p))), len(str(base.q))))
            return base**exponent
        return base

    def atom(self) -> sp.Expr:
        token = self.tokens.pop() if self.tokens else ""
        if token == "(":
            found = self.sum()
            self._close()
            return found
        if token[:1].isdigit() or token[:1] == ".":
            if "e" in token.lower() and abs(int(token.lower().partition("e")[2])) > 300:
                raise EntryError("exponents of at most 300")
            _sized(len(token))
            return sp.Rational(token)
        if token == "exp" or re.fullmatch(r"phi\d{1,2}", token):
            index = 0 if token == "exp" else int(token[3:])
            if index > HIGHEST_PHI:
                raise EntryError(f"phi0 to phi{HIGHEST_PHI}, not {token}")
            return self._phi(token, index)
        if token == "sqrt":
            argument = self._argument(token)
            if not (argument.is_Rational and argument > 0):
                raise EntryError(f"sqrt of a positive rational number, not of {argument}")
            return sp.sqrt(argument)
        if token in self.symbols:
            return self.symbols[token]
        known = ", ".join((*self.symbols, *(("phi0, phi1, …", "exp") if "h" in self.symbols else ()), "sqrt"))
        raise EntryError(
            f"unknown name {token!r}; known: {known}" if token[:1].isalpha() else "a number or a name here"
        )

    def _phi(self, name: str, index: int) -> sp.Expr:
        h = self.symbols.get("h")
        if h is None:
            raise EntryError(f"{name} only in an exponential tableau")
        argument = self._argument(name)
        rate = sp.expand(argument / h)
        if not rate.is_Rational:
            raise EntryError(f"{name} of a rational multiple of h, not of {argument}")
        return phi(sp.Integer(index), rate * h)

    def _argument(self, name: str) -> sp.Expr:
        if self.next != "(":
            raise EntryError(f"an argument in brackets behind {name}")
        self.tokens.pop()
        found = self.sum()
        self._close()
        return found

    def _close(self) -> None:
        if not self.tokens or self.tokens.pop() != ")":
            raise EntryError("brackets that close")
