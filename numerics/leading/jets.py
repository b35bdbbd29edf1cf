"""Truncated Taylor series in several variables (jets): all partial derivatives of a formula at once, exactly."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from math import factorial, prod

import torch
from torch import Tensor

Exponents = tuple[int, ...]  # of the variables in a monomial
Jet = dict[Exponents, Tensor]  # Taylor coefficients; absent ones are zero


def variables(*values: Tensor) -> list[Jet]:
    """The jets of independent variables at these values."""
    count = len(values)
    units = [tuple(int(i == j) for i in range(count)) for j in range(count)]
    return [{(0,) * count: v, unit: torch.ones_like(v)} for v, unit in zip(values, units, strict=True)]


def partials(jet: Jet) -> Jet:
    """The partial derivatives, by the order in each variable."""
    return {exponents: value * prod(map(factorial, exponents)) for exponents, value in jet.items()}


def add(*jets: Jet) -> Jet:
    """The sum."""
    total: Jet = {}
    for jet in jets:
        for exponents, value in jet.items():
            total[exponents] = total[exponents] + value if exponents in total else value
    return total


def scale(jet: Jet, factor: float | Tensor) -> Jet:
    """The product with a constant."""
    return {exponents: value * factor for exponents, value in jet.items()}


def shift(jet: Jet, constant: float | Tensor) -> Jet:
    """Add a constant."""
    value = origin(jet)
    return {**jet, value: jet[value] + constant}


def origin(jet: Jet) -> Exponents:
    """The exponents of the constant term."""
    return (0,) * len(next(iter(jet)))


def multiply(a: Jet, b: Jet, degree: int) -> Jet:
    """The product, truncated above a total degree.

    Products are rounded before they are added: terms that cancel, as those of a share r = e / e, leave exactly zero.
    """
    total: Jet = {}
    orders = [sum(exponents) for exponents in b]
    for left, x in a.items():
        highest = degree - sum(left)
        for (right, y), order in zip(b.items(), orders, strict=True):
            if order <= highest:
                exponents, term = tuple(map(operator.add, left, right)), x * y
                known = total.get(exponents)
                if known is not None and known.shape == term.shape:
                    known += term
                else:
                    total[exponents] = term if known is None else known + term
    return total


def substitute(jet: Jet, inner: Sequence[Jet], degree: int) -> Jet:
    """f(v_1, ...) from f's Taylor coefficients at the values of v_1, ..., the jets `inner`; truncated above a degree.

    By Horner's rule in one variable after the other; the values themselves are not read.
    """
    if not inner:
        return {(): jet[()]}
    first, *others = inner
    zero = origin(first)
    moved = {exponents: v for exponents, v in first.items() if exponents != zero}
    total: Jet = {}
    for k in range(degree, -1, -1):
        rest = {exponents[1:]: v for exponents, v in jet.items() if exponents[0] == k}
        constant = substitute(rest, others, degree - k) if rest else {}
        constant = {exponents or zero: v for exponents, v in constant.items()}
        total = add(multiply(total, moved, degree - k), constant)
    return total


def compose(jet: Jet, derivative: Callable[[int, Tensor], Tensor], degree: int) -> Jet:
    """f(jet) from derivative(k, value) = f^(k)(value)/k!, k = 0..degree: Taylor's polynomial in jet - value.

    By Horner's rule: a partial result that is still to be multiplied k times by terms of degree 1 and more is truncated
    at degree - k.
    """
    value = jet[origin(jet)]
    rest = {exponents: v for exponents, v in jet.items() if any(exponents)}
    total: Jet = {origin(jet): derivative(degree, value)}
    for k in range(degree - 1, -1, -1):
        moved = multiply(total, rest, degree - k)
        total = {**moved, origin(jet): derivative(k, value)}
    return total


def exp(jet: Jet, degree: int) -> Jet:
    value = jet[origin(jet)].exp()
    return compose(jet, lambda k, _: value / factorial(k), degree)


def log(jet: Jet, degree: int) -> Jet:
    return compose(jet, lambda k, v: v.log() if k == 0 else -((-1 / v) ** k) / k, degree)


def inverse(jet: Jet, degree: int) -> Jet:
    return compose(jet, lambda k, v: (-1) ** k / v ** (k + 1), degree)
