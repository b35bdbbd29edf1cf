"""Fit the rules of guided_tables.py to the two output columns of a run, with the weight of the guidance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ...guided_tables import GUIDED, UNCONDITIONAL, Rule, guided_table
from ...readback import Trace, image
from ...repeated_evaluations import without_repeated_evaluations
from ...tableau import Tableau
from .compare import same_shape, sizes
from .differences import in_words
from .references import Reference

ALIKE = 1e-7  # of weights that are one number, over 1 + their size
READ = 1e-6  # of a row: a coefficient from which a weight is read
NEAR = 1e-3  # of the distance of a weight from 0 or 1: so near it is that
FEW = 3  # evaluations with a weight other than 0 and 1 that make an interval


@dataclass(frozen=True)
class Entry:
    """The worst coefficient of a row that no rule explains.  moved: the lag at which the other table has it, if any."""

    step: int
    channel: str
    lag: int
    found: float
    expected: float
    error: float
    moved: int | None

    def __str__(self) -> str:
        where = (
            f"outputs[{self.lag}] of the {self.channel} output is {self.found:.9g}, where {self.expected:.9g} is right"
        )
        instead = "" if self.moved is None else f"; that belongs to {in_words(f'outputs[{self.moved}]')}"
        return (
            f"step {self.step}: {where}; the row is off by {self.error:.1e}; outputs[{self.lag}] multiplies "
            f"{in_words(f'outputs[{self.lag}]')}{instead}"
        )


class Columns:
    """The columns of a run, and those of its reference by rule, each computed once."""

    def __init__(self, run: Trace, reference: Reference, bounds: Sequence[float]) -> None:
        self.run, self.reference, self.table = run, reference, run.table
        self.bounds = torch.tensor(list(bounds), dtype=torch.float64)
        self.by_rule: dict[Rule, Tableau] = {}

    def of(self, rule: Rule) -> Tableau:
        """The table of the reference by a rule, in the prediction of the run."""
        if rule not in self.by_rule:
            assert self.reference.own is not None
            there = image(guided_table(self.reference.own, rule), self.run.prediction, self.run.grid)
            self.by_rule[rule] = without_repeated_evaluations(there).table
        return self.by_rule[rule]

    def fit(self, roles: tuple[str, str], rule: Rule, weight: float | None) -> Fit | None:
        """The rule with a weight, or the one that fits best; None where the reference has no such table.

        roles: the names of the output with the condition and of that without.
        """
        table = self.of(rule)
        if not same_shape(self.table, table):
            return None
        own = [self.table.channels[name] for name in roles]
        pad = partial(_padded, width=max(t.shape[1] for t in (*own, *table.channels.values())))
        mine = torch.stack([pad(column) for column in own])
        theirs = torch.stack([pad(table.channels[name]) for name in (GUIDED, UNCONDITIONAL)])
        size = sizes(table).amax(dim=1).clamp(min=1e-300)
        fit = Fit(rule, roles, mine, theirs, size, self.bounds, self.run.step[1:], ())
        return fit.with_weights(fit.fitted(weight))


@dataclass(frozen=True)
class Fit:
    """A rule against a run.  mine [2, R, J]: the columns of the run with and without the condition.  theirs: those of
    the rule, guided and unconditional.
    size, bounds [R]: the largest contribution to a row, and the error that rounding explains.
    """

    rule: Rule
    roles: tuple[str, str]
    mine: Tensor
    theirs: Tensor
    size: Tensor
    bounds: Tensor
    steps: tuple[int, ...]
    weights: tuple[float, ...]

    def with_weights(self, weights: Sequence[float]) -> Fit:
        return replace(self, weights=tuple(weights))

    @property
    def evaluations(self) -> int:
        return len(self.steps)

    @property
    def read(self) -> dict[int, float]:
        """The weight at every vector, as far as a row shows it: of the newest guided output that it reads."""
        found: dict[int, float] = {}
        if self.roles[0] == GUIDED:
            return found
        guided, mine = self.theirs[0], self.mine[0]
        for i in range(len(guided)):
            seen = (guided[i].abs() > READ * self.size[i]).nonzero()[:, 0].tolist()
            if seen and i - seen[0] not in found:
                found[i - seen[0]] = float(mine[i, seen[0]] / guided[i, seen[0]])
        return found

    def fitted(self, main: float | None) -> list[float]:
        """One weight, or the most frequent one, for all evaluations but those where it is 0 or 1: guidance in an
        interval.
        """
        read = self.read
        if not read:
            return [1.0] * self.evaluations
        if main is None:
            inner = [w for w in read.values() if min(abs(w), abs(w - 1)) > ALIKE]
            values = torch.tensor(inner if len(inner) >= FEW else [*read.values()], dtype=torch.float64)
            near = (values[:, None] - values).abs() <= ALIKE * (1 + values.abs())
            main = float(values[near[near.sum(dim=1).argmax()]].median())
        result = [_whole(main)] * self.evaluations
        for j, w in read.items():
            result[j] = next((edge for edge in (0.0, 1.0) if abs(w - edge) <= NEAR * abs(main - edge)), result[j])
        return result

    def by_evaluation(self) -> Fit:
        """The rule with a weight of its own at every evaluation."""
        read = self.read
        return self.with_weights([read.get(j, 1.0) for j in range(self.evaluations)])

    def turned(self) -> Fit:
        """The same guided output, with the two conditions in the other order."""
        weights = tuple(1 - w for w in self.weights)
        return replace(self, roles=self.roles[::-1], mine=self.mine.flip(0), weights=weights)

    @property
    def expected(self) -> Tensor:
        """The columns [2, R, J] of the rule with these weights."""
        rows, width = self.mine.shape[1:]
        source = (torch.arange(rows)[:, None] - torch.arange(width)).clamp(min=0)
        w = torch.tensor(self.weights, dtype=torch.float64)[source]
        guided, without = self.theirs
        return torch.stack([w * guided, without + (1 - w) * guided])

    @property
    def errors(self) -> Tensor:
        """The worst deviation of every row, over its largest contribution."""
        return (self.mine - self.expected).abs().amax(dim=(0, 2)) / self.size

    @property
    def explained(self) -> list[bool]:
        """For every row whether rounding explains the rest: that of larger columns is larger."""
        most = self.bounds * (self.expected.abs().amax(dim=(0, 2)) / self.size).clamp(min=1)
        fine: list[bool] = (self.errors <= most).tolist()
        return fine

    def entry(self, i: int) -> Entry:
        """The worst coefficient of a row."""
        gap = (self.mine[:, i] - self.expected[:, i]).abs()
        channel, lag = divmod(int(gap.argmax()), gap.shape[1])
        found, right = (float(t[channel, i, lag]) for t in (self.mine, self.expected))
        close = [
            k
            for k, value in enumerate(self.expected[channel, i].tolist())
            if k != lag and abs(found - value) <= READ * abs(value) and abs(float(self.mine[channel, i, k]) - value) > 0
        ]
        error = float(gap.max() / self.size[i])
        return Entry(
            self.steps[i], self.roles[channel], lag, found, right, error, close[0] if found and close else None
        )


def _whole(w: float) -> float:
    """0 or 1 where a weight is."""
    return next((edge for edge in (0.0, 1.0) if abs(w - edge) <= ALIKE), w)


def _padded(table: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(table, (0, width - table.shape[1]))
