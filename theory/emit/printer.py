"""Exact expression -> torch expression; raises UnknownExpression outside a closed list of functions.

Exponentials minus one must be written expm1 or phi: a sum of exp(...) and a number is refused, because it
would lose all its digits for small arguments.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p
from sympy.core.numbers import Half, NegativeOne, One, Pi, Zero
from sympy.printing.str import StrPrinter

from ..phi_functions import arc, phi

FUNCTIONS = {
    phi: "phi",
    arc: "arc",
    expm1: "expm1",
    log1p: "log1p",
    sp.exp: "exp",
    sp.log: "log",
    sp.sin: "sin",
    sp.cos: "cos",
    sp.atan2: "atan2",
}
ARITHMETIC = (sp.Symbol, sp.Integer, sp.Rational, Half, One, NegativeOne, Zero, Pi, sp.Add, sp.Mul, sp.Pow)


class UnknownExpression(TypeError):
    """An expression that has no torch equivalent here."""


def _cancels(total: sp.Add) -> bool:
    """A multiple of an exponential plus a number of the other sign."""
    number = sum(a for a in total.args if a.is_number)
    factors = [c for c, e in (a.as_coeff_Mul() for a in total.args) if e.func is sp.exp]
    return any(c * number < 0 for c in factors)


class TorchPrinter(StrPrinter):  # type: ignore[misc]
    """sympy's own precedence rules, over a closed list of nodes.  names: those of symbols that have another one."""

    def __init__(self, names: Mapping[sp.Symbol, str] | None = None) -> None:
        super().__init__()
        self._names = names or {}

    def _print(self, expr: sp.Basic, **kwargs: object) -> str:
        if not isinstance(expr, (*ARITHMETIC, sp.Min, *FUNCTIONS)):
            raise UnknownExpression(f"cannot print {type(expr).__name__} as torch code: {expr}")
        if isinstance(expr, sp.Add) and _cancels(expr):
            raise UnknownExpression(f"write expm1 or phi: {expr} cancels for small arguments")
        return str(super()._print(expr, **kwargs))

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return self._names.get(expr, expr.name)

    def _print_Function(self, expr: sp.Function) -> str:
        return f"{FUNCTIONS[expr.func]}({self.stringify(expr.args, ', ')})"

    _print_phi = _print_arc = _print_expm1 = _print_log1p = _print_exp = _print_log = _print_Function
    _print_sin = _print_cos = _print_atan2 = _print_Function

    def _print_Min(self, expr: sp.Min) -> str:
        bound, other = sorted(expr.args, key=lambda a: not a.is_number)
        if not bound.is_number:
            raise UnknownExpression(f"Min of a number and an expression only: {expr}")
        return f"clamp({self._print(other)}, max={self._print(bound)})"


def to_torch(expression: sp.Expr, names: Mapping[sp.Symbol, str] | None = None) -> str:
    """The expression as torch code, symbols under these names or their own.  Raises UnknownExpression."""
    return str(TorchPrinter(names).doprint(sp.sympify(expression)))
