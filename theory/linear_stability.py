"""Linear stability, decided exactly.

On dz/du = c z with equal steps, and for small h at fixed x = h c, the weights are W_j = w_j h with rational w_j
(phi_k is 1/k!, step ratios and a_{t+1} are 1): there a method is a classical linear one. One step maps the past
vectors by a matrix over Q[x]; its characteristic polynomial P(zeta, x) decides. x is stable iff all roots satisfy
|zeta| <= 1, simple ones where |zeta| = 1 (Hairer and Wanner, Solving Ordinary Differential Equations II, section V.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, TypeAlias

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from .method import Method, settled
from .notation import hc, zeta
from .order import Decidable

RING = sp.QQ[hc]
CLOSE = sp.Rational(1, 10**30)  # width of enclosures; ends that are as close are refused

Form: TypeAlias = "list[Any]"  # a vector as a linear form in the past vectors: coefficients in a domain
Sign: TypeAlias = Callable[[Any], int]


# --- the characteristic polynomial


def small_step(method: Method, row: int) -> tuple[tuple[sp.Rational, ...], tuple[sp.Rational, ...]]:
    """The coefficients of a row's earlier states, and w_j = W_j / h, for equal steps and small h.

    ValueError if a weight does not vanish with the step.
    """
    expansion, weights = method.expansion(smooth=True), []
    for weight in method.weights[row]:
        constant, linear = expansion.of(weight, 2)
        if constant:
            raise ValueError(f"{method.name}: weights: {weight} does not vanish with the step")
        weights.append(expansion.expression(linear))
    return tuple(expansion.expression(expansion.of(c, 1)[0]) for c in method.rows[row].states), tuple(weights)


def step_matrix(
    method: Decidable, domain: Any, carry: Callable[[int, int], sp.Expr], output: Callable[[int, int], sp.Expr]
) -> DomainMatrix:
    """The matrix over a domain that moves the past vectors one grid point on.

    They are the states z_n, z_{n-1}, …, and with a corrector also the predicted vectors at the same points, where its
    outputs were made.  carry(row, back): what the state at n - back is multiplied by; output(row, j): what the vector
    is multiplied by at which the model was asked for the row's output j.
    """
    depth = 1 + method.history
    asked = depth if method.corrects else 0  # where the vectors begin at which the model was asked
    size = depth + asked
    past: list[Form] = [[domain.one if i == j else domain.zero for j in range(size)] for i in range(size)]
    made: list[Form] = []
    for i, row in enumerate(method.rows):
        terms = [(carry(i, back), past[back]) for back in range(len(row.states))]
        for j, node in enumerate(row.nodes):
            terms.append((output(i, j), made[node.stage - 1] if node.stage else past[asked + node.back]))
        weighted = [(domain.from_sympy(sp.sympify(c)), form) for c, form in terms]
        made.append([sum((c * form[k] for c, form in weighted), start=domain.zero) for k in range(size)])
    lines = [made[-1], *past[: depth - 1]]
    if method.corrects:
        lines += [made[-2], *past[asked : asked + depth - 1]]
    return DomainMatrix(lines, (size, size), domain)


@cache
def characteristic(method: Method) -> sp.Poly:
    """P(zeta, x) over Q, monic in zeta, without the roots zeta = 0 of what the step forgets.

    For a one-step method P = zeta - R(x) with its stability function R.
    """
    method = settled(method)
    rows = [small_step(method, row) for row in range(len(method.rows))]
    matrix = step_matrix(method, RING, lambda row, back: rows[row][0][back], lambda row, j: rows[row][1][j] * hc)
    return remembered(matrix)


def remembered(matrix: DomainMatrix) -> sp.Poly:
    """The characteristic polynomial of a matrix over Q[x], without the roots zeta = 0 of what the step forgets."""
    coefficients = matrix.charpoly()
    while not coefficients[-1]:
        coefficients = coefficients[:-1]
    degree = len(coefficients) - 1
    expression = sum(RING.to_sympy(c) * zeta ** (degree - i) for i, c in enumerate(coefficients))
    return sp.Poly(expression, zeta, hc, domain=sp.QQ)


# --- the real stability interval


@cache
def real_interval(method: Method) -> sp.Expr:
    """The largest S such that every x in (-S, 0) is stable: rational, a root of a polynomial over Q, or oo."""
    return stable_length(characteristic(method))


def stable_length(p: sp.Poly) -> sp.Expr:
    """The largest S such that the roots of P(zeta, x) are stable for every x in (-S, 0).

    Between two crossings nothing changes, so one rational point decides.
    """
    for left, right in pairwise((sp.S.Zero, *crossings(p), sp.oo)):
        inside = bounded(p, -between(left, right)) and (left == 0 or bounded(p, -left))
        if not inside:
            return left
    return sp.oo


def crossings(p: sp.Poly) -> list[sp.Expr]:
    """All X > 0, ascending, such that at x = -X a root of P(zeta, x) can reach or leave the unit circle.

    A root that reaches it is shared with the reciprocal zeta^d P(1/zeta). Roots that are shared for all x stay on
    the circle, or leave it where two of them meet.
    """
    common = sp.gcd(p, _reciprocal(p))
    varying = sp.quo(p, common)
    ends = sp.resultant(varying.as_expr(), _reciprocal(varying).as_expr(), zeta)
    staying = sp.prod([factor for factor, _ in sp.factor_list(common.as_expr(), zeta, hc)[1]])
    if sp.degree(staying, zeta) > 1:
        ends *= sp.discriminant(staying, zeta)
    lengths = sp.Poly(sp.sympify(ends).subs(hc, -hc), hc, domain=sp.QQ)
    if lengths.is_ground:
        return []
    return [root for root, _ in lengths.real_roots(multiple=False, radicals=False) if root.is_positive]


def _reciprocal(p: sp.Poly) -> sp.Poly:
    expression = sp.expand(zeta ** p.degree(zeta) * p.as_expr().subs(zeta, 1 / zeta))
    return sp.Poly(expression, zeta, hc, domain=sp.QQ)


def between(left: sp.Expr, right: sp.Expr) -> sp.Rational:
    """A rational point of the open interval.  ArithmeticError where its ends are too close to be distinguished."""
    low = _enclosed(left)
    if right == sp.oo:
        return low + 1
    high = _enclosed(right)
    if high - low <= 4 * CLOSE:
        raise ArithmeticError(f"stability: {left} and {right} are too close to be distinguished")
    return (low + high) / 2


def _enclosed(number: sp.Expr) -> sp.Rational:
    """A rational number at most CLOSE from a rational multiple of a CRootOf."""
    if number.is_Rational:
        return number
    factor, root = number.as_coeff_Mul()
    return factor * root.eval_rational(CLOSE / abs(factor))


# --- where the roots are, at one point


def bounded(p: sp.Poly, at: sp.Expr) -> bool:
    """Whether all roots of P(zeta, at) satisfy |zeta| <= 1, simple ones on the circle; at: a real algebraic number."""
    at = sp.sympify(at)
    field = sp.QQ if at.is_Rational else sp.QQ.algebraic_field(at)

    def sign(value: Any) -> int:
        # The zero test is exact; of a number that is not zero, 50 digits show the sign.
        return int(sp.sign(field.to_sympy(value).evalf(50))) if value else 0

    values = []
    for coefficient in sp.Poly(p.as_expr(), zeta).all_coeffs():
        value = field.zero
        for c in sp.Poly(coefficient, hc).all_coeffs():
            value = value * field.from_sympy(at) + field.from_sympy(c)
        values.append(value)
    return is_simple_von_neumann(values, sign)


def is_simple_von_neumann(p: Sequence[Any], sign: Sign) -> bool:
    """Whether no root lies outside the unit circle and those on it are simple.

    p: coefficients in an exact ordered field, highest degree first and not zero.  The reduced polynomial
    (p*(0) p - p(0) p*)/zeta, with the reciprocal p*, has lost one root inside if |p(0)| < |p*(0)|; where it vanishes,
    all roots are mirrored at the circle, and are on it and simple iff those of p' are inside (Miller 1971).
    """
    if len(p) == 1:
        return True
    reduced = _reduced(p)
    if not any(reduced):
        return is_schur([c * (len(p) - 1 - i) for i, c in enumerate(p[:-1])], sign)
    return sign(p[0] ** 2 - p[-1] ** 2) > 0 and is_simple_von_neumann(reduced, sign)


def is_schur(p: Sequence[Any], sign: Sign) -> bool:
    """Whether all roots lie inside the unit circle (arguments as above)."""
    return len(p) == 1 or (sign(p[0] ** 2 - p[-1] ** 2) > 0 and is_schur(_reduced(p), sign))


def _reduced(p: Sequence[Any]) -> list[Any]:
    return [p[0] * a - p[-1] * b for a, b in zip(p, reversed(p), strict=True)][:-1]
