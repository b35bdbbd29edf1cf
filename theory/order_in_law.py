"""Orders in law: of samplers whose model is the exact posterior mean, decided exactly in one dimension.

A weak order (weak_order.py) holds for every G. An exact model is not every G: its score is that of the law which the
sampler transports, and some samplers gain an order by that alone. For y at the start of a step and a test function f at
its end, a sampler is off in E f at h^m by the sum over all forests, of one piece or of more, of

    coefficient/symmetry f^{(k)}(y) g(y),        g a product of derivatives of G.

Where y has the law p that it should have, the mean is found by parts: f^{(k)} g p is worth (-1)^k f (g p)^{(k)}.
With the score s = (log p)' this is p times a polynomial in s, s', … (and y): (g p)' = (g' + s g) p, and G is one in s.
As the noise v = rho^2 of x/alpha changes,

    dp/dv = p''/2,        ds/dv = s s' + s''/2.

So the density after a step is off by -h^m (F p)', with a flux F that is a differential polynomial in s. It is right at
h^m for all laws iff F is zero: on mixtures the derivatives of a score at one point are free. It is right for all
Gaussian laws iff F is zero at s = -(y - m)/V, s' = -1/V, s'' = 0.

A step of a sampler without history is a linear map K of laws. After N of them the law is off by the sum over n of
K^{N-1-n} (K p_n - p_{n+1}), the p_n exact: order q for smooth test functions, if each bracket is of h^{q+1}. With
history a step acts on the law joint with the past: not decided here. More dimensions can only have more conditions.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import prod

import sympy as sp

from .forest_weights import Weights
from .forests import ROOT, Forest, every_forest
from .method import Method
from .notation import SCORE_JET, mean, rho, sigma, spread, y
from .weak_order import weights_of

SCORE, *_ = SCORE_JET


@dataclass(frozen=True)
class LawProof:
    """The order in law on all targets, and on Gaussian ones, where it can be higher.

    flux, gaussian_flux: F of the density's error -h^{order + 1} (F p)' in one step, by y and the derivatives of the
    score; on Gaussian targets by y, mean and spread.
    """

    method: str
    order: int
    flux: sp.Expr
    gaussian_order: int
    gaussian_flux: sp.Expr

    @property
    def residual(self) -> sp.Expr:
        """The density's error in one step over h^{order + 1} p."""
        return collected(-of_density(self.flux))

    @property
    def gaussian_residual(self) -> sp.Expr:
        """The same on Gaussian targets, over h^{gaussian_order + 1} p."""
        return sp.factor(on_gaussians(-of_density(self.gaussian_flux)))


def along(expression: sp.Expr) -> sp.Expr:
    """The derivative in y, on which the score and its derivatives depend."""
    if expression.has(SCORE_JET[-1]):
        raise ValueError(f"law: more derivatives of the score than the {len(SCORE_JET) - 1} that have names")
    return sp.diff(expression, y) + sum(sp.diff(expression, a) * b for a, b in pairwise(SCORE_JET))


def of_density(g: sp.Expr) -> sp.Expr:
    """(g p)' / p"""
    return sp.expand(along(g) + SCORE * g)


def heated(expression: sp.Expr) -> sp.Expr:
    """The derivative in v of an expression that depends on it through the score."""
    change, heat = sp.S.Zero, SCORE * SCORE_JET[1] + SCORE_JET[2] / 2
    highest = max((k for k, derivative in enumerate(SCORE_JET, start=1) if expression.has(derivative)), default=0)
    for derivative in SCORE_JET[:highest]:
        change += sp.diff(expression, derivative) * heat
        heat = along(heat)
    return change


@cache
def drift(method: Method, legs: int, arguments: int) -> sp.Expr:
    """The derivative of G = (1 + tau^2) c e^{rate l} F, so often in l and in the vector, where a step starts.

    In units of rho there: X = x/alpha = e^{-growth l} times the vector, eps = -rho s(X), x0hat = X + rho^2 s(X), and
    rho = e^{-l}. X stands under the name of y, which it is at l = 0.
    """
    frame = method.step_noise.frame
    growth = frame.damping + (1 if method.frame.scale == sigma else 0)
    g = {"noise": -rho * SCORE, "data": y + rho**2 * SCORE}[method.frame.prediction]
    for _ in range(legs):
        moved = -growth * y * along(g) - rho * sp.diff(g, rho) - 2 * rho**2 * heated(g)
        g = sp.expand(frame.rate * g + moved)
    g = (1 + method.strength) * method.frame.c * g.subs(rho, 1)
    for _ in range(arguments):
        g = along(g)
    return sp.expand(g)


def law_flux(method: Method, weights: Weights, power: int) -> sp.Expr:
    """F of the error -h^power (F p)' of the density after a step."""
    terms: dict[int, sp.Expr] = defaultdict(lambda: sp.S.Zero)  # k -> g of f^{(k)} g
    for forest in (forest for order in range(1, power + 1) for forest in every_forest(order)):
        if coefficient := weights.residual(forest)[power]:
            factor = weights.steps.expand.expression(coefficient) / forest.symmetry
            nodes = (drift(method, forest.legs[v - 1], derivatives(forest, v)) for v in forest.nodes)
            terms[derivatives(forest, ROOT)] += prod(nodes, start=factor)
    flux = sp.S.Zero
    for k in range(max(terms, default=0), 0, -1):
        flux = sp.expand(terms[k]) - of_density(flux)
    return collected(flux)


def derivatives(forest: Forest, vertex: int) -> int:
    """How many derivatives a vertex has in the vector."""
    return len(forest.children(vertex)) + len(forest.ends(vertex))


def collected(expression: sp.Expr) -> sp.Expr:
    """A polynomial in y and the derivatives of the score, its coefficients in factors, so that zero is 0."""
    terms = sp.Poly(expression, y, *SCORE_JET).terms()
    return sum(sp.factor(c) * prod(x**k for x, k in zip((y, *SCORE_JET), powers, strict=True)) for powers, c in terms)


def on_gaussians(expression: sp.Expr) -> sp.Expr:
    """The expression where the law of y is Gaussian."""
    values = {SCORE: -(y - mean) / spread, SCORE_JET[1]: -1 / spread}
    return sp.factor(expression.subs(dict.fromkeys(SCORE_JET, sp.S.Zero) | values))


@cache
def prove_law_order(method: Method, highest: int = 4) -> LawProof:
    """The exact order in law of a sampler whose steps need no earlier output.

    highest: the power of h up to which its error is found; ValueError where that many leave the order undecided.
    """
    if method.history or method.corrects:
        raise ValueError(f"{method.name}: history: orders in law are decided for samplers that use no earlier output")
    if method.order == 0:
        raise ValueError(f"{method.name}: order: 0, a step is off as h -> 0 and no law is approached")
    weights = weights_of(method, 0, highest + 1)
    general: tuple[int, sp.Expr] | None = None
    for power in range(1, highest + 1):
        flux = law_flux(method, weights, power)
        if flux != 0 and general is None:
            general = power - 1, flux
        if general and (gaussian := on_gaussians(flux)) != 0:
            return LawProof(method.name, *general, power - 1, gaussian)
    raise ValueError(f"{method.name}: highest: on Gaussian targets no error through h^{highest}")
