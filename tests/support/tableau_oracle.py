"""The coefficients of a tableau at 40 digits, an oracle that shares no code with the engine."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple

import mpmath as mp
import numpy as np
import sympy as sp
import torch

from samplerproof.numerics.catalogue import resolve
from samplerproof.numerics.grids import Grid
from samplerproof.numerics.points import Point
from samplerproof.numerics.tableau import Tableau
from samplerproof.theory.frames import Frame
from samplerproof.theory.method import Method, named
from samplerproof.theory.notation import MIDDLE, alpha, sigma, t
from samplerproof.theory.rows import NOW, Row
from samplerproof.theory.schedule_formulas import SCHEDULES

EPS = 2.0**-52


@lru_cache(maxsize=4096)
def phi_oracle(k: int, z: mp.mpf) -> mp.mpf:
    """phi_k(z) at 40 digits, at which every caller works; the terms of a table have the same few values."""
    if z == 0:
        return 1 / mp.factorial(k)
    with mp.extradps(60):
        value = mp.e**z
        for j in range(int(k)):
            value = (value - 1 / mp.factorial(j)) / z
        return +value


def arc_oracle(z: mp.mpf) -> mp.mpf:
    with mp.extradps(60):
        return +((z - mp.atan(z)) / z**3)


@cache
def terms_of(expression: sp.Expr) -> list[tuple[list[str], Callable[..., mp.mpf]]]:
    """The terms of a sum as functions of the symbols named."""
    found = []
    for term in sp.Add.make_args(sp.expand(expression)):
        symbols = sorted(term.free_symbols, key=str)
        found.append(
            ([s.name for s in symbols], sp.lambdify(symbols, term, [{"phi": phi_oracle, "arc": arc_oracle}, "mpmath"]))
        )
    return found


@cache
def of_levels(expression: sp.Expr) -> Callable[..., mp.mpf]:
    """An expression as a function of alpha and sigma."""
    return sp.lambdify([alpha, sigma], expression, "mpmath")


@cache
def rate_of(kind: str) -> Callable[..., mp.mpf]:
    """d rho / dt of a schedule as a function of t and its parameters."""
    record = next(s for s in SCHEDULES if s.name == kind)
    weight = record.dsigma / record.alpha - record.sigma * record.dalpha / record.alpha**2
    return sp.lambdify([t, *(p.name for p in record.parameters)], weight.rewrite(sp.exp), "mpmath")


def at_40_digits(expression: sp.Expr, names: dict[str, mp.mpf]) -> tuple[mp.mpf, mp.mpf]:
    """The value of a weight, and the sum of the absolute values of its terms."""
    terms = [mp.mpf(function(*(names[s] for s in symbols))) for symbols, function in terms_of(sp.sympify(expression))]
    return mp.fsum(terms), mp.fsum(map(abs, terms))


class Line(NamedTuple):
    """A row with what it multiplies outputs, states and noises by, the parameters under their names."""

    row: Row
    weights: tuple[sp.Expr, ...]
    carried: tuple[sp.Expr, ...]
    amplitudes: tuple[sp.Expr, ...]


@cache
def lines_of(method: Method) -> tuple[Line, ...]:
    """The rows of a method: none of their expressions depends on a grid."""
    return tuple(
        Line(
            row,
            tuple(method.shown(named(w)) for w in weights),
            tuple(method.shown(c) for c in method.carried(i)),
            tuple(method.shown(amplitude.value) for amplitude in method.amplitudes(i)),
        )
        for i, (row, weights) in enumerate(zip(method.rows, method.applied, strict=True))
    )


@cache
def one_node(frame: Frame) -> tuple[Line, ...]:
    """The one-node rule of a frame."""
    row = Row((NOW,), published=(frame.moment(0),))
    return (Line(row, (named(frame.moment(0)),), row.states, ()),)


Terms = dict[int, tuple[mp.mpf, mp.mpf]]


def oracle_rows(method: Method, g: Grid, tableau: Tableau) -> list[tuple[Terms, Terms, Terms]]:
    """Of every row: (coefficient, sum of absolute terms) of every state, of every output, and of every noise, by lag.

    The lag of a state or an output is 0 where it is that of the vector made last, that of a noise where it is drawn
    for the row's own vector. Lags are found independently of the engine, by counting the vectors.
    Exact inputs: the stored clock, and alpha, sigma of the point where each vector lives.
    """
    frame = method.frame
    clock = [mp.mpf(v) for v in getattr(g.columns, frame.column).tolist()]
    points = iter(tableau.points[1:])

    def at(expression: sp.Expr, point: Point) -> mp.mpf:
        return mp.mpf(of_levels(expression)(mp.mpf(point.alpha), mp.mpf(point.sigma)))

    result = []
    state_at, output_at = {0: 0}, {0: 0}  # grid point -> number of the vector that is there, or was asked about there
    for n in range(g.steps):
        current: Method | None = method
        while current is not None and current.history > n:
            current = current.start if current.start is not None and current.start.frame is frame else None
        lines = one_node(frame) if current is None else lines_of(current)
        if n == g.steps - 1 and not lines[-1].row.evaluated:  # no correction in the last step
            lines = lines[:-1]
        h = clock[n + 1] - clock[n]
        names = {"h": h, "a1": (mp.mpf(g.points[n - 1].alpha) / mp.mpf(g.points[n].alpha)) ** 2}
        names |= {f"r{k}": (clock[n + 1 - k] - clock[n - k]) / h for k in range(1, n + 1)}
        names["two_step_alpha_ratio"] = mp.mpf(g.points[n - 1].alpha) / mp.mpf(g.points[n + 1].alpha)
        names |= {"rho": mp.mpf(float(g.columns.rho[n])), "next_rho": mp.mpf(float(g.columns.rho[n + 1]))}
        names["alpha_ratio"] = mp.mpf(g.points[n].alpha) / mp.mpf(g.points[n + 1].alpha)
        names |= {k: mp.mpf(v.numerator) / v.denominator for k, v in resolve(tableau.method).numbers.items()}
        if "churn" in names:
            names["noised_place"] = -mp.log(1 + min(names["churn"] / g.steps, mp.sqrt(2) - 1)) / h
        if frame.rate is not None:
            names |= quadratures(g, n, names)
        made: list[Point] = []
        before = len(result) + 1  # vectors there are when the step begins
        for i, (row, weights, carried, amplitudes) in enumerate(lines):
            made.append(next(points))
            own = before + i
            if row.to == MIDDLE:
                assert g.schedule is not None  # the clock there as it is stored
                rho = g.schedule.columns(torch.tensor([made[-1].t], dtype=torch.float64)).rho
                names["middle"] = (mp.mpf(float(rho)) - clock[n]) / h
            outputs = {}
            for node, w in zip(row.nodes, weights, strict=True):
                lives = made[node.stage - 1] if node.stage else g.points[n - node.back]
                scale = at(frame.output_scale, made[-1]) * at(frame.factor, lives)
                value, absolute = at_40_digits(w, names)
                source = before + node.stage - 1 if node.stage else output_at[n - node.back]
                outputs[own - 1 - source] = (scale * value, abs(scale) * absolute)
            states = {}
            for back, c in enumerate(carried):
                value, absolute = at_40_digits(c, names)
                scale = at(frame.scale, made[-1]) / at(frame.scale, g.points[n - back])
                states[own - 1 - state_at[n - back]] = (scale * value, abs(scale) * absolute)
            noises = {}
            for drawn, amplitude in enumerate(amplitudes):
                value, absolute = at_40_digits(amplitude, names)
                noises[i - drawn] = (at(sigma, made[-1]) * value, at(sigma, made[-1]) * absolute)
            result.append((states, outputs, noises))
        state_at[n + 1] = len(result)
        output_at[n + 1] = len(result) if lines[-1].row.evaluated else len(result) - 1
    return result


def quadratures(g: Grid, n: int, names: dict[str, mp.mpf]) -> dict[str, mp.mpf]:
    """The moments of drho over step n, at 40 digits but for the nodes: Gauss's rule on panels as wide in sqrt(t)."""
    assert g.schedule is not None
    record = next(s for s in SCHEDULES if s.name == g.schedule.kind)
    given = {p: mp.mpf(g.schedule.parameters[p.name]) for p in record.parameters}
    rate = rate_of(record.name)
    start, h = mp.mpf(float(g.columns.t[n])), names["h"]
    roots = mp.linspace(mp.sqrt(start), mp.sqrt(start + h), 9)
    found = dict.fromkeys(["rate_moment", "m0", "m1", "m2", "m3"], mp.mpf(0))
    for a, b in itertools.pairwise((root**2 - start) / h for root in roots):
        for x, w in zip(*map(np.ndarray.tolist, np.polynomial.legendre.leggauss(24)), strict=True):
            s = a + (b - a) * (x + 1) / 2
            measure = mp.re(rate(start + s * h, *given.values())) * h * (b - a) * w / 2
            for k in range(4):
                found[f"m{k}"] += measure * s**k
            found["rate_moment"] += measure * mp.exp(names.get("b", 0) * h * (s - 1))
    return found


def worst(tableau: Tableau, method: Method, g: Grid) -> float:
    """Largest error of a coefficient at its lag, in units of eps times the sum of absolute terms."""
    with mp.workdps(40):
        return worst_against(oracle_rows(method, g, tableau), tableau)


def worst_against(oracle: list[tuple[Terms, Terms, Terms]], tableau: Tableau) -> float:
    """Likewise, against the coefficients of such a tableau that are known."""
    largest = 0.0
    with mp.workdps(40):
        for i, sides in enumerate(oracle):
            for numbers, terms in zip((tableau.states[i], tableau.outputs[i], tableau.noises[i]), sides, strict=True):
                got = dict(enumerate(numbers.tolist()))
                for lag in {*got, *terms}:
                    true, scale = terms.get(lag, (mp.mpf(0), mp.mpf(0)))
                    error = abs(got.get(lag, 0.0) - true)
                    largest = max(largest, float(error / scale / EPS if scale else mp.inf) if error else 0.0)
    return largest
