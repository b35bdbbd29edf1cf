"""Frames: coordinates in which the probability-flow ODE loses its linear part.

In a frame z = x/m satisfies dz/du = w(u) F along the flow x' = alpha' x0hat + sigma' epshat, with a weight
w = c e^{kappa u}, or any smooth w of a schedule where the clock is its time. A method is then nodes and an integration
rule for F; its weights follow (exponential.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from .notation import alpha, dalpha, dsigma, eps, moments, next_alpha, next_sigma, sigma, t, x0
from .phi_functions import moment
from .prediction_formulas import DEFINITION


@dataclass(frozen=True)
class Frame:
    """d(x/scale)/d(clock) = w * factor * prediction, with w = c e^{kappa clock} or the smooth `rate`.

    scale, clock, factor: expressions in alpha, sigma (and t).  column: the clock's name on a numeric grid.
    variance_preserving: the identity needs alpha^2 + sigma^2 = 1.
    rate: where the weight is not an exponential of the clock, what it is in alpha, sigma and their derivatives;
    proofs then hold for any smooth weight, and its moments over a step are numbers of their own.
    """

    name: str
    scale: sp.Expr
    clock: sp.Expr
    column: str
    prediction: str
    c: sp.Rational
    kappa: int
    factor: sp.Expr = sp.S.One
    variance_preserving: bool = False
    rate: sp.Expr | None = None

    @property
    def weight(self) -> sp.Expr:
        """w of dz/du = w F."""
        return self.c * sp.exp(self.kappa * self.clock) if self.rate is None else self.rate

    def moment(self, k: int, end: sp.Expr = sp.S.One) -> sp.Expr:
        """Integral of s^k against the weight over [0, end h], what Frame.output_scale holds taken out."""
        if self.rate is None:
            return moment(k, self.kappa, end)
        if end != 1 or k >= len(moments):
            raise ValueError(f"moment: k = {k}, end = {end}; a smooth weight has moments 0..{len(moments) - 1} to 1")
        return moments[k]

    @cached_property
    def output_scale(self) -> sp.Expr:
        """What the weights are multiplied by in x at the end of a step: m c e^{kappa u}, taken there."""
        return sp.powsimp(self.scale * self.c * sp.exp(self.kappa * self.clock)).simplify()

    @cached_property
    def whole_step(self) -> sp.Expr | None:
        """The one-node weight m' c (e^{kappa u'} - e^{kappa u}) / kappa on F as alpha and sigma give it.

        It cancels for short steps, where weights use phi_1, and stays finite when the clock is infinite at an end.
        None where kappa = 0: there the weight of the step is finite whenever the clock is.
        """
        if self.kappa == 0:
            return None
        end = {alpha: next_alpha, sigma: next_sigma}
        exponential = sp.simplify(sp.exp(self.kappa * self.clock))
        return sp.expand(self.scale.subs(end) * self.c * (exponential.subs(end) - exponential) / self.kappa)


LAMBDA = sp.log(alpha / sigma)
RHO = sigma / alpha
HALF = sp.Rational(1, 2)

DATA = Frame("data", sigma, LAMBDA, "lam", "data", sp.S.One, 1)
NOISE = Frame("noise", alpha, LAMBDA, "lam", "noise", -sp.S.One, -1)
NOISE_RHO = Frame("noise-rho", alpha, RHO, "rho", "noise", sp.S.One, 0)
VARIANCE = Frame("variance", alpha, RHO**2, "rho2", "score", -HALF, 0, factor=alpha)
SCORE = Frame("score", alpha, -sp.log(alpha), "neg_log_alpha", "score", -sp.S.One, 1, variance_preserving=True)
NOISE_T = Frame("noise-t", alpha, t, "t", "noise", sp.S.One, 0, rate=(alpha * dsigma - sigma * dalpha) / alpha**2)
VELOCITY = Frame("velocity", sp.S.One, t, "t", "velocity", sp.S.One, 0)

FRAMES = {f.name: f for f in (DATA, NOISE, NOISE_RHO, NOISE_T, VARIANCE, SCORE, VELOCITY)}


def flow_residual(frame: Frame) -> sp.Expr:
    """d(x/m)/dt - (du/dt) w factor F along the probability flow; identically zero for a true frame."""
    rates = {alpha: dalpha, sigma: dsigma, t: sp.S.One}

    def d(expression: sp.Expr) -> sp.Expr:
        return sum((sp.diff(expression, v) * rate for v, rate in rates.items()), start=sp.S.Zero)

    position = alpha * x0 + sigma * eps
    left = (dalpha * x0 + dsigma * eps) / frame.scale - position * d(frame.scale) / frame.scale**2
    residual = left - d(frame.clock) * frame.weight * frame.factor * DEFINITION[frame.prediction]
    if frame.variance_preserving:
        residual = residual.subs(dsigma, -alpha * dalpha / sigma).subs(sigma, sp.sqrt(1 - alpha**2))
    return sp.simplify(residual)
