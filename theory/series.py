"""Power series in the step h, cut off, with coefficients in an exact field of step ratios and schedule symbols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp
from sympy.polys.fields import field

from .notation import a1, alpha, h
from .notation import r as ratios
from .phi import phi

# alpha is the scale at the base point: what is left of a variance-preserving schedule in Li et al.'s weights.
FIELD = field((*ratios, alpha), sp.QQ)[0]
Series = tuple[Any, ...]  # coefficients of h^0, h^1, …: elements of FIELD


def constant(value: Any, terms: int) -> Series:
    return (FIELD(value), *(FIELD.zero for _ in range(terms - 1)))


def power(base: Any, exponent: int) -> Any:
    """base^exponent in the field, with 0^0 = 1."""
    return base**exponent if exponent else FIELD.one


def add(a: Series, b: Series) -> Series:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def scale(a: Series, factor: Any) -> Series:
    return tuple(x * factor for x in a)


def multiply(a: Series, b: Series) -> Series:
    total = [FIELD.zero] * len(a)
    for i, x in enumerate(a):
        if x:
            for j in range(len(a) - i):
                if b[j]:
                    total[i + j] += x * b[j]
    return tuple(total)


def shift(a: Series, by: int) -> Series:
    """h^by a(h); for by < 0 the coefficients that fall off must vanish."""
    if by >= 0:
        return (*(FIELD.zero for _ in range(by)), *a[: len(a) - by])
    if any(a[:-by]):
        raise ValueError(f"series: not divisible by h^{-by}")
    return (*a[-by:], *(FIELD.zero for _ in range(-by)))


def inverse(a: Series) -> Series:
    """1 / a(h), where a(0) is not zero."""
    result = [1 / a[0]]
    for n in range(1, len(a)):
        result.append(-sum((a[k] * result[n - k] for k in range(1, n + 1)), start=FIELD.zero) / a[0])
    return tuple(result)


def exp(a: Series) -> Series:
    """e^{a(h)} for a(0) = 0, from e' = a' e."""
    if a[0]:
        raise ValueError("series: exp needs a(0) = 0")
    result = [FIELD.one]
    for n in range(1, len(a)):
        result.append(sum((k * a[k] * result[n - k] for k in range(1, n + 1)), start=FIELD.zero) / n)
    return tuple(result)


def powers(a: Series, exponent: int) -> Series:
    """a(h)^exponent, exponent >= 0."""
    result = constant(1, len(a))
    for _ in range(exponent):
        result = multiply(result, a)
    return result


def of(expression: sp.Expr, terms: int, smooth: bool = False) -> Series:
    """The series of an expression rational in h, the ratios, a1 and phi atoms of multiples of h.

    a_{t+1} = (alpha_{n-1}/alpha_n)^2 of a variance-preserving schedule is 1/(1 - alpha^2 r_1 h) in the clock rho^2.
    smooth: the ratios are r_k = 1 + O(h), and the symbol r_k stands for (r_k - 1)/h.
    """
    expression = sp.sympify(expression)
    if isinstance(expression, sp.Add):
        return _fold(add, expression.args, constant(0, terms), smooth)
    if isinstance(expression, sp.Mul):
        return _fold(multiply, expression.args, constant(1, terms), smooth)
    base, exponent = expression.as_base_exp()
    if base == a1:
        rate = FIELD(alpha) ** 2 * FIELD(ratios[0])
        binomials = (sp.ff(-exponent, n) / sp.factorial(n) for n in range(terms))
        return tuple(FIELD.from_expr(c) * power(-rate, n) for n, c in enumerate(binomials))
    if isinstance(expression, sp.Pow) and exponent.is_Integer:
        factor = of(base, terms, smooth)
        return powers(inverse(factor) if exponent < 0 else factor, abs(int(exponent)))
    if expression == h:
        return shift(constant(1, terms), 1)
    if smooth and expression in ratios:
        return add(constant(1, terms), shift(constant(FIELD(expression), terms), 1))
    if isinstance(expression, phi):
        k, z = int(expression.args[0]), of(expression.args[1], terms, smooth)
        total = constant(0, terms)
        for j in reversed(range(terms)):
            total = add(multiply(total, z), constant(FIELD(1) / FIELD(int(sp.factorial(j + k))), terms))
        return total
    return constant(FIELD.from_expr(expression), terms)


def _fold(operation: Any, parts: Sequence[sp.Expr], start: Series, smooth: bool) -> Series:
    for part in parts:
        start = operation(start, of(part, len(start), smooth))
    return start
