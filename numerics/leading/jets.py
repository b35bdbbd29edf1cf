"""Truncated Taylor series in several variables: all partial derivatives of a formula at once, exactly."""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import factorial, prod

import torch
from torch import Tensor

Place = tuple[int, ...]  # exponents of the variables
Jet = dict[Place, Tensor]  # Taylor coefficients; absent ones are zero


def variables(*values: Tensor) -> list[Jet]:
    """Each value as a variable of its own."""
    count = len(values)
    units = [tuple(int(i == j) for i in range(count)) for j in range(count)]
    return [{(0,) * count: v, unit: torch.ones_like(v)} for v, unit in zip(values, units, strict=True)]


def partials(jet: Jet) -> Jet:
    """The partial derivatives, by how often each variable is differentiated."""
    return {place: value * prod(map(factorial, place)) for place, value in jet.items()}


def add(*jets: Jet) -> Jet:
    total: Jet = {}
    for jet in jets:
        for place, value in jet.items():
            total[place] = total[place] + value if place in total else value
    return total


def scale(jet: Jet, factor: float | Tensor) -> Jet:
    return {place: value * factor for place, value in jet.items()}


def shift(jet: Jet, constant: float | Tensor) -> Jet:
    """Add a constant."""
    value = origin(jet)
    return {**jet, value: jet[value] + constant}


def origin(jet: Jet) -> Place:
    """The place of the value."""
    return (0,) * len(next(iter(jet)))


def multiply(a: Jet, b: Jet, degree: int) -> Jet:
    """The product, cut off above the total degree."""
    total: Jet = {}
    orders = [sum(place) for place in b]
    for left, x in a.items():
        room = degree - sum(left)
        for (right, y), order in zip(b.items(), orders, strict=True):
            if order <= room:
                place = tuple(map(operator.add, left, right))
                total[place] = total[place] + x * y if place in total else x * y
    return total


def compose(jet: Jet, derivative: Callable[[int, Tensor], Tensor], degree: int) -> Jet:
    """f(jet) from f^(k)(value)/k!, k = 0..degree: a polynomial in what the jet has beside its value.

    By Horner's rule; what is still to be multiplied k times by terms of degree 1 and more is cut off at degree - k.
    """
    value = jet[origin(jet)]
    rest = {place: v for place, v in jet.items() if any(place)}
    total: Jet = {origin(jet): derivative(degree, value)}
    for k in range(degree - 1, -1, -1):
        moved = multiply(total, rest, degree - k)
        total = {**moved, origin(jet): derivative(k, value)}
    return total


def exp(jet: Jet, degree: int) -> Jet:
    return compose(jet, lambda k, v: v.exp() / factorial(k), degree)


def log(jet: Jet, degree: int) -> Jet:
    return compose(jet, lambda k, v: v.log() if k == 0 else -((-1 / v) ** k) / k, degree)


def inverse(jet: Jet, degree: int) -> Jet:
    return compose(jet, lambda k, v: (-1) ** k / v ** (k + 1), degree)
