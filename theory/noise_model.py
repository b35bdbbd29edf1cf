"""The noise of stochastic methods: the reverse SDE, its frames, and the noises of a step's rows.

With strength tau^2 of the noise (0 is the flow, 1 the reverse of the forward process; Xue et al. 2023) the reverse
SDE is, in lambda,

    d(x/sigma) = (-tau^2 x/sigma + (1 + tau^2) e^lambda x0hat) dlambda + sqrt(2 tau^2) dW.

A frame takes its linear part away: dy = kappa w F du + dM with kappa = 1 + tau^2, w = c e^{rate u}, and M a Gaussian
martingale, Cov(M(a), M(b)) = V(min(a, b)). Only covariances enter expectations: a record has variances in it, and no
roots of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import sympy as sp

from .frames import DATA, NOISE, Frame
from .notation import alpha, h, sigma, tau2, u
from .phi_functions import phi


@dataclass(frozen=True)
class NoisyFrame:
    """y = e^{damping l} x/(m unit), l = lambda - lambda_n: dy = kappa e^{rate l} F dl + dM, on F as outputs are scaled.

    flow: the frame whose scale m, clock lambda and prediction it shares.  unit: a number of the step, from alpha and
    sigma at its start.  variance: V(u).  Damping and variance are expressions in tau2.
    swelling: sigma in units of the frame grows as e^{swelling l}, V' as its square.
    """

    flow: Frame
    damping: sp.Expr
    unit: sp.Expr
    variance: sp.Expr
    swelling: sp.Expr

    @property
    def rate(self) -> sp.Expr:
        """The rate of the weight: the flow's, and the damping."""
        return self.flow.kappa + self.damping

    def at(self, strength: sp.Expr) -> NoisyFrame:
        """The frame with this strength for tau2."""
        damping, variance, swelling = (e.subs(tau2, strength) for e in (self.damping, self.variance, self.swelling))
        return replace(self, damping=damping, variance=variance, swelling=swelling)


NOISY_DATA = NoisyFrame(DATA, tau2, sp.S.One, 2 * tau2 * u * phi(1, 2 * tau2 * u), tau2)
NOISY_NOISE = NoisyFrame(NOISE, sp.S.Zero, sigma / alpha, 2 * tau2 * u * phi(1, -2 * u), -sp.S.One)
NOISY = {frame.flow.name: frame for frame in (NOISY_DATA, NOISY_NOISE)}


@dataclass(frozen=True)
class Noise:
    """The noise of row i, sigma sum_{k <= i} share_k sqrt(variance_k) z_k, where share_i = 1.

    variance: of its fresh part, over sigma^2 at the row's end.  shares: of each earlier row's fresh noise; where none
    are given, what the frame carries that noise to.
    """

    variance: sp.Expr
    shares: tuple[sp.Expr, ...] | None = None


NO_NOISE = Noise(sp.S.Zero)


class Amplitude(NamedTuple):
    """factor * sqrt(variance): kept apart, since sympy would draw numbers out of the root."""

    factor: sp.Expr
    variance: sp.Expr

    @property
    def value(self) -> sp.Expr:
        """The product."""
        return self.factor * sp.sqrt(self.variance)


@dataclass(frozen=True)
class NoiseModel:
    """The noise that a method adds, as its record declares it.

    strength: tau^2 of the SDE that the method samples.
    rows: the noise of each row, or None where they are increments of one path of M; such rows follow one another in
    time.
    """

    strength: sp.Expr = sp.S.One
    rows: tuple[Noise, ...] | None = None

    def with_values(self, given: Mapping[sp.Symbol, sp.Rational]) -> NoiseModel:
        """The model with values for symbols."""

        def put(expression: sp.Expr) -> sp.Expr:
            return sp.sympify(expression).subs(given)

        rows = self.rows and tuple(
            Noise(put(noise.variance), None if noise.shares is None else tuple(map(put, noise.shares)))
            for noise in self.rows
        )
        return NoiseModel(put(self.strength), rows)


@dataclass(frozen=True)
class StepNoise:
    """The noises of the rows of one step: a noise model, the frame at its strength, and where the rows end.

    ends: in units of h from the start of the step.
    """

    model: NoiseModel
    frame: NoisyFrame
    ends: tuple[sp.Expr, ...]

    def variance(self, place: sp.Expr) -> sp.Expr:
        """V at a place, in units of h from the start of the path."""
        return self.frame.variance.subs(u, place * h)

    def kept(self, row: int) -> sp.Expr:
        """e^{-damping c h}: what is left of z_n at the row's end."""
        return sp.S.One if self.frame.damping == 0 else phi(0, -self.frame.damping * self.ends[row] * h)

    def grown(self, length: sp.Expr) -> sp.Expr:
        """What a noise over sigma becomes over a length in units of h, carried by the frame."""
        return phi(0, -self.frame.swelling * length * h)

    def row(self, row: int) -> Noise:
        """The noise of a row, that of one path written out: M grows from the end of the row before to this one's."""
        if self.model.rows is not None:
            return self.model.rows[row]
        length = 2 * (self.ends[row] - (self.ends[row - 1] if row else 0)) * h
        return Noise(self.model.strength * length * phi(1, -self.frame.swelling * length))

    def _share(self, row: int, of: int) -> sp.Expr:
        shares = self.row(row).shares
        if of < row and shares is not None:
            return shares[of]
        return self.grown(self.ends[row] - self.ends[of])

    def covariance(self, one: int, other: int) -> sp.Expr:
        """The covariance of the noises of two rows, in the frame."""
        total = sum(
            (self._share(one, k) * self._share(other, k) * self.row(k).variance for k in range(min(one, other) + 1)),
            start=sp.S.Zero,
        )
        return total * self.grown(-self.ends[one] - self.ends[other])

    def amplitudes(self, row: int) -> tuple[Amplitude, ...]:
        """The fresh noises of the rows up to the last one that has any, each with its share."""
        found = [Amplitude(self._share(row, k), self.row(k).variance) for k in range(row + 1)]
        while found and found[-1].variance == 0:
            found.pop()
        return tuple(found)

    def expressions(self) -> Iterator[sp.Expr]:
        """The strength, and the variances and given shares of all rows."""
        yield self.model.strength
        for noise in map(self.row, range(len(self.ends))):
            yield from (*(noise.shares or ()), noise.variance)
