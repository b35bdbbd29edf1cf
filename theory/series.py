"""Power series in the step h, cut off, with coefficients in an exact field of step ratios and other symbols."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import prod
from typing import Any

import sympy as sp
from sympy.polys.fields import FracElement, field

from .notation import (
    ALPHA_RATIO,
    ALPHA_TAYLOR,
    MIDDLE,
    TWO_STEP_ALPHA_RATIO,
    WEIGHT_TAYLOR,
    a1,
    h,
    moments,
    next_rho,
    rho,
)
from .notation import r as ratios
from .phi_functions import arc, phi, rate_moment

Series = tuple[Any, ...]  # coefficients of h^0, h^1, …: elements of the field


def domain(a: Series) -> Any:
    """The field of a series' coefficients."""
    return getattr(a[0], "field", sp.QQ)


PRIME = 2**61 - 1
Factors = dict[Any, int]  # irreducible polynomials with their exponents


class Denominators:
    """The denominators met so far, in factors: the same few come again and again, and most are products of others."""

    def __init__(self) -> None:
        self._known: dict[Any, tuple[Any, Factors]] = {}
        self._products: dict[tuple[Any, frozenset[tuple[Any, int]]], Any] = {}

    def factors(self, denom: Any) -> tuple[Any, Factors]:
        """A number and irreducible factors whose product is the denominator."""
        if denom not in self._known:
            number, found = denom.factor_list()
            self._known[denom] = number, dict(found)
        return self._known[denom]

    def product(self, ring: Any, factors: Factors) -> Any:
        """The product of those factors."""
        key = ring, frozenset(factors.items())
        if key not in self._products:
            made = prod((f**k for f, k in factors.items()), start=ring.one)
            self._known[made] = ring.domain.one, factors
            self._products[key] = made
        return self._products[key]


DENOMINATORS = Denominators()


@cache
def zero_of(factor: Any) -> tuple[int, ...] | None:
    """A point modulo PRIME where an irreducible polynomial vanishes; None where it is linear in none of its symbols.

    A polynomial that is not zero there does not have the factor.
    """
    point = [pow(3, 100 + k, PRIME) for k in range(factor.ring.ngens)]
    for place in range(factor.ring.ngens):
        if max(powers[place] for powers in factor.monoms()) == 1:
            at_0, at_1 = (value_at(factor, (*point[:place], x, *point[place + 1 :])) for x in (0, 1))
            if at_0 != at_1:
                point[place] = -at_0 * pow(at_1 - at_0, -1, PRIME) % PRIME
                return tuple(point)
    return None


def value_at(polynomial: Any, point: tuple[int, ...]) -> int:
    """The value of a polynomial at a point modulo PRIME."""
    total = 0
    for powers, c in polynomial.iterterms():  # in any order: terms() sorts them
        term = int(c.numerator)
        if c.denominator != 1:
            term *= pow(int(c.denominator), -1, PRIME)
        for x, k in zip(point, powers, strict=True):
            if k:
                term = term * (x if k == 1 else _power(x, k)) % PRIME
        total += term
    return total % PRIME


@cache
def _power(x: int, k: int) -> int:
    return pow(x, k, PRIME)


def without(numer: Any, factors: Iterable[tuple[Any, int]], left: Factors) -> Any:
    """numer / prod f^k over those factors, as far as they divide it; `left` counts down."""
    for f, k in factors:
        at = zero_of(f)
        while k and not (at and value_at(numer, at)):
            (quotient,), rest = numer.div([f])
            if rest:
                break
            numer, k = quotient, k - 1
            left[f] -= 1
    return numer


def fraction(like: Any, numer: Any, number: Any, left: Factors) -> Any:
    """numer / (number * prod f^k) as an element of a field."""
    kept = {f: k for f, k in left.items() if k}
    return like.raw_new(numer if number == 1 else numer.mul_ground(1 / number), DENOMINATORS.product(numer.ring, kept))


def total(terms: Sequence[Any]) -> Any:
    """The sum of elements of a field, at least one, in lowest terms.

    Only a factor that several denominators have to its highest power can be lost. Nearly all time would go into common
    factors otherwise: sympy's own sum looks for those of the whole fraction.
    """
    terms = [x for x in terms if x] or [*terms[:1]]
    if len(terms) == 1 or not isinstance(terms[0], FracElement):
        return sum(terms[1:], start=terms[0])
    numers: dict[Any, Any] = {}  # by denominator
    for x in terms:
        numers[x.denom] = numers[x.denom] + x.numer if x.denom in numers else x.numer
    ring, below = terms[0].numer.ring, {d: DENOMINATORS.factors(d) for d in numers}
    left: Factors = {}
    for _, factors in below.values():
        left |= {f: max(k, left.get(f, 0)) for f, k in factors.items()}
    numer = ring.zero
    for d, part in numers.items():
        number, factors = below[d]
        beside = DENOMINATORS.product(
            ring, {f: k - factors.get(f, 0) for f, k in left.items() if k > factors.get(f, 0)}
        )
        numer += (part * beside).mul_ground(1 / number)
    if not numer:
        return terms[0].field.zero
    highest = [(f, k) for f, k in left.items() if sum(below[x.denom][1].get(f) == k for x in terms) > 1]
    return fraction(terms[0], without(numer, highest, left), ring.domain.one, left)


def times(x: Any, y: Any) -> Any:
    """x y in lowest terms: each numerator can have factors to lose with the other's denominator only."""
    if not (isinstance(x, FracElement) and x and y):
        return x * y
    (b, below_x), (d, below_y) = DENOMINATORS.factors(x.denom), DENOMINATORS.factors(y.denom)
    left_x, left_y = dict(below_x), dict(below_y)
    numer = without(x.numer, below_y.items(), left_y) * without(y.numer, below_x.items(), left_x)
    return fraction(x, numer, b * d, left_x | {f: k + left_x.get(f, 0) for f, k in left_y.items()})


def add(*summands: Series) -> Series:
    """The sum of series of one length, at least one."""
    return tuple(total(terms) for terms in zip(*summands, strict=True))


def scale(a: Series, factor: Any) -> Series:
    return tuple(x * factor for x in a)


def multiply(a: Series, b: Series) -> Series:
    zero = domain(a).zero
    return tuple(
        total([zero, *(times(a[i], b[n - i]) for i in range(n + 1) if a[i] and b[n - i])]) for n in range(len(a))
    )


def shift(a: Series, by: int) -> Series:
    """h^by a(h); for by < 0 the coefficients that fall off must vanish."""
    zeros = (domain(a).zero,) * abs(by)
    if by >= 0:
        return (*zeros, *a[: len(a) - by])
    if any(a[:-by]):
        raise ValueError(f"series: not divisible by h^{-by}")
    return (*a[-by:], *zeros)


def inverse(a: Series) -> Series:
    """1 / a(h), where a(0) is not zero."""
    result = [domain(a).one / a[0]]
    for n in range(1, len(a)):
        result.append(-sum((a[k] * result[n - k] for k in range(1, n + 1)), start=domain(a).zero) / a[0])
    return tuple(result)


def exp(a: Series) -> Series:
    """e^{a(h)} for a(0) = 0, from e' = a' e."""
    if a[0]:
        raise ValueError("series: exp needs a(0) = 0")
    result = [domain(a).one]
    for n in range(1, len(a)):
        result.append(sum((k * a[k] * result[n - k] for k in range(1, n + 1)), start=domain(a).zero) / n)
    return tuple(result)


def powers(a: Series, exponent: int) -> Series:
    """a(h)^exponent, exponent >= 0."""
    result: Series = (domain(a).one, *(domain(a).zero,) * (len(a) - 1))
    for _ in range(exponent):
        result = multiply(result, a)
    return result


def root(a: Series, q: Any) -> Series:
    """a(h)^q for a(0) = 1 and a number q of the field, from a p' = q a' p."""
    if a[0] != 1:
        raise ValueError("series: a root needs a(0) = 1")
    result = [domain(a).one]
    for n in range(1, len(a)):
        result.append(
            sum(((q * k - (n - k)) * a[k] * result[n - k] for k in range(1, n + 1)), start=domain(a).zero) / n
        )
    return tuple(result)


@cache
def in_factors(polynomial: Any) -> tuple[Any, tuple[sp.Expr, ...]]:
    """A polynomial of the ring as a number and factors; the defects of a method share most of theirs."""
    number, factors = polynomial.factor_list()
    return number, tuple(f.as_expr() ** k for f, k in factors)


@dataclass(frozen=True)
class Expansion:
    """Expressions -> series in h.

    symbols: the generators of the field, those of the expressions and no more, as arithmetic gets dearer with each.
    smooth: ratios are 1 (and the middle 1/2) up to O(h); the symbol r_k then stands for (r_k - 1)/h.
    equal: all step ratios are 1.
    surds: square roots among the numbers, where there are no symbols.
    tolerance: a rational number below which a number counts as zero; 0 except where numbers were given as decimals.
    """

    symbols: tuple[sp.Symbol, ...]
    smooth: bool = False
    equal: bool = False
    surds: tuple[sp.Expr, ...] = ()
    tolerance: sp.Rational = sp.S.Zero

    @cached_property
    def field(self) -> Any:
        """Rational functions of the symbols; the rationals themselves, much cheaper, where there are none."""
        if self.surds:
            return sp.QQ.algebraic_field(*self.surds)
        return field(self.symbols, sp.QQ)[0] if self.symbols else sp.QQ

    def element(self, expression: sp.Expr) -> Any:
        """An expression as an element of the field."""
        if self.surds:
            return self._with_surds(sp.expand(expression))
        return self.field.from_expr(expression) if self.symbols else sp.QQ.from_sympy(sp.sympify(expression))

    @cached_property
    def _roots(self) -> dict[sp.Expr, Any]:
        return {root: self.field.from_sympy(root) for root in self.surds}

    def _with_surds(self, expression: sp.Expr) -> Any:
        """A sum of rational multiples of products of the surds; sympy's own conversion takes a tenth of a second."""
        total = self.field.zero
        for term in sp.Add.make_args(expression):
            number, rest = term.as_coeff_Mul()
            product = self.field.from_sympy(number)
            for factor in sp.Mul.make_args(rest):
                product *= self._roots[factor] if factor != 1 else self.field.one
            total += product
        return total

    def expression(self, element: Any) -> sp.Expr:
        """An element of the field as an expression, numerator and denominator in factors with whole coefficients."""
        if not self.symbols:
            return self.field.to_sympy(element)
        (a, above), (b, below) = in_factors(element.numer), in_factors(element.denom)
        number = sp.Rational(int((a / b).numerator), int((a / b).denominator))
        return prod(above, start=sp.Integer(number.p)) / prod(below, start=sp.Integer(number.q))

    def counts(self, element: Any) -> bool:
        """Whether an element is not zero, or larger than the tolerance."""
        return bool(element) and (not self.tolerance or abs(self.expression(element)) > self.tolerance)

    def constant(self, value: Any, terms: int) -> Series:
        first = self.field(value) if isinstance(value, int) else value
        return (first, *(self.field.zero,) * (terms - 1))

    def taylor(self, symbols: Sequence[sp.Symbol], terms: int) -> Series:
        """1 + q_1 h + q_2 h^2 + …"""
        return (self.field.one, *(self.field(q) for q in symbols[: terms - 1]))

    def of(self, expression: sp.Expr, terms: int) -> Series:
        """The series of an expression rational in h, step numbers, parameters and phi atoms of multiples of h."""
        expression = sp.sympify(expression)
        if self.surds and expression.is_number:
            return self.constant(self.element(expression), terms)
        # Sums, products and powers of series; a_{t+1} may have any exponent.
        if isinstance(expression, sp.Add):
            return self._fold(add, expression.args, self.constant(0, terms))
        if isinstance(expression, sp.Mul):
            return self._fold(multiply, expression.args, self.constant(1, terms))
        base, exponent = expression.as_base_exp()
        if base == a1:
            return self._a1(exponent, terms)
        if isinstance(expression, sp.Pow) and exponent.is_Integer:
            factor = self.of(base, terms)
            return powers(inverse(factor) if exponent < 0 else factor, abs(int(exponent)))
        if isinstance(expression, sp.Pow) and exponent.is_Rational:
            return root(self.of(base, terms), self.element(exponent))
        # The step, and numbers of the grid that are 1 (or 1/2) up to O(h).
        if expression == h:
            return shift(self.constant(1, terms), 1)
        if self.equal and expression in ratios:
            return self.constant(1, terms)
        if self.smooth and expression in (*ratios, MIDDLE):
            uniform = sp.Rational(1, 2) if expression == MIDDLE else sp.S.One
            deviation = shift(self.constant(self.field(expression), terms), 1)
            return add(self.constant(self.element(uniform), terms), deviation)
        # Integrals of the frame's weight, and functions of the schedule.
        if expression in moments:
            return self._moment(moments.index(expression), terms)
        if isinstance(expression, rate_moment):
            return self._rate_moment(expression.args[0], terms)
        if expression == next_rho:  # where rho is the clock
            return add(self.of(rho, terms), self.of(h, terms))
        if isinstance(expression, arc):
            return self._arc(expression.args[0], terms)
        if expression == TWO_STEP_ALPHA_RATIO:
            return self._two_step_alpha_ratio(terms)
        if expression == ALPHA_RATIO:
            return self._alpha_ratio(terms)
        if isinstance(expression, phi):
            k, z = int(expression.args[0]), self.of(expression.args[1], terms)
            total = self.constant(0, terms)
            for j in reversed(range(terms)):
                total = add(multiply(total, z), self.constant(self.field(1) / int(sp.factorial(j + k)), terms))
            return total
        return self.constant(self.element(expression), terms)

    def weight(self, position: sp.Expr, terms: int) -> Series:
        """w(u_n + position h) / w(u_n) of a frame whose weight is any smooth function of its clock."""
        place = shift(self.of(position, terms), 1)
        total = self.constant(0, terms)
        for q in reversed(self.taylor(WEIGHT_TAYLOR, terms)):
            total = add(multiply(total, place), self.constant(q, terms))
        return total

    def _log_alpha(self, position: Series) -> Series:
        """log alpha(u_n + position h) - log alpha_n = l_1 position h + l_2 (position h)^2 + …, alpha any smooth one."""
        place, total = shift(position, 1), self.constant(0, len(position))
        for slope in reversed(ALPHA_TAYLOR[: len(position) - 1]):
            total = multiply(add(total, self.constant(self.field(slope), len(position))), place)
        return total

    def _a1(self, exponent: sp.Expr, terms: int) -> Series:
        """a_{t+1}^exponent, where a_{t+1} = (alpha_{n-1}/alpha_n)^2."""
        before = self._log_alpha(scale(self.of(ratios[0], terms), self.field(-1)))
        return exp(scale(before, 2 * self.element(exponent)))

    def _moment(self, k: int, terms: int) -> Series:
        """m_k / w(u_n) = h sum_j q_j h^j / (j + k + 1) for the smooth weight."""
        series = self.taylor(WEIGHT_TAYLOR, terms)
        return shift(tuple(q / (j + k + 1) for j, q in enumerate(series)), 1)

    def _rate_moment(self, b: sp.Expr, terms: int) -> Series:
        """The integral of e^{b (u - u_{n+1})} w du over w(u_n), from the product of the two series in s h."""
        rate = shift(self.of(b, terms), 1)
        product = multiply(exp(rate), self.taylor(WEIGHT_TAYLOR, terms))
        return multiply(exp(scale(rate, -1)), shift(tuple(a / (n + 1) for n, a in enumerate(product)), 1))

    def _arc(self, z: sp.Expr, terms: int) -> Series:
        """sum_j (-1)^j z^{2j} / (2j + 3), for z = O(h)."""
        square, total = powers(self.of(z, terms), 2), self.constant(0, terms)
        for j in reversed(range(terms // 2 + 1)):
            term = self.constant(self.element(sp.Rational((-1) ** j, 2 * j + 3)), terms)
            total = add(multiply(total, square), term)
        return total

    def _two_step_alpha_ratio(self, terms: int) -> Series:
        """alpha_{n-1}/alpha_{n+1}."""
        before = self._log_alpha(scale(self.of(ratios[0], terms), self.field(-1)))
        return exp(add(before, scale(self._log_alpha(self.constant(1, terms)), self.field(-1))))

    def _alpha_ratio(self, terms: int) -> Series:
        """alpha_n/alpha_{n+1}."""
        return exp(scale(self._log_alpha(self.constant(1, terms)), self.field(-1)))

    def _fold(self, operation: Callable[[Series, Series], Series], parts: Iterable[sp.Expr], start: Series) -> Series:
        for part in parts:
            start = operation(start, self.of(part, len(start)))
        return start
