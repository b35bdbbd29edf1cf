"""What a stochastic sampler is: a frame of the reverse SDE, rows of nodes as in method.py, and covariances of noises.

With strength tau^2 of the noise (0 is the flow, 1 the reverse of the forward process; Xue et al. 2023) the reverse
SDE is, in lambda,

    d(x/sigma) = (-tau^2 x/sigma + (1 + tau^2) e^lambda x0hat) dlambda + sqrt(2 tau^2) dW.

A frame takes its linear part away: dy = kappa w F du + dM with kappa = 1 + tau^2, w = c e^{rate u}, and M a Gaussian
martingale, Cov(M(a), M(b)) = V(min(a, b)). Only covariances enter expectations: a record has no square roots in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import sympy as sp

from .exponential import weights
from .frames import DATA, NOISE, Frame
from .method import Row, grid_position, node_position
from .notation import alpha, h, sigma, tau2, u
from .phi import moment, phi


@dataclass(frozen=True)
class NoisyFrame:
    """y = e^{damping l} x/(m unit), l = lambda - lambda_n: dy = kappa e^{rate l} F dl + dM, on F as outputs are scaled.

    flow: the frame whose scale m, clock lambda and prediction it shares.  unit: a number of the step, from alpha and
    sigma at its start.  variance: V(u).  Damping and variance are expressions in tau2.
    """

    flow: Frame
    damping: sp.Expr
    unit: sp.Expr
    variance: sp.Expr

    @property
    def rate(self) -> sp.Expr:
        """The rate of the weight: the flow's, and the damping."""
        return self.flow.kappa + self.damping


NOISY_DATA = NoisyFrame(DATA, tau2, sp.S.One, 2 * tau2 * u * phi(1, 2 * tau2 * u))
NOISY_NOISE = NoisyFrame(NOISE, sp.S.Zero, sigma / alpha, 2 * tau2 * u * phi(1, -2 * u))

Covariances = tuple[tuple[sp.Expr, ...], ...]


@dataclass(frozen=True)
class Sampler:
    """A stochastic sampler, declared once.

    strength: tau^2 of the SDE it samples.  rows: published weights are the literature's, B of alpha' B x0hat or of
    -sigma' B epshat; a rule gives (1 + tau^2) times the exponential weights of its nodes.
    covariances: of each row's noise in the frame with those of the rows up to it, or None where they are increments of
    one path of M: V(min(c_i, c_j) h).  Such rows follow one another in time.
    order: the weak order claimed.  start: takes a step for which this sampler lacks history.
    """

    name: str
    frame: NoisyFrame
    strength: sp.Expr
    rows: tuple[Row, ...]
    order: int
    cite: str
    summary: str
    covariances: Covariances | None = None
    start: Sampler | None = None

    def __post_init__(self) -> None:
        if not self.rows or self.rows[-1].to != 1:
            raise ValueError(f"{self.name}: rows: the last row must end at the next grid point")
        if (self.history > 0) != (self.start is not None):
            raise ValueError(f"{self.name}: start: needed exactly when the sampler has history")
        if self.covariances is not None and self.history:
            raise ValueError(f"{self.name}: covariances: with history the noises are increments of one path")
        sizes = None if self.covariances is None else [len(line) for line in self.covariances]
        if sizes not in (None, list(range(1, len(self.rows) + 1))):
            raise ValueError(f"{self.name}: covariances: rows of lengths {sizes}; one entry more in each row")

    @property
    def history(self) -> int:
        """How many earlier grid points a step needs."""
        return max((node.back for row in self.rows for node in row.nodes), default=0)

    @property
    def rate(self) -> sp.Expr:
        """The rate of the frame's weight at this strength."""
        return sp.sympify(self.frame.rate).subs(tau2, self.strength)

    def variance(self, place: sp.Expr) -> sp.Expr:
        """V at a place, in units of h from the start of the path."""
        return self.frame.variance.subs({tau2: self.strength, u: place * h})

    @cached_property
    def weights(self) -> tuple[tuple[sp.Expr, ...], ...]:
        """B_j/kappa of every row: at strength 0 the weights of method.py."""
        return tuple(map(self._row_weights, self.rows))

    def _row_weights(self, row: Row) -> tuple[sp.Expr, ...]:
        if row.rule is None:
            return tuple(b / (1 + self.strength) for b in row.published or ())
        places = [node_position(self.rows, node) for node in row.nodes]
        return weights(places, row.rule, lambda k: moment(k, self.rate, grid_position(row.to)))

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """What the weights, places and covariances depend on besides h."""
        lines = (*self.weights, *(self.covariances or ()), tuple(grid_position(row.to) for row in self.rows))
        found = set().union(
            *(sp.sympify(e).free_symbols for e in (self.strength, *(e for line in lines for e in line)))
        )
        return tuple(sorted(found - {h}, key=lambda symbol: symbol.name))
