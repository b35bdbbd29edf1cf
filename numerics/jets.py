"""Truncated Taylor series in two variables: all partial derivatives of a formula at once, exactly."""

from __future__ import annotations

from collections.abc import Callable
from math import factorial

import torch
from torch import Tensor

# Jet[i, j] is the coefficient of dz^i du^j; absent entries are zero.
Jet = dict[tuple[int, int], Tensor]


def variables(z: Tensor, u: Tensor) -> tuple[Jet, Jet]:
    """z and u as jets."""
    one = torch.ones_like(z)
    return {(0, 0): z, (1, 0): one}, {(0, 0): u, (0, 1): one}


def partials(jet: Jet, degree: int) -> dict[str, Tensor]:
    """The derivatives up to a total degree, by name: "" the value, "zzu" twice in z and once in u."""
    zero = torch.zeros_like(jet[0, 0])
    places = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    return {"z" * i + "u" * j: jet.get((i, j), zero) * (factorial(i) * factorial(j)) for i, j in places}


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
    return {**jet, (0, 0): jet[0, 0] + constant if (0, 0) in jet else torch.as_tensor(constant)}


def multiply(a: Jet, b: Jet, degree: int) -> Jet:
    """The product, cut off above the total degree."""
    total: Jet = {}
    for (i, j), x in a.items():
        for (k, m), y in b.items():
            if i + j + k + m <= degree:
                place = (i + k, j + m)
                total[place] = total[place] + x * y if place in total else x * y
    return total


def compose(jet: Jet, derivative: Callable[[int, Tensor], Tensor], degree: int) -> Jet:
    """f(jet) from f^(k)(value)/k!, k = 0..degree: a polynomial in what the jet has beside its value."""
    value = jet[0, 0]
    rest = {place: v for place, v in jet.items() if place != (0, 0)}
    total: Jet = {(0, 0): derivative(degree, value)}
    for k in range(degree - 1, -1, -1):
        total = shift(multiply(total, rest, degree), derivative(k, value))
    return total


def exp(jet: Jet, degree: int) -> Jet:
    return compose(jet, lambda k, v: v.exp() / factorial(k), degree)


def log(jet: Jet, degree: int) -> Jet:
    return compose(jet, lambda k, v: v.log() if k == 0 else -((-1 / v) ** k) / k, degree)


def inverse(jet: Jet, degree: int) -> Jet:
    return compose(jet, lambda k, v: (-1) ** k / v ** (k + 1), degree)
