"""Exact expressions as the terms of formal/Orders.v: elements of a field, series in h, trees and places."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.str import StrPrinter

from ..notation import ALPHA_TAYLOR, MIDDLE, TWO_STEP_ALPHA_RATIO, WEIGHT_TAYLOR, a1, h, moments, next_rho, rho
from ..notation import r as ratios
from ..phi_functions import arc, phi, rate_moment
from ..trees import Tree

SERIES = {h, a1, TWO_STEP_ALPHA_RATIO, next_rho, *moments}  # symbols that stand for a series in h


class FieldPrinter(StrPrinter):  # type: ignore[misc]
    """An element of the field: #3 is an integer, `pow x 2` a power."""

    def __init__(self, smooth: bool) -> None:
        super().__init__()
        self._smooth = smooth

    def _print_Symbol(self, symbol: sp.Symbol) -> str:
        for letter, taylor in (("q", WEIGHT_TAYLOR), ("l", ALPHA_TAYLOR)):
            if symbol in taylor:
                return f"({letter} {taylor.index(symbol) + 1})"
        # The proof's r_k is the first coefficient of a ratio 1 + O(h).
        return f"({deviation(symbol)} 1)" if self._smooth and symbol in (*ratios, MIDDLE) else str(symbol.name)

    def _print_Integer(self, number: sp.Integer) -> str:
        return f"-#{-number.p}" if number.p < 0 else f"#{number.p}"

    _print_One = _print_Zero = _print_NegativeOne = _print_Integer

    def _print_Rational(self, number: sp.Rational) -> str:
        return f"{self._print_Integer(sp.Integer(number.p))}/#{number.q}"

    _print_Half = _print_Rational

    def _print_Pow(self, power: sp.Pow, rational: bool = False) -> str:
        base, exponent = power.args
        if not exponent.is_Integer:
            raise TypeError(f"not in the field: {power}")
        inside = self.parenthesize(base, PRECEDENCE["Func"])
        size = abs(int(exponent))
        text = inside if size == 1 else f"(pow {inside} {size})"
        return f"#1/{text}" if exponent < 0 else text


def deviation(symbol: sp.Symbol) -> str:
    """The name of the coefficients of a ratio that is 1 (of the middle that is 1/2) up to O(h)."""
    return "middle" if symbol == MIDDLE else f"e{ratios.index(symbol) + 1}"


def is_atom(text: str) -> bool:
    return text.isidentifier() or (text.startswith("#") and text[1:].isdecimal())


def within(text: str) -> str:
    """A term as an argument."""
    return text if is_atom(text) or (text[0] == "(" and text.find(")") == len(text) - 1) else f"({text})"


def tree_text(tree: Tree) -> str:
    """node 1 [node 0 []]: the legs, then the subtrees."""
    return f"node {tree.legs} [{'; '.join(map(tree_text, tree.children))}]"


@dataclass(frozen=True)
class Terms:
    """smooth: ratios are series 1 + O(h), and not elements of the field."""

    smooth: bool = False

    def field(self, expression: sp.Expr) -> str:
        """An element of the field."""
        return str(FieldPrinter(self.smooth).doprint(sp.sympify(expression)))

    def quotient(self, expression: sp.Expr) -> str:
        """An element of the field with the factors of its denominator, so that each has its hypothesis."""
        numerator, denominator = sp.fraction(sp.sympify(expression))
        number, factors = sp.factor_list(denominator)
        parts = [self.field(number)] * (number != 1)
        parts += [within(self.field(f)) if k == 1 else f"(pow {within(self.field(f))} {k})" for f, k in factors]
        over = parts[0] if len(parts) == 1 else f"({'*'.join(parts)})"
        above = self.field(numerator)
        if not parts:
            return above
        return f"{f'({above})' if numerator.is_Add else above}/{over}"

    def is_constant(self, expression: sp.Expr) -> bool:
        series = {*SERIES, *ratios, MIDDLE} if self.smooth else SERIES
        return not expression.free_symbols & series and not expression.atoms(phi, arc, rate_moment)

    def place(self, position: sp.Expr) -> str:
        """A place in units of h from u_n."""
        position = sp.sympify(position)
        if self.is_constant(position):
            return f"At {within(self.field(position))}"
        return f"Near {within(self.series(position))}%S"

    def series(self, expression: sp.Expr) -> str:
        """A series in h, of an expression rational in h and in functions of the schedule."""
        expression = sp.sympify(expression)
        if self.is_constant(expression):
            return f"${within(self.field(expression))}"
        if isinstance(expression, sp.Add):
            return " + ".join(self.factor(term) for term in expression.as_ordered_terms())
        if isinstance(expression, sp.Mul):
            return self._product(expression)
        return self.factor(expression)

    def _product(self, expression: sp.Expr) -> str:
        parts = expression.as_ordered_factors()
        number = sp.Mul(*(p for p in parts if self.is_constant(p)))
        rest = " * ".join(self.factor(p) for p in parts if not self.is_constant(p))
        if number == 1:
            return rest
        sums = number.atoms(sp.Pow)
        number = number.xreplace({p: sp.factor(p.base) ** p.exp for p in sums if p.exp.is_negative and p.base.is_Add})
        return f"{within(self.field(number))} • " + (f"({rest})" if " * " in rest else rest)

    def factor(self, expression: sp.Expr) -> str:
        """A series as a factor or an argument."""
        base, exponent = expression.as_base_exp()
        if base == a1:
            return f"exponential ({within(self.field(2 * exponent))} • log_alpha l ({self.place(-ratios[0])}))"
        if exponent != 1 and base != expression:
            power = self.factor(base) if abs(exponent) == 1 else f"({self.factor(base)})^{abs(int(exponent))}"
            return f"inverse ({power})" if exponent < 0 else power
        if self.smooth and expression in (*ratios, MIDDLE):
            start = "(#1/#2)" if expression == MIDDLE else "#1"
            return f"near {start} {deviation(expression)}"
        if expression in moments:
            return f"moment q {moments.index(expression)}"
        if isinstance(expression, phi):
            k, z = expression.args
            return f"phi {k} {within(self.field(sp.cancel(z / h)))}"
        if isinstance(expression, rate_moment):
            return f"rate_moment q {within(self.field(expression.args[0]))}"
        if isinstance(expression, arc):
            return f"arc ({self.series(expression.args[0])})"
        if expression == TWO_STEP_ALPHA_RATIO:
            return f"exponential (log_alpha l ({self.place(-ratios[0])}) - log_alpha l (At #1))"
        if expression == next_rho:
            return f"(${rho.name} + h)"
        return "h" if expression == h else f"({self.series(expression)})"
