"""How a run reads two outputs of its model, as with and without a prompt: by which rule of guided_tables.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

from ...guided_tables import CFG_PP, END, GUIDED, PLAIN, RULES, START, UNCONDITIONAL, Rule
from ...readback import Trace
from .references import Reference
from .rule_fits import Columns, Entry, Fit

if TYPE_CHECKING:
    from .case import Case

ENTRIES = 3  # rows off that are shown
STARTS = "a step starts with the data of the guided output and the noise of the {} one"


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
            parts.append(f"CFG++: {STARTS.format(self.without)}")
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
            found.append(
                f"{len(self.off)} of {self.rows} rows read the {self.with_} and {self.without} output otherwise"
            )
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
    fits: list[Fit] = []
    columns = Columns(run, reference, bounds)
    for pair, rule in product(roles if like is None else [(like.with_, like.without)], rules):
        fit = columns.fit(pair, rule, None if like is None else like.weight)
        if fit is not None and like is not None and like.weight is None:
            fit = fit.by_evaluation()
        fits += [fit] if fit is not None else []
        if fit is not None and all(fit.explained) and len(set(fit.weights)) == 1:
            break
    if not fits:
        return None
    labelled = UNCONDITIONAL in run.apart

    def rank(fit: Fit) -> tuple[int, int, bool]:
        return sum(fit.explained), -len(set(fit.weights)), fit.roles == roles[0] or not labelled

    best = max(fits, key=rank)
    if 2 * sum(best.explained) < len(best.explained) and like is None:
        own = [fit.by_evaluation() for fit in fits if fit.rule == PLAIN]
        best = next((fit for fit in own if all(fit.explained)), best)
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
