"""Verify an order certificate again, with nothing but fractions: no tree algebra, no symbols, none of our packages.

A random polynomial vector field G over the rationals, random rational step ratios: the exact solution and the method's
step from exact past values are Taylor series in h. Their difference must vanish through h^order, and at h^{order + 1}
be the sum of the certificate's leading defects times elementary differentials of G. Everything at u = 0; vectors are
differences from z(0).
"""

from __future__ import annotations

import ast
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache
from math import comb, factorial
from typing import Any

DIMENSION = 2
# Step ratios: odd numbers over powers of two are all different, never 1, and stay small in arithmetic.
RATIOS = [Fraction(n, d) for d in (2, 4, 8) for n in range(1, 3 * d, 2)]
DEEP = 2  # steps that a predicted point is followed back; beyond, outputs are taken on the path
Vector = tuple[Any, ...]
# G as its derivatives at the base point: (times in each component of z …, times in u) -> vector.
Field = Mapping[tuple[int, ...], Vector]


class Refuted(Exception):
    """The certificate is wrong."""


# --- power series in h


class Series:
    """Coefficients of h^0, h^1, …, cut off behind the last."""

    def __init__(self, coefficients: Sequence[Fraction]) -> None:
        self.c = list(coefficients)

    def of(self, value: Series | Fraction | int) -> Series:
        return value if isinstance(value, Series) else Series([Fraction(value)] + [Fraction(0)] * (len(self.c) - 1))

    def __add__(self, other: Series | Fraction | int) -> Series:
        return Series([x + y for x, y in zip(self.c, self.of(other).c, strict=True)])

    def __mul__(self, other: Series | Fraction | int) -> Series:
        if not isinstance(other, Series):
            return Series([x * other for x in self.c])
        total = [Fraction(0)] * len(self.c)
        for i, x in enumerate(self.c):
            for j, y in enumerate(other.c[: len(self.c) - i] if x else ()):
                total[i + j] += x * y
        return Series(total)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Series:
        return self * -1

    def __sub__(self, other: Series | Fraction | int) -> Series:
        return self + -self.of(other)

    def __truediv__(self, other: Series | Fraction | int) -> Series:
        divisor, rest, result = self.of(other).c, list(self.c), []
        for n in range(len(rest)):
            result.append(rest[n] / divisor[0])
            for k in range(len(rest) - n):
                rest[n + k] -= result[n] * divisor[k]
        return Series(result)

    def __pow__(self, exponent: int) -> Series:
        if exponent < 0:
            return self.of(1) / self**-exponent
        result = self.of(1)
        for _ in range(exponent):
            result = result * self
        return result


def phi(k: int, z: Series) -> Series:
    """sum_i z^i / (i + k)!, for z(0) = 0."""
    total = z.of(0)
    for i in reversed(range(len(z.c))):
        total = total * z + Fraction(1, factorial(i + k))
    return total


def arc(z: Series) -> Series:
    """(x - arctan x)/x^3 = sum_j (-1)^j x^(2j) / (2j + 3), for a series without constant term."""
    total = z.of(0)
    for j in reversed(range(len(z.c))):
        total = total * z * z + Fraction((-1) ** j, 2 * j + 3)
    return total


# --- what is written in a certificate


def evaluate(text: str, names: Mapping[str, Series], rate_moment: Callable[[Series], Series] | None = None) -> Series:
    """An expression of +, -, *, /, **, integers, names, phi(k, z) and, if it is given, rate_moment(z), as a series."""
    unit = next(iter(names.values())).of(1)

    def number(node: ast.expr) -> int:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -number(node.operand)
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return node.value
        raise Refuted(f"not exact: {text}")

    def value(node: ast.expr) -> Series:
        match node:
            case ast.BinOp(left, ast.Pow(), right):
                return value(left) ** number(right)
            case ast.BinOp(left, ast.Add(), right):
                return value(left) + value(right)
            case ast.BinOp(left, ast.Sub(), right):
                return value(left) - value(right)
            case ast.BinOp(left, ast.Mult(), right):
                return value(left) * value(right)
            case ast.BinOp(left, ast.Div(), right):
                return value(left) / value(right)
            case ast.UnaryOp(ast.USub(), operand):
                return -value(operand)
            case ast.Call(ast.Name("phi"), [k, z], []):
                return phi(number(k), value(z))
            case ast.Call(ast.Name("rate_moment"), [z], []) if rate_moment:
                return rate_moment(value(z))
            case ast.Call(ast.Name("arc"), [z], []):
                return arc(value(z))
            case ast.Name(name) if name in names:
                return names[name]
            case _:
                return unit * number(node)

    return value(ast.parse(text, mode="eval").body)


EMPTY: tuple[int, tuple[Any, ...]] = (-1, ())


def parse_tree(text: str) -> tuple[int, tuple[Any, ...]]:
    """[2 [] [1]] -> (2, ((0, ()), (1, ()))): time legs and subtrees; 0 is the empty tree."""
    if text == "0":
        return EMPTY

    def tree(items: list[Any]) -> tuple[int, tuple[Any, ...]]:
        legs = items[0] if items and isinstance(items[0], int) else 0
        return legs, tuple(sorted(tree(item) for item in items[bool(legs) :]))

    return tree(ast.literal_eval(text.replace(" ", ", ")))


def size(tree: tuple[int, tuple[Any, ...]]) -> int:
    return 1 + tree[0] + sum(map(size, tree[1]))


def symmetry(tree: tuple[int, tuple[Any, ...]]) -> int:
    result = factorial(max(tree[0], 0))
    for child, equal in itertools.groupby(tree[1]):
        count = len(list(equal))
        result *= factorial(count) * symmetry(child) ** count
    return result


def differential(tree: tuple[int, tuple[Any, ...]], field: Field, zero: Any = Fraction(0)) -> Vector:
    """D(t) = d_u^legs D_z^k G[D(t_1), …, D(t_k)] at the base point."""
    legs, children = tree
    arguments = [differential(child, field, zero) for child in children]
    total = [zero] * DIMENSION
    for components in itertools.product(range(DIMENSION), repeat=len(children)):
        derivative = field[(*(components.count(i) for i in range(DIMENSION)), legs)]
        factor = 1
        for i, argument in zip(components, arguments, strict=True):
            factor = factor * argument[i]
        total = [t + d * factor for t, d in zip(total, derivative, strict=True)]
    return tuple(total)


def count_trees(order: int) -> int:
    """Number of trees of one order: the empty one, or a root with legs and a multiset of trees; 1, 1, 2, 5, 13, …"""
    if order == 0:
        return 1
    forests = [1] + [0] * (order - 1)  # number of multisets of the trees seen so far, by their orders' sum
    trees = 0
    for n in range(1, order + 1):
        trees = sum(forests[:n])  # the rest of n - 1 are legs
        forests = [
            sum(comb(trees + k - 1, k) * forests[total - k * n] for k in range(total // n + 1))
            for total in range(order)
        ]
    return trees


# --- the vector field, its flow, and the method


def random_field(degree: int, draw: Callable[[], Any]) -> Field:
    """All derivatives of G at the base point of total order up to `degree`."""
    indices = itertools.product(range(degree + 1), repeat=DIMENSION + 1)
    return {index: tuple(draw() for _ in range(DIMENSION)) for index in indices if sum(index) <= degree}


def apply(field: Field, z: Sequence[Series], u: Series) -> tuple[Series, ...]:
    """G(z, u) for series z, u without constant term."""
    powers = [[s**k for k in range(max(map(max, field)) + 1)] for s in (*z, u)]
    total = [u.of(0)] * DIMENSION
    for index, derivative in field.items():
        product = u.of(1)
        for series, k in zip(powers, index, strict=True):
            product = product * series[k] * Fraction(1, factorial(k)) if k else product
        total = [t + product * d for t, d in zip(total, derivative, strict=True)]
    return tuple(total)


def flow(field: Field, terms: int) -> tuple[Series, ...]:
    """The Taylor series of the exact solution in u, from z' = G(z, u)."""
    u = Series([Fraction(int(n == 1)) for n in range(terms)])
    z = [u.of(0)] * DIMENSION
    for n in range(1, terms):
        rate = apply(field, z, u)
        z = [Series([*s.c[:n], r.c[n - 1] / n, *s.c[n + 1 :]]) for s, r in zip(z, rate, strict=True)]
    return tuple(z)


class Run:
    """One step of the certificate's method on one field, everything as series in h."""

    def __init__(self, certificate: Mapping[str, Any], field: Field, chance: random.Random) -> None:
        self.terms = int(certificate["order"]) + 2
        self.certificate, self.field = certificate, field
        self.h = Series([Fraction(int(n == 1)) for n in range(self.terms)])
        self.solution = flow(field, self.terms)
        draws = chance.sample(RATIOS, len(RATIOS))
        self.names = {f"e{k}": self.h.of(draw) for k, draw in enumerate(draws, start=1)}
        # Steps, newest first, in units of h; h itself is the step taken.
        if certificate["ratios"] == "free":
            self.sizes = [self.h.of(1), *map(self.h.of, draws)]
        else:  # r_k = 1 + e_k h + anything h^2
            self.sizes = [self.h.of(1), *(self.h * e + self.h**2 * e**2 + 1 for e in draws)]
        self.predicted = cache(self._predicted)
        self.origin = [self.h.of(Fraction(chance.randint(1, 9))) for _ in range(DIMENSION)]  # z(0) itself
        self.slopes = {f"{letter}{k}": self.h.of(chance.randint(1, 9)) for letter in "ql" for k in range(1, self.terms)}
        parts = chance.sample(range(1, 12), len(certificate["parameters"]) + 2)
        self.names["e0"], self.names["rho"], *values = (self.h.of(Fraction(n, 13)) for n in parts)
        self.names |= dict(zip(certificate["parameters"], values, strict=True)) | self.slopes

    def taylor(self, letter: str, at: Series) -> Series:
        """q1 x + q2 x^2 + …, or the same of l, at x = a series without constant term."""
        return sum((self.slopes[f"{letter}{k}"] * at**k for k in range(1, self.terms)), start=at.of(0))

    def integrals(self) -> dict[str, Series]:
        """m_k of s^k w(s h), over s from 0 to 1, times h."""
        terms = [self.h, *(self.slopes[f"q{j}"] * self.h ** (j + 1) for j in range(1, self.terms))]
        return {f"m{k}": sum((t / (j + k + 1) for j, t in enumerate(terms)), start=self.h.of(0)) for k in range(5)}

    def rate_moment(self, b: Series) -> Series:
        """The integral of e^{b (s - 1) h} w(s h), over s from 0 to 1, times h: of powers s^(i + j)."""
        weights = [self.h.of(1), *(self.slopes[f"q{j}"] for j in range(1, self.terms))]
        total = self.h.of(0)
        for i, j in itertools.product(range(self.terms), repeat=2):
            total = total + weights[j] * b**i * self.h ** (i + j + 1) / (factorial(i) * (i + j + 1))
        return total * phi(0, -b * self.h)

    def ratios(self, behind: int) -> dict[str, Series]:
        """h and r_k of the step that was taken `behind` steps ago."""
        size, past = self.sizes[behind], self.sizes[behind + 1 :]
        names = {"h": self.h * size} | {f"r{k}": s / size for k, s in enumerate(past, start=1)} | self.names
        if behind == 0:  # alpha and the weight are known at the base point only
            before = self.taylor("l", -names["r1"] * self.h)
            names |= {"a1": phi(0, before * 2), "two_step_alpha_ratio": phi(0, before - self.taylor("l", self.h))}
            names["next_rho"] = names["rho"] + names["h"]
            names |= self.integrals()
        free = self.certificate["ratios"] == "free"
        names["middle"] = self.names["e0"] if free else self.h * self.names["e0"] + Fraction(1, 2)
        return names

    def exact(self, u: Series) -> tuple[Series, ...]:
        """The exact solution at u(h)."""
        total = [u.of(0)] * DIMENSION
        for n in reversed(range(self.terms)):
            total = [t * u + z.c[n] for t, z in zip(total, self.solution, strict=True)]
        return tuple(total)

    def grid(self, back: int) -> Series:
        """u of the grid point `back` steps ago."""
        return self.h * -sum(self.sizes[1 : back + 1], start=self.h.of(0))

    def step(self, behind: int = 0, rows: int | None = None, depth: int = DEEP) -> tuple[Series, ...]:
        """The result of the first `rows` rows (all: None) of the step taken `behind` steps ago."""
        names, base = self.ratios(behind), self.grid(behind)
        made: list[tuple[Series, ...]] = []
        for row in self.certificate["rows"][:rows]:
            end = evaluate(row["end"], names)
            shares = [evaluate(text, names) for text in row["states"]]
            change = sum(shares, start=self.h.of(-1))  # vectors are differences from z(0)
            vector = tuple(change * z for z in self.origin)
            for back, share in enumerate(shares):
                state = self.exact(self.grid(behind + back))
                vector = tuple(v + share * z for v, z in zip(vector, state, strict=True))
            for node, text in zip(row["nodes"], row["weights"], strict=True):
                position = evaluate(node["position"], names)
                u = base + position * names["h"]
                if node["stage"]:
                    at = made[node["stage"] - 1]
                elif self.certificate["predicted"] and depth:
                    at = self.predicted(behind + node["back"], depth)
                else:
                    at = self.exact(u)
                if self.certificate["kappa"] is None:
                    growth = (self.taylor("q", position * names["h"]) + 1) ** -1
                else:
                    growth = phi(0, (end - position) * names["h"] * int(self.certificate["kappa"]))
                weight = evaluate(text, names, self.rate_moment) * growth
                vector = tuple(v + weight * g for v, g in zip(vector, apply(self.field, at, u), strict=True))
            made.append(vector)
        return made[-1]

    def _predicted(self, back: int, depth: int) -> tuple[Series, ...]:
        """The predictor's result at the grid point `back` steps ago, made from one more step back."""
        return self.step(back + 1, rows=1, depth=depth - 1)

    def defects(self) -> list[Vector]:
        """What each leading defect gives to the local error over h^{order + 1}, as the certificate claims."""
        names = {**self.names, **self.ratios(0)}
        constants = {name: Series(series.c[:1]) for name, series in names.items()}
        parts = []
        for entry in self.certificate["leading_defects"]:
            tree = parse_tree(entry["tree"])
            factor = evaluate(entry["coefficient"], constants).c[0] / symmetry(tree)
            at = [z.c[0] for z in self.origin] if tree == EMPTY else differential(tree, self.field)
            parts.append(tuple(factor * d for d in at))
        return parts


def random_run(certificate: Mapping[str, Any], chance: random.Random) -> Run:
    field = random_field(int(certificate["order"]), lambda: Fraction(chance.choice([-1, 1]) * chance.randint(1, 9)))
    return Run(certificate, field, chance)


def check(certificate: Mapping[str, Any], seed: int = 0) -> None:
    """Raises Refuted with what is wrong."""
    chance, order = random.Random(seed), int(certificate["order"])
    counts = [sum(map(count_trees, range(n + 1))) for n in range(order + 1)]
    if (certificate["trees"], certificate["conditions"]) != (sum(counts[-1:]), sum(counts)):
        raise Refuted("number of trees or conditions")
    defects = [(parse_tree(d["tree"]), d["power"]) for d in certificate["leading_defects"]]
    if len(set(defects)) < len(defects) or any(size(tree) + power != order + 1 for tree, power in defects):
        raise Refuted("leading defects: repeated, or not of the next order")

    run = random_run(certificate, chance)
    errors = [(ours - true).c for ours, true in zip(run.step(), run.exact(run.h), strict=True)]
    if any(any(error[:-1]) for error in errors):
        raise Refuted(f"not of order {order}")
    leading = [error[-1] for error in errors]
    claimed = [sum(part[i] for part in run.defects()) for i in range(DIMENSION)]
    if not any(leading):
        raise Refuted(f"of a higher order than {order}")
    if leading != claimed:
        raise Refuted(f"the local error is {leading}, and the leading defects give {claimed}")
