"""Noise, data, score, velocity and v as exact linear images of each other, given x = alpha x0 + sigma eps."""

from __future__ import annotations

import sympy as sp

from .notation import alpha, dalpha, dsigma, eps, score, sigma, v, velocity, x, x0

SYMBOL: dict[str, sp.Symbol] = {"data": x0, "noise": eps, "score": score, "velocity": velocity, "v": v}

# Each prediction in terms of x0 and eps: the definitions, in this place only.
# "v" is what v-prediction models give (Salimans & Ho 2022): the velocity, in the angle, of the state x over
# sqrt(alpha^2 + sigma^2), which preserves variance; x itself may be of any process.
DEFINITION: dict[str, sp.Expr] = {
    "data": x0,
    "noise": eps,
    "score": -eps / sigma,
    "velocity": dalpha * x0 + dsigma * eps,
    "v": (alpha * eps - sigma * x0) / sp.sqrt(alpha**2 + sigma**2),
}


def in_terms_of(source: str) -> dict[sp.Symbol, sp.Expr]:
    """x0 and eps from x and the prediction `source`: solves x = alpha x0 + sigma eps with source as defined."""
    data, noise = sp.Dummy("data"), sp.Dummy("noise")
    unknown = {x0: data, eps: noise}
    equations = [x - alpha * data - sigma * noise, SYMBOL[source] - DEFINITION[source].subs(unknown)]
    solution = sp.solve(equations, [data, noise], dict=True)[0]
    return {symbol: sp.together(solution[dummy]) for symbol, dummy in unknown.items()}


def convert(source: str, target: str) -> tuple[sp.Expr, sp.Expr]:
    """Coefficients (a, b) of target = a x + b source."""
    if source == target:
        return sp.S.Zero, sp.S.One
    image = sp.expand(DEFINITION[target].subs(in_terms_of(source), simultaneous=True))
    a = sp.factor(image.coeff(x))
    b = sp.factor(image.coeff(SYMBOL[source]))
    return a, b
