"""Inversion: which steps are undone exactly, what rounding does to them, and how fast the others are solved."""

from __future__ import annotations

import itertools

import sympy as sp

from ..methods import find
from ..methods.two_state import GAMMA_OVER_HEUN, gamma
from ..notation import alpha, h, next_alpha, next_sigma, r, sigma
from ..order import equal_steps_proof, prove_order
from .claim import Claim, Proof, claim

u, v, first, second = sp.symbols("u v first second", real=True)
p = sp.Symbol("p", positive=True)
bases = tuple(sp.Symbol(f"base_defect{q}", real=True) for q in range(1, 6))  # e of a base of order q: e h^{q+1}


def mixed(u: sp.Expr, v: sp.Expr, p: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """EDICT's mixing: u, then v with the new u."""
    new = p * u + (1 - p) * v
    return new, (1 - p) * new + p * v


@claim(
    "edict-inverse",
    "A step of EDICT is undone exactly for any model: $u$ and $v$ follow from the mixed pair if $p$ is not 0, each "
    "chain's step from the output at the other, which is known by then. The mixing has the roots 1 and $p^2$, so that "
    "a rounding of the difference of the chains grows by $1/p^2$ a step on the way back; with $p = 1$ and equal "
    "outputs each chain takes DDIM's step.",
    "wallace2023edict",
)
def edict_inverse() -> Proof:
    """EDICT is inverted exactly, and amplifies rounding.

    A step is taken forwards with two free outputs and then undone line by line: $u$ and $v$ come back. The
    characteristic polynomial of the mixing is $(zeta - 1)(zeta - p^2)$, and its determinant is not zero. At $p = 1$ the
    first chain's step is DDIM's; at other $p$ it is not.
    """
    a = next_alpha / alpha
    b = next_sigma - a * sigma
    stepped = a * u + b * first, a * v + b * second  # first: the output at v; second: at the stepped u
    ours = mixed(*stepped, p)
    v_back = (ours[1] - (1 - p) * ours[0]) / p
    u_back = (ours[0] - (1 - p) * v_back) / p
    back = (u_back - b * first) / a, (v_back - b * second) / a
    zeta = sp.Symbol("zeta")
    matrix = sp.Matrix(mixed(u, v, p)).jacobian([u, v])
    roots = matrix.charpoly(zeta).as_expr() - (zeta - 1) * (zeta - p**2)
    ddim = next_alpha * (u - sigma * first) / alpha + next_sigma * first
    return Proof(
        (back[0] - u, back[1] - v, roots, mixed(*stepped, sp.S.One)[0] - ddim),
        nonzero=(mixed(*stepped, p)[0] - ddim, matrix.det()),
    )


@claim(
    "table-inverse",
    "Of a row $v = c x + w d(x)$ + (known terms) the unknown $x$ follows for every model if $w = 0$ and $c$ is not 0. "
    "If $w$ is not 0 there is a model, $d(x) = -(c/w) x$, for which $v$ is the same for all $x$; if two states are "
    "unknown, $x = t$ and $y = -(c/c') t$ give the same $v$ for all $t$. So no other rule inverts every model.",
    "zhang2024bdia",
)
def table_inverse() -> Proof:
    """Which rows every model inverts.

    With $w = 0$ the row is solved for $x$. With the two counterexamples of the statement inserted, the derivative of
    $v$ in $x$, or in $t$, is zero; with another model it is not.
    """
    c, other, w, known, x, t = sp.symbols("c c_other w known x t", real=True, nonzero=True)
    made = c * x + known
    reads = c * x + w * (-c / w * x) + known
    two = c * t + other * (-c / other * t) + known
    return Proof(
        ((made - known) / c - x, sp.diff(reads, x), sp.diff(two, t)),
        nonzero=(sp.diff(made, x), sp.diff(c * x + w * (-c / w * 2 * x), x)),
    )


def bidirectional(forward: sp.Expr, backward: sp.Expr, before: sp.Expr, share: sp.Expr) -> sp.Expr:
    """BDIA's x' - x from x_{n-1} - x and the two increments of a base."""
    return share * before + forward - share * backward


@claim(
    "bdia-any-base",
    "Over a base of order $q$ with the local error $e h^{q+1}$, on equal steps, BDIA has the local error $(1 + (-1)^q "
    "gamma) e h^{q+1}$ and, with its roots 1 and $-gamma$, the global error $(1 + (-1)^q gamma)/(1 + gamma)$ times "
    "the base's: less over a base of odd order, the same over one of even order. Euler's step backwards beside Heun's "
    "forwards leaves an error of order 1, $gamma/(1 + gamma)$ times Euler's.",
    "zhang2024bdia",
)
def bdia_any_base() -> Proof:
    """BDIA over a base of any order.

    The exact increments forwards and backwards are symbols, to which the base adds $e h^{q+1}$ and $e (-h)^{q+1}$.
    BDIA's combination less the flow is the stated multiple, for several $q$; its characteristic polynomial is factored.
    With Euler's step backwards and Heun's forwards a term $-gamma e h^2$ is left, which does not vanish.
    """
    flow, flow_back = sp.symbols("flow flow_back", real=True)  # the exact increments over h and -h
    laws = []
    for q, e in enumerate(bases, start=1):
        error = bidirectional(flow + e * h ** (q + 1), flow_back + e * (-h) ** (q + 1), flow_back, gamma) - flow
        laws.append(error - (1 + (-1) ** q * gamma) * e * h ** (q + 1))
    euler, heun = bases[:2]
    uneven = bidirectional(flow + heun * h**3, flow_back + euler * h**2, flow_back, gamma) - flow
    zeta = sp.Symbol("zeta")
    roots = zeta**2 - (1 - gamma) * zeta - gamma - (zeta - 1) * (zeta + gamma)
    return Proof(
        (*laws, roots, (uneven + gamma * euler * h**2).subs(heun, 0)),
        nonzero=(sp.limit(uneven / h**2, h, 0), 1 - (1 - gamma) / (1 + gamma)),
    )


@claim(
    "bdia-edm-error",
    "BDIA over Heun's step has $(1 + gamma r^3)$ times Heun's leading defects for all step ratios $r$; with $r = 1 + "
    "O(h)$, divided by $1 + gamma$ for its two states, Heun's error: at three evaluations a step in place of two "
    "nothing is gained in the leading error.",
    "zhang2024bdia",
)
def bdia_edm_error() -> Proof:
    """BDIA over Heun's step gains nothing.

    The leading defects of both methods, as the proofs of their orders find them, are compared tree by tree, with $r$
    free and at $r = 1$. The defects of the two methods differ before the division.
    """
    share = GAMMA_OVER_HEUN.symbol
    ours, heun = prove_order(find("bdia-edm")), prove_order(find("edm-heun"))
    pairs = list(zip(ours.leading_defects, heun.leading_defects, strict=True))
    law = [one.coefficient - (1 + share * r[0] ** 3) * other.coefficient for one, other in pairs]
    equal = [(one.coefficient.subs(r[0], 1) / (1 + share)) - other.coefficient for one, other in pairs]
    return Proof((*law, *equal), nonzero=tuple(one.coefficient - other.coefficient for one, other in pairs))


@claim(
    "noise-slope",
    "For an exact model $d epshat/dx = (1 - alpha^2 Var(x_0|x)/sigma^2)/sigma$: the fixed point $x = (x' - b "
    "epshat(x))/a$ of an inverse step contracts where $|b/a|$ times it is below 1, and the noise of DDIM inversion is "
    "stretched where the posterior is wide. Proved for every law of three atoms.",
    "pan2023aidi",
)
def noise_slope() -> Proof:
    """The slope of the exact noise prediction.

    For three atoms of any places and masses the shares of the posterior are differentiated; $d E[x_0|x]/dx$ is then
    $alpha Var(x_0|x)/sigma^2$, and $epshat = (x - alpha E[x_0|x])/sigma$ gives the slope. It is not the constant
    $1/sigma$.
    """
    x = sp.Symbol("x", real=True)
    atoms, weights = sp.symbols("atom1:4", real=True), sp.symbols("weight1:4", positive=True)
    terms = [w * sp.exp(-((x - alpha * m) ** 2) / (2 * sigma**2)) for m, w in zip(atoms, weights, strict=True)]
    shares = sp.symbols("share1:4", positive=True)  # of the posterior
    total = sum(terms)

    def moment(k: int) -> sp.Expr:
        return sum(s * m**k for s, m in zip(shares, atoms, strict=True))

    # d share/dx = share (alpha/sigma^2) (atom - mean): from the terms themselves.
    rates = [sp.diff(term, x) / term for term in terms]
    mean_rate = sum(s * rate for s, rate in zip(shares, rates, strict=True))
    slope = sum(s * m * (rate - mean_rate) for s, m, rate in zip(shares, atoms, rates, strict=True))
    closed = (1 - alpha * slope) / sigma
    variance = moment(2) - moment(1) ** 2
    normal = {shares[-1]: 1 - sum(shares[:-1])}
    mean = sum(sp.diff(term, x) for term in terms) / total
    quotient = sp.diff(terms[0] / total, x) - terms[0] / total * (rates[0] - mean)
    return Proof(
        ((closed - (1 - alpha**2 * variance / sigma**2) / sigma).subs(normal), quotient),
        nonzero=(closed.subs(normal) - 1 / sigma,),
    )


@claim(
    "anderson-affine",
    "On an affine map in $d$ dimensions Anderson's method with a memory of $d$ ends in the fixed point after $d + 1$ "
    "values of the map, also where a slope is above 1 and the plain iteration diverges; after $d$ values it does not. "
    "Proved for any slope in $d = 1$, and for any slope beside one of 3 in $d = 2$.",
    "pan2023aidi",
)
def anderson_affine() -> Proof:
    """Anderson's method ends after d + 1 values.

    The method is run symbolically from the origin, with the map in the basis of its eigenvectors. Its last point is the
    fixed point, exactly; the point before it is not.
    """
    residuals, leftover = [], []
    for d in (1, 2):
        slopes = (sp.Symbol("slope", real=True), sp.Integer(3))
        matrix = sp.diag(*slopes[:d])  # in the basis of its eigenvectors
        shift = sp.ones(d, 1)  # and in units of its constant term
        points = [sp.zeros(d, 1)]
        for count in range(1, d + 2):
            values = [matrix * z + shift for z in points]
            gaps = [value - z for value, z in zip(values, points, strict=True)]
            moved = values[-1]
            if count > 1:
                changes = sp.Matrix.hstack(*(b - a for a, b in itertools.pairwise(gaps)))
                moves = sp.Matrix.hstack(*(b - a for a, b in itertools.pairwise(values)))
                inverse = changes.inv() if changes.rows == changes.cols else (changes.T * changes).inv() * changes.T
                moved = values[-1] - moves * inverse * gaps[-1]
            points.append(moved.applyfunc(sp.together))
        residuals += list(matrix * points[-1] + shift - points[-1])
        leftover.append((matrix * points[-2] + shift - points[-2])[0])
    return Proof(tuple(residuals), nonzero=tuple(leftover))


@claim(
    "round-trip-order",
    "A one-step method of order $q$ with the local error $e h^{q+1}$ that is run there and back on the same grid "
    "leaves $(1 + (-1)^{q+1}) e h^{q+1}$ a step: DDIM twice its own error, a method of even order one power of $h$ "
    "more. 2M's leading defect, of odd power in $h$, cancels in the same way; its first steps, of order 1, do not.",
    "feng2025dit4edit",
)
def round_trip_order() -> Proof:
    """What a round trip leaves.

    A step there, with the error $e h^{q+1}$, and a step back, with $e (-h)^{q+1}$, are added, for several $q$. The
    leading defects of 2M on equal steps, multiplied by the factor of their power, vanish; those of DDIM are doubled.
    """
    flow = sp.Symbol("flow", real=True)
    laws = []
    for q, e in enumerate(bases, start=1):
        there, back = flow + e * h ** (q + 1), -flow + e * (-h) ** (q + 1)
        laws.append(there + back - (1 + (-1) ** (q + 1)) * e * h ** (q + 1))
    twice = (1 + (-1) ** 2, 1 + (-1) ** 3)
    adams = equal_steps_proof(find("dpm-solver++-2m"))
    ddim = equal_steps_proof(find("ddim"))
    return Proof(
        (*laws, *(d.coefficient * twice[1] for d in adams.leading_defects), sp.Integer(adams.order - 2)),
        nonzero=tuple(d.coefficient * twice[0] for d in ddim.leading_defects),
    )


@claim(
    "whole-step-inverse",
    "A row that reads outputs $d_j$ made after $u$ holds for $u$ iff it holds with $d(u)$ in their place and the lag "
    "$l = sum_j w_j (d_j - d(u))$: a fixed point of the lags inverts the steps, for any model. On $d = mu x$ a sweep "
    "multiplies an error of the lag of Heun's step by $-(h mu)^2/(2 (1 + h mu))$, and the lags of four steps of "
    "Adams-Bashforth 2 by a matrix that vanishes with $h$, the part of order $h$ nilpotent: the sweeps converge where "
    "steps are small.",
    "feng2025dit4edit",
)
def whole_step_inverse() -> Proof:
    """Inverting whole steps by their lags.

    The row and the row with its lag are the same expression. On $d = mu x$ a sweep is an affine map of the lags: its
    derivative is the stated factor for Heun's step; for Adams-Bashforth 2 its matrix vanishes at $h = 0$, and the cube
    of its derivative there is zero.
    """
    c, w, later, x, end, mu = sp.symbols("c w w_later x end mu", real=True)
    here, there = sp.symbols("output output_later", real=True)
    row = c * x + w * here + later * there
    lagged = c * x + (w + later) * here + later * (there - here)
    # Heun's step from its end: x of the lag, the stage of x, the lag of both.
    lag = sp.Symbol("lag", real=True)
    found = (end - lag) / (1 + h * mu)
    stage = (1 + h * mu) * found
    factor = sp.diff(h * mu / 2 * (stage - found), lag)
    # Four steps of Adams-Bashforth 2, the first of Euler: all lags but that one.
    lags = sp.symbols("lag1:4", real=True)
    states = [end]
    for one in (*reversed(lags), sp.S.Zero):
        states.insert(0, (states[0] - one) / (1 + h * mu))
    new = [-h * mu / 2 * (states[n - 1] - states[n]) for n in (1, 2, 3)]
    matrix = sp.Matrix(new).jacobian(lags)
    first = matrix.diff(h).subs(h, 0)
    return Proof(
        (row - lagged, factor + (h * mu) ** 2 / (2 * (1 + h * mu)), *matrix.subs(h, 0), *(first**3)),
        nonzero=(later * (there - here), matrix[0, 0], first[1, 0]),
    )


CLAIMS: tuple[Claim, ...] = (
    table_inverse,
    edict_inverse,
    bdia_any_base,
    bdia_edm_error,
    noise_slope,
    anderson_affine,
    round_trip_order,
    whole_step_inverse,
)
