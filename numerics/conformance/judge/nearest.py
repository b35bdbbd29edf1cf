"""What a run is that equals no record: the nearest one, where they agree, and how they differ, in words."""

from __future__ import annotations

from collections.abc import Sequence

from ...tableau import Tableau
from .compare import mean_error
from .differences import Pair, in_words
from .rounding_bound import IDENTICAL

CONSTANT = 1e-5  # relative spread of a factor that is one number
APART = 1e-2  # of its distance from 1: as much of it is that of one number
COPIED = 1e-6  # of a row: an entry that stands at another place
FEW = 3  # rows that show a rule


def nearest(pairs: Sequence[Pair], named: str | None) -> str | None:
    """The nearest record in words, of those that evaluate their model as the run does; None where none is near.

    A record with a rule for the difference comes first, then the named one, then the one that has most rows.
    """
    rules = [(pair, _rule(pair)) for pair in pairs]

    def rank(item: tuple[Pair, str | None]) -> tuple[bool, bool, int]:
        pair, rule = item
        return rule is not None, pair.reference.record.name == named, len(_equal(pair))

    for pair, rule in sorted(rules, key=rank, reverse=True):
        equal, name = _equal(pair), pair.reference.name
        if pair.conforms:
            return name
        if rule is not None:
            return f"{name}, but {rule}" if not equal else f"{name} on {_steps(pair, equal)}; {rule}"
        if len(equal) == len(pair.in_float64.rows):
            return f"{name} in float64; it differs from it as shipped"
        whole = _of_whole_steps(pair, equal)
        if len(equal) >= 2 and (whole or name == named):
            where = f"on {_steps(pair, whole)}" if whole else "in some of its rows"
            return f"{name} {where}; {_first_difference(pair)}"
    closest = min(pairs, key=distance, default=None)
    return None if closest is None else f"{closest.reference.name} is the closest record; {_first_difference(closest)}"


def distance(pair: Pair) -> float:
    """How far a run is from a reference: the mean over its rows."""
    return mean_error(pair.in_float64.rows)


def _first_difference(pair: Pair) -> str:
    """The first row that differs, and its worst entry."""
    row = next(pair.in_float64.rows[i] for i in pair.in_float64.off)
    entry = f"{row.entry}, {in_words(row.entry)}, is {row.found:.9g}, not {row.expected:.9g}"
    return f"it differs from step {row.step} on: {entry}"


def _equal(pair: Pair) -> list[int]:
    """The rows that are equal in float64."""
    off = {*pair.in_float64.off}
    return [d.row for d in pair.in_float64.rows if d.row not in off]


def _of_whole_steps(pair: Pair, rows: Sequence[int]) -> list[int]:
    """Those of the rows whose steps have no other row."""
    steps = {d.step for d in pair.in_float64.rows if d.row not in rows}
    return [row for row in rows if pair.in_float64.rows[row].step not in steps]


def _steps(pair: Pair, rows: Sequence[int]) -> str:
    """The steps of rows as ranges: steps 1 to 5 and 7."""
    numbers = sorted({pair.in_float64.rows[row].step for row in rows})
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    words = [
        str(run[0]) if len(run) == 1 else f"{run[0]} {'and' if len(run) == 2 else 'to'} {run[-1]}" for run in runs[:3]
    ]
    more = ", …" if len(runs) > 3 else ""
    return f"step {words[0]}" if len(numbers) == 1 else f"steps {', '.join(words)}{more}"


def _rule(pair: Pair) -> str | None:
    """The rule by which all rows that differ do so: one output read for ever, or one entry times a factor."""
    rows = [pair.in_float64.rows[i] for i in pair.in_float64.off]
    if len(rows) < FEW:
        return None
    numbers = [d.row for d in rows]
    return _stale(pair, numbers) or _turned(pair, numbers) or _scaled(pair, numbers)


def _stale(pair: Pair, rows: Sequence[int]) -> str | None:
    """Rows that read one and the same output where the record reads a later one, with its coefficient."""
    found, expected = pair.found, pair.reference.table
    read: set[tuple[int, int]] = set()
    for row in rows:
        mine, theirs = _outputs(found, row), _outputs(expected, row)
        new = [j for j in mine if abs(mine[j]) > COPIED and abs(theirs.get(j, 0.0)) <= COPIED]
        gone = [j for j in theirs if abs(theirs[j]) > COPIED and abs(mine.get(j, 0.0)) <= COPIED]
        if not gone and not new:
            continue
        if len(new) != 1 or len(gone) != 1 or abs(mine[new[0]] - theirs[gone[0]]) > COPIED * abs(theirs[gone[0]]):
            return None
        read.add((new[0], row))
    sources = {source for source, _ in read}
    if len(sources) != 1 or len(read) < FEW:
        return None
    return f"then it reads the output of step {found.step[sources.pop()] + 1} for ever"


def _turned(pair: Pair, rows: Sequence[int]) -> str | None:
    """Rows whose outputs have the coefficients of the record in the other order."""
    found, expected = pair.found.outputs, pair.reference.table.outputs
    for row in rows:
        mine, theirs = (_nonzero(t[row].tolist()) for t in (found, expected))
        size = COPIED * max(map(abs, theirs), default=0.0)
        if len(mine) < 2 or len(mine) != len(theirs):
            return None
        if any(abs(a - b) > size for a, b in zip(mine, theirs[::-1], strict=True)):
            return None
    return "the coefficients of its outputs stand in the other order: outputs[0] multiplies the newest output"


def _nonzero(row: Sequence[float]) -> list[float]:
    return [c for c in row if c != 0]


def _outputs(table: Tableau, row: int) -> dict[int, float]:
    """The coefficients of a row by the vector at which their output was made."""
    return {row - lag: c for lag, c in enumerate(table.outputs[row].tolist()) if c != 0}


def _scaled(pair: Pair, rows: Sequence[int]) -> str | None:
    """One entry that is the same number of times what it should be; others may make up for it."""
    factors: dict[str, list[float]] = {}
    for row in rows:
        tables = [getattr(pair.reference.table, part)[row] for part in ("states", "outputs", "noises")]
        least = IDENTICAL * 1e3 * max(float(values.abs().max()) for values in tables if len(values))
        for part in ("states", "outputs", "noises"):
            mine, theirs = (getattr(t, part)[row].tolist() for t in (pair.found, pair.reference.table))
            width = max(len(mine), len(theirs))
            for lag in range(width):
                a, b = (x[lag] if lag < len(x) else 0.0 for x in (mine, theirs))
                if abs(a - b) > least:
                    factors.setdefault(f"{part}[{lag}]", []).append(a / b if b else float("inf"))
    constant = {entry: v for entry, v in factors.items() if len(v) >= FEW and _one_number(v)}
    if len(constant) != 1:
        return None
    ((entry, values),) = constant.items()
    total = len(pair.in_float64.rows)
    where = "every row" if len(values) >= total - 1 else f"{len(values)} of {total} rows"
    return f"{entry}, {in_words(entry)}, is {_factor(values)} times what it should be in {where}"


def _one_number(values: Sequence[float]) -> bool:
    low, high = min(values), max(values)
    most = min(CONSTANT * abs(high), APART * abs(low + high - 2) / 2)
    return high < float("inf") and 0 not in (low, high) and high - low <= most


def _factor(values: Sequence[float]) -> str:
    """Their mean, with as many digits as show that it is not 1."""
    mean = sum(values) / len(values)
    return f"{mean:.6g}" if f"{mean:.6g}" != "1" else f"{mean:.10g}"
