"""What a stochastic sampler is: a method for the reverse SDE, with a strength and the noises of its rows.

With strength tau^2 of the noise (0 is the flow, 1 the reverse of the forward process; Xue et al. 2023) the reverse
SDE is, in lambda,

    d(x/sigma) = (-tau^2 x/sigma + (1 + tau^2) e^lambda x0hat) dlambda + sqrt(2 tau^2) dW.

A frame takes its linear part away: dy = kappa w F du + dM with kappa = 1 + tau^2, w = c e^{rate u}, and M a Gaussian
martingale, Cov(M(a), M(b)) = V(min(a, b)). Only covariances enter expectations: a record has variances in it, and no
roots of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from .exponential import weights
from .frames import DATA, NOISE, Frame
from .method import Amplitude, Method, Row, grid_position, node_position
from .notation import ALPHA_RATIO, ALPHA_TAYLOR, CHURN_PLACE, alpha, churn, h, sigma, tau2, u
from .phi_functions import moment, phi


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


@dataclass(frozen=True)
class Sampler(Method):
    """A stochastic sampler, declared once; fields as of Method, `order` being the weak order for any smooth F.

    rows: published weights are the literature's, B of alpha' B x0hat or of -sigma' B epshat; a rule gives
    (1 + tau^2) times the exponential weights of its nodes.
    strength: tau^2 of the SDE it samples.
    noises: of each row, or None where they are increments of one path of M; such rows follow one another in time.
    law_order: the order in law where F is the exact prediction, if it is higher, and gaussian_order that where,
    besides, the target is a Gaussian.
    """

    strength: sp.Expr = sp.S.One
    noises: tuple[Noise, ...] | None = None
    law_order: int | None = None
    gaussian_order: int | None = None

    def __post_init__(self) -> None:
        if self.frame.name not in NOISY:
            raise ValueError(f"{self.name}: frame: {self.frame.name}; one of {', '.join(NOISY)}")
        if self.noises is not None and len(self.noises) != len(self.rows):
            raise ValueError(f"{self.name}: noises: {len(self.noises)} for {len(self.rows)} rows")
        for i, noise in enumerate(self.noises or ()):
            if noise.shares is not None and len(noise.shares) != i:
                raise ValueError(f"{self.name}: noises: row {i + 1} has {len(noise.shares)} shares, not {i}")
        super().__post_init__()
        # Their outputs meet the noises of steps before: a proof takes those by the path.
        if self.noises is not None and (self.history or self.corrects):
            raise ValueError(f"{self.name}: noises: with history or a corrector they are increments of one path")

    def _check_sums(self, i: int, row: Row) -> None:
        """Only a step has to follow z = u - u_n: on the way noise may be added that a later row takes away."""
        if i == len(self.rows) - 1:
            super()._check_sums(i, row)

    @property
    def noisy(self) -> NoisyFrame:
        return NOISY[self.frame.name]

    @property
    def rate(self) -> sp.Expr:
        """The rate of the frame's weight at this strength."""
        return sp.sympify(self.noisy.rate).subs(tau2, self.strength)

    def variance(self, place: sp.Expr) -> sp.Expr:
        """V at a place, in units of h from the start of the path."""
        return self.noisy.variance.subs({tau2: self.strength, u: place * h})

    def _row_weights(self, row: Row) -> tuple[sp.Expr, ...]:
        """B_j/kappa: at strength 0 the weights of a method."""
        if row.rule is None:
            return tuple(b / (1 + self.strength) for b in row.published or ())
        places = [node_position(self.rows, node) for node in row.nodes]
        return weights(places, row.rule, lambda k: moment(k, self.rate, grid_position(row.to)))

    @property
    def applied(self) -> tuple[tuple[sp.Expr, ...], ...]:
        """B_j of every row, as the literature has them."""
        return tuple(
            row.published if row.published is not None else tuple((1 + self.strength) * w for w in weights)
            for row, weights in zip(self.rows, self.weights, strict=True)
        )

    def carried(self, row: int) -> tuple[sp.Expr, ...]:
        """e^{-damping c h}: what is left at the row's end of z_n."""
        damping = sp.sympify(self.noisy.damping).subs(tau2, self.strength)
        return (sp.S.One,) if damping == 0 else (phi(0, -damping * grid_position(self.rows[row].to) * h),)

    def _swollen(self, length: sp.Expr) -> sp.Expr:
        """What a noise over sigma becomes over a length in units of h, carried by the frame."""
        return phi(0, -sp.sympify(self.noisy.swelling).subs(tau2, self.strength) * length * h)

    def noise(self, row: int) -> Noise:
        """The noise of a row, that of one path written out: M grows from the end of the row before to this one's."""
        if self.noises is not None:
            return self.noises[row]
        ends = [sp.S.Zero, *(sp.sympify(grid_position(r.to)) for r in self.rows)]
        swelling = sp.sympify(self.noisy.swelling).subs(tau2, self.strength)
        length = 2 * (ends[row + 1] - ends[row]) * h
        return Noise(self.strength * length * phi(1, -swelling * length))

    def _share(self, row: int, of: int) -> sp.Expr:
        shares = self.noise(row).shares
        if of < row and shares is not None:
            return shares[of]
        return self._swollen(grid_position(self.rows[row].to) - grid_position(self.rows[of].to))

    def covariance(self, one: int, other: int) -> sp.Expr:
        """Of the noises of two rows, in the frame."""
        total = sum(
            (self._share(one, k) * self._share(other, k) * self.noise(k).variance for k in range(min(one, other) + 1)),
            start=sp.S.Zero,
        )
        return total * self._swollen(-grid_position(self.rows[one].to) - grid_position(self.rows[other].to))

    def amplitudes(self, row: int) -> tuple[Amplitude, ...]:
        """The fresh noises of the rows up to the last one that has any, each with its share."""
        found = [Amplitude(self._share(row, k), self.noise(k).variance) for k in range(row + 1)]
        while found and found[-1].variance == 0:
            found.pop()
        return tuple(found)

    def _numbers(self) -> Iterable[sp.Expr]:
        shares = (s for i in range(len(self.rows)) for s in self.noise(i).shares or ())
        return [*super()._numbers(), self.strength, *shares, *(self.noise(i).variance for i in range(len(self.rows)))]

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """What the weights, places and noises depend on besides h; alpha's fading as its Taylor symbols."""
        found = set(super().symbols)
        return tuple(
            sorted(found - {ALPHA_RATIO} | (set(ALPHA_TAYLOR[:4]) if ALPHA_RATIO in found else set()), key=str)
        )

    def _with(self, given: Mapping[sp.Symbol, sp.Rational]) -> dict[str, Any]:
        """As of Method; the start takes the same values, and without churn nothing goes back."""
        given = {**given, **({CHURN_PLACE: sp.S.Zero} if given.get(churn) == 0 else {})}

        def put(expression: sp.Expr) -> sp.Expr:
            return sp.sympify(expression).subs(given)

        noises = self.noises and tuple(
            Noise(put(noise.variance), None if noise.shares is None else tuple(map(put, noise.shares)))
            for noise in self.noises
        )
        start = self.start and self.start.at(
            {p.name: given[p.symbol] for p in self.start.parameters if p.symbol in given}
        )
        return {**super()._with(given), "strength": put(self.strength), "noises": noises, "start": start}
