"""How a run reads two outputs of its model, as with and without a prompt: which rule of guided_tables.py its rows have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...guided_tables import CFG_PP, END, GUIDED, PLAIN, RULES, START, UNCONDITIONAL, Rule, guided_table
from ...readback import Trace, image
from ...repeated_evaluations import without_repeated_evaluations
from ...tableau import Tableau
from .compare import same_shape, sizes
from .differences import in_words
from .references import Reference

if TYPE_CHECKING:
    from .case import Case

ALIKE = 1e-7  # of weights that are one number, over 1 + their size
READ = 1e-6  # of a row: a coefficient from which a weight is read
NEAR = 1e-3  # of the distance of a weight from 0 or 1: so near it is that
FEW = 3  # evaluations with a weight other than 0 and 1 that make an interval
ENTRIES = 3  # rows off that are shown


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
        where = f"outputs[{self.lag}] of the {self.channel} output is {self.found:.9g}, where {self.expected:.9g} is right"
        instead = "" if self.moved is None else f"; that belongs to {in_words(f'outputs[{self.moved}]')}"
        return (
            f"step {self.step}: {where}; the row is off by {self.error:.1e}; outputs[{self.lag}] multiplies "
            f"{in_words(f'outputs[{self.lag}]')}{instead}"
        )


@dataclass(frozen=True)
class Reading:
    """The rule by which rows read two outputs.  with_, without: their names, that of the condition first.

    weights: w of g = u + w (c - u), for every evaluation.  elsewhere: rows of another rule, by rule.  off: of none.
    rows: their number.  exchanged: whether it fits only with the two outputs exchanged.
    """

    with_: str
    without: str
    rule: Rule
    weights: tuple[float, ...]
    rows: int
    steps: tuple[int, ...]
    elsewhere: Mapping[Rule, list[int]] = field(default_factory=dict)
    off: tuple[Entry, ...] = ()
    exchanged: bool = False

    @property
    def labelled(self) -> bool:
        """Whether the sampler names its conditions."""
        return UNCONDITIONAL in (self.with_, self.without)

    @property
    def weight(self) -> float | None:
        """The one weight but for evaluations where it is 0 or 1; None where there are several."""
        values = set(self.weights) - {0.0, 1.0} or set(self.weights)
        return values.pop() if len(values) == 1 else None

    @property
    def explained(self) -> int:
        return self.rows - len(self.off) - sum(map(len, self.elsewhere.values()))

    def words(self, name: str) -> str:
        """What the sampler is at outputs that differ."""
        found = self._of(self.rule, name)
        for rule, rows in self.elsewhere.items():
            steps = sorted({self.steps[i] for i in rows})
            where = f"step{'s' if len(steps) > 1 else ''} {', '.join(map(str, steps[:3]))}{', …' if steps[3:] else ''}"
            found += f"; in {where} {self._of(rule, name)}"
        return f"{found}{self._meaning()}"

    def _of(self, rule: Rule, name: str) -> str:
        if rule == PLAIN and set(self.weights) in ({0.0}, {1.0}):
            return f"{name} on the {self.with_ if self.weights[0] else self.without} output alone"
        head = {START: "CFG++ of ", END: "with the guidance added where a step ends, ", "": ""}[rule.moved] + name
        if rule == CFG_PP:
            return head
        if rule.newest == rule.older:
            return f"{head} on the {self._output(rule.newest)} outputs"
        own, earlier = self._output(rule.newest), self._output(rule.older)
        return f"{head} on the {own} output of the step itself and the {earlier} ones of earlier steps"

    def _output(self, output: str) -> str:
        return self.without if output == UNCONDITIONAL else GUIDED

    def _meaning(self) -> str:
        """Which output is the guided one, and what CFG++ is."""
        parts = []
        if START in (rule.moved for rule in (self.rule, *self.elsewhere)):
            parts.append(f"CFG++: a step starts with the data of the guided output and the noise of the {self.without} one")
        parts += [text] if (text := self._weight()) else []
        return "".join(f"; {part}" for part in parts)

    def _weight(self) -> str:
        if self.with_ == GUIDED:
            return ""
        guided = f"guided = {self.without} + w ({self.with_} - {self.without})"
        values = list(dict.fromkeys(self.weights))
        if len(values) == 1:
            return "" if values[0] in (0.0, 1.0) and self.rule == PLAIN else f"{guided}, w = {values[0]:.6g}"
        runs = _runs(self.weights)
        if len(runs) <= 3:
            each = ", ".join(f"{w:.6g} in evaluation{'s' * (a < b)} {_range(a, b)}" for w, a, b in runs)
            return f"{guided}, w = {each}"
        first, second, last = (f"{self.weights[k]:.6g}" for k in (0, 1, -1))
        return f"{guided}, with its own w in every evaluation: {first}, {second}, … {last}"

    def faults(self) -> list[str]:
        """What is wrong with it, a line each; a change of rule between the first and the last step is."""
        found = [str(entry) for entry in self.off[:ENTRIES]]
        if len(self.off) > ENTRIES:
            found.append(f"{len(self.off)} of {self.rows} rows read the {self.with_} and {self.without} output otherwise")
        inner = sorted({self.steps[i] for rows in self.elsewhere.values() for i in rows} - {1, self.steps[-1]})
        if inner:
            found.append(f"step {inner[0]} reads the two outputs by another rule than most steps")
        if self.exchanged:
            found.append(f"the {self.with_} and the {self.without} output are exchanged")
        elif self.labelled and min(self.weights, default=0.0) < 0:
            w = min(self.weights)
            found.append(
                f"the two outputs are exchanged: w = {w:.6g} multiplies the {self.with_} output, {1 - w:.6g} the "
                f"{self.without} one"
            )
        return found


def reading(run: Trace, reference: Reference, bounds: Sequence[float], like: Reading | None = None) -> Reading | None:
    """The rule that explains most rows of a run, whose table is that of the reference for equal outputs; None where it
    does not read two outputs.

    bounds: the error of every row that rounding explains.  like: the reading of another run, whose rules and weight it
    is held to.
    """
    if len(run.apart) != 2 or reference.own is None:
        return None
    roles = _roles([*run.apart])
    rules = RULES if like is None else (like.rule, *like.elsewhere)
    fits: list[_Fit] = []
    columns = _Columns(run, reference, bounds)
    for pair, rule in product(roles if like is None else [(like.with_, like.without)], rules):
        fit = columns.fit(pair, rule, like)
        fits += [fit] if fit is not None else []
        if fit is not None and all(fit.explained) and len(set(fit.weights)) == 1:
            break
    if not fits:
        return None
    labelled = UNCONDITIONAL in run.apart

    def rank(fit: _Fit) -> tuple[int, int, bool]:
        return sum(fit.explained), -len(set(fit.weights)), fit.roles == roles[0] or not labelled

    best = max(fits, key=rank)
    if 2 * sum(best.explained) < len(best.explained) and like is None:
        own = next(fit for fit in fits if fit.rule == PLAIN).by_evaluation()
        best = own if all(own.explained) else best
    left = [i for i, fine in enumerate(best.explained) if not fine]
    elsewhere: dict[Rule, list[int]] = {}
    for i in list(left):
        same = (f for f in fits if f.roles == best.roles and f.rule != best.rule)
        other = next((f for f in same if f.with_weights(best.weights).explained[i]), None)
        if other is not None:
            elsewhere.setdefault(other.rule, []).append(i)
            left.remove(i)
    if not labelled and best.rule == PLAIN and min(best.weights, default=0.0) < 0:
        best = best.turned()
    return Reading(
        *best.roles,
        best.rule,
        tuple(w for w, made in zip(best.weights, run.evaluated, strict=False) if made),
        len(best.explained),
        run.step[1:],
        elsewhere,
        tuple(best.entry(i) for i in left),
        exchanged=labelled and best.roles != roles[0],
    )


def _roles(names: Sequence[str]) -> list[tuple[str, str]]:
    """(with, without) of two names, the likely order first: of two calls or halves, the second has the condition."""
    one, other = names
    first = (other, one) if one == UNCONDITIONAL or UNCONDITIONAL not in names else (one, other)
    return [first] if GUIDED in names else [first, first[::-1]]


class _Columns:
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

    def fit(self, roles: tuple[str, str], rule: Rule, like: Reading | None) -> _Fit | None:
        """The rule with the weights that fit best, or that of a reading; None where the reference has no such table.

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
        fit = _Fit(rule, roles, mine, theirs, size, self.bounds, self.run.step[1:], ())
        if like is not None and like.weight is None:
            return fit.by_evaluation()
        return fit.with_weights(fit.fitted(None if like is None else like.weight))


@dataclass(frozen=True)
class _Fit:
    """A rule against a run.  mine [2, R, J]: its columns with and without the condition.  theirs: guided, unconditional.
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

    def with_weights(self, weights: Sequence[float]) -> _Fit:
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

    def by_evaluation(self) -> _Fit:
        """The rule with a weight of its own at every evaluation."""
        read = self.read
        return self.with_weights([read.get(j, 1.0) for j in range(self.evaluations)])

    def turned(self) -> _Fit:
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
        return Entry(self.steps[i], self.roles[channel], lag, found, right, error, close[0] if found and close else None)


def _whole(w: float) -> float:
    """0 or 1 where a weight is."""
    return next((edge for edge in (0.0, 1.0) if abs(w - edge) <= ALIKE), w)


def _padded(table: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(table, (0, width - table.shape[1]))


def _runs(values: Sequence[float]) -> list[tuple[float, int, int]]:
    """Runs of equal values: (value, first, last), counted from 1."""
    found: list[tuple[float, int, int]] = []
    for k, value in enumerate(values, start=1):
        if found and found[-1][0] == value:
            found[-1] = (value, found[-1][1], k)
        else:
            found.append((value, k, k))
    return found


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def guidance(case: Case) -> tuple[str | None, list[str]]:
    """(what the run is at outputs that differ, what is wrong with it there, a line each); None where it reads one.

    Where a sampler does not name its conditions, nothing is wrong: it may call its model twice for another reason.
    """
    run = case.in_float64
    if not run.apart or case.best is None:
        return None, []
    best = case.best.in_float64
    found = reading(run, best.reference, best.bounds)
    name = (case.matches or [case.best])[0].reference.record.name
    if found is None:
        outputs = ", ".join(run.apart)
        one = f"{name} on the {outputs} output alone" if len(run.apart) == 1 else None
        return one or f"{name} for equal outputs; how it reads these is not judged: {outputs}", []
    if not found.labelled:
        return (None if found.off else found.words(name)), []
    return found.words(name), found.faults() or _faults_elsewhere(case, found)


def _faults_elsewhere(case: Case, found: Reading) -> list[str]:
    """What is wrong on other grids, on other numbers of steps and as shipped, where the run is the record."""
    if case.best is None or not case.best.conforms:
        return []
    lines = []
    for where, run, comparison in case.near:
        there = reading(run, comparison.reference, comparison.bounds, found)
        lines += [f"{where}: {fault}" for fault in (there.faults()[:1] if there else [])]
    return lines
