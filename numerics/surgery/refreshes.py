"""When features are evaluated in a run, and what stands in for them between two evaluations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..errors import InputError, whole
from ..lagrange import lagrange

Features = Sequence[Tensor]


class Refreshes:
    """Features by level: evaluated at the first m calls of a run and at every q-th, extrapolated in lambda between.

    m = 1 reuses the last evaluation, m = 2 is linear in lambda through the last two, and so on. With q fixed the error
    of the features is O(h^m), so that a sampler of order p keeps the order min(p, m) (theory/stale_features.py).
    It has the state of one run.  clock: what rises along a run, lambda or another smooth function of it; the orders are
    those in lambda.  Raises InputError for q or m below 1.
    """

    def __init__(self, q: int, m: int = 1, clock: str = "lambda") -> None:
        for name, value in (("q", q), ("m", m)):
            if whole(name, value) < 1:
                raise InputError(name, value, "at least 1")
        self.q, self.m, self.clock = q, m, clock
        self.calls = 0
        self._last = -math.inf
        self._kept: list[tuple[float, Features]] = []

    def due(self) -> bool:
        """Whether the next call evaluates the features."""
        return self.calls < self.m or self.calls % self.q == 0

    def at(self, lam: float, evaluate: Callable[[], Features]) -> Features:
        """The features at lambda: those of evaluate(), or extrapolated.

        Raises InputError where lambda does not rise from call to call, as in a second run, and where a call has another
        batch than the evaluation before.
        """
        if not lam > self._last:
            allowed = (
                f"{self.clock} rising strictly: a method that evaluates in that order, and a fresh one for every run"
            )
            raise InputError("at", f"{self.clock} = {lam:.6g} after {self._last:.6g}", allowed)
        due, self._last = self.due(), lam
        self.calls += 1
        if due:
            self._kept = [*self._kept, (lam, list(evaluate()))][-self.m :]
            return self._kept[-1][1]
        weights = lagrange([there for there, _ in self._kept], lam)
        parts = zip(*(features for _, features in self._kept), strict=True)
        return [torch.stack([w * part for w, part in zip(weights, each, strict=True)]).sum(dim=0) for each in parts]

    def share(self, calls: int) -> float:
        """The share of the first calls of a run that evaluate the features."""
        return sum(n < self.m or n % self.q == 0 for n in range(calls)) / calls
