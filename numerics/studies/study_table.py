"""The answer of a study as tables: text for a terminal of any width, Markdown, and one line a record as CSV."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from ..rates import FEW, NO_VALUE, UNSTEADY
from .fits import Curve, curve_of, curves

Row = Mapping[str, Any]  # a record or a fit
NONE = "-"
LEAST, MOST_RATIO = 0.01, 1000.0  # of a ratio without an exponent
MOST = 3  # names that a note lists
CSV = (
    *("method", "grid", "metric", "steps", "nfe", "value", "low", "high", "error", "local_order"),
    *("predicted", "ratio", "exponent", "proved", "status", "reason"),
)


def study_text(answer: Mapping[str, Sequence[Row]], width: int | None = None) -> str:
    """The records and fits of a study, a table a metric and grid.

    A table that is wider than `width` becomes a block of lines for each method; no name is cut. None: no limit.
    """
    parts = []
    for (metric, grid), lines in _tables(answer).items():
        table = _aligned(_rows(lines))
        if width is None or max(map(len, table)) <= width:
            parts.append("\n".join([_title(metric, grid), *table]))
        else:
            blocks = ["\n".join(_block(records, fit, width)) for records, fit in lines]
            parts.append("\n\n".join([_title(metric, grid), *blocks]))
    return "\n\n".join([*parts, *filter(None, ["\n".join(_notes(answer, width))])])


def study_markdown(answer: Mapping[str, Sequence[Row]]) -> str:
    """The same tables in Markdown, each under a heading."""
    parts = []
    for (metric, grid), lines in _tables(answer).items():
        rows = _rows(lines)
        head, *body = ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows]
        rule = "|" + " --- |" * len(rows[0])
        parts.append("\n".join([f"## {_title(metric, grid)}", "", head, rule, *body]))
    notes = "\n".join(f"- {note}" for note in _notes(answer, None))
    return "\n\n".join([*parts, *filter(None, [notes])]) + "\n"


def study_csv(answer: Mapping[str, Sequence[Row]]) -> str:
    """One line a record: its value, interval, local order to the value on fewer steps, leading error, and its fit."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for lines in _tables(answer).values():
        for records, fit in lines:
            for record, order in zip(records, _orders(fit, records), strict=True):
                found = {"exponent": _exponent(fit), "proved": _proved(fit), "status": fit["status"]}
                reason = record.get("reason") or fit["reason"]
                writer.writerow({**record, **found, "local_order": order, "reason": reason})
    return text.getvalue()


def _tables(answer: Mapping[str, Sequence[Row]]) -> dict[tuple[str, str], list[tuple[list[Row], Row]]]:
    """The records in the order of N and the fit of every curve, by metric and grid; no grid where there is only one."""
    of = curves(answer["records"])
    several = len({curve.grid for curve in of}) > 1
    found: dict[tuple[str, str], list[tuple[list[Row], Row]]] = {}
    metrics = list(dict.fromkeys(curve.metric for curve in of))
    for fit in sorted(answer["fits"], key=lambda fit: metrics.index(fit["metric"])):
        curve = curve_of(fit)
        place = curve.metric, (curve.grid or "") if several else ""
        found.setdefault(place, []).append((sorted(of[curve], key=lambda r: r["steps"]), fit))
    return found


def _title(metric: str, grid: str) -> str:
    return f"{metric} on {grid}" if grid else metric


def _rows(lines: Sequence[tuple[list[Row], Row]]) -> list[list[str]]:
    """The heads and the lines of a table; without exponents and their status where there are too few N for any, and
    without leading errors where there is none.
    """
    heads, *rows = [_heads(lines), *(_cells(records, fit) for records, fit in lines)]
    without = {"local orders", "exponent", "status"} if all(fit["reason"] == FEW for _, fit in lines) else set()
    if all(cell == NONE for row in rows for cell in row[-2:]):
        without |= set(heads[-2:])
    kept = [k for k, head in enumerate(heads) if head not in without]
    return [[row[k] for k in kept] for row in (heads, *rows)]


def _heads(lines: Sequence[tuple[list[Row], Row]]) -> list[str]:
    steps = [f"N = {record['steps']}" for record in lines[0][0]]
    return [
        "method",
        *steps,
        "NFE",
        "proved",
        "local orders",
        "exponent",
        "status",
        "leading error",
        "measured/leading",
    ]


def _cells(records: Sequence[Row], fit: Row) -> list[str]:
    """A line of a table: errors by N, then the fit, then the leading error on the most steps and the ratio to it."""
    last = records[-1]
    orders = " ".join(f"{order:.2f}" for order in fit["local_orders"][-2:])
    fitted = [_proved(fit), orders or NONE, _printed(fit), fit["status"]]
    leading = [_error(last["predicted"]), _ratio(last["ratio"])]
    return [fit["method"], *(_error(r["value"]) for r in records), _evaluations(records), *fitted, *leading]


def _block(records: Sequence[Row], fit: Row, width: int) -> list[str]:
    """A method in a narrow terminal: its fit, and below N the quantities, in as many parts as it takes."""
    fitted = f"{fit['status']}" + (f", exponent {_printed(fit)}" if _exponent(fit) is not None else "")
    facts = [
        *([fitted] if fit["reason"] != FEW else []),
        f"proved {_proved(fit)}",
        f"NFE {_evaluations(records)}",
    ]
    lines = [fit["method"], *textwrap.wrap("; ".join(facts), width - 2, initial_indent="  ", subsequent_indent="  ")]
    columns = [
        [str(r["steps"]), _error(r["value"]), _order(order), _error(r["predicted"]), _ratio(r["ratio"])]
        for r, order in zip(records, _orders(fit, records), strict=True)
    ]
    heads = ["N", "error", "local order", "leading error", "measured/leading"]
    at_once = max(1, (width - len("  measured/leading")) // 10)
    for first in range(0, len(columns), at_once):
        part = columns[first : first + at_once]
        kept = [k for k in range(len(heads)) if any(column[k] != NONE for column in part)]
        rows = [[f"  {heads[k]}", *(column[k] for column in part)] for k in kept]
        lines += _aligned(rows)
    return lines


def _notes(answer: Mapping[str, Sequence[Row]], width: int | None) -> list[str]:
    """Why curves are not settled, why values are missing, and why there are no leading errors, each reason once."""
    several = len({curve_of(r).grid for r in answer["records"]}) > 1
    fits, nulls, leading = (dict[str, list[str]]() for _ in range(3))
    whole = {curve_of(fit) for fit in answer["fits"] if fit["exponent"] is None and NO_VALUE in (fit["reason"] or "")}
    for record in answer["records"]:
        if record["value"] is None and curve_of(record) not in whole:
            where = f"N = {record['steps']}"
            nulls.setdefault(record["reason"], []).append(f"{_named(curve_of(record), several)}, {where}")
    for fit in answer["fits"]:
        why = fit["reason"] or ""
        if why.startswith(UNSTEADY):  # the local orders are in the table
            why = why.partition("; ")[2]
        if why and why != FEW:
            fits.setdefault(f"{fit['status']}: {why}", []).append(_named(curve_of(fit), several))
        if fit["unpredicted"]:
            everywhere = all(other["unpredicted"] for other in answer["fits"] if other["method"] == fit["method"])
            name = fit["method"] if everywhere else f"{fit['method']} ({fit['metric']})"
            leading.setdefault(fit["unpredicted"], []).append(name)
    notes = [f"{_listed(names)}: {why}" for why, names in fits.items()]
    notes += [f"no value of {_listed(names)}: {why}" for why, names in nulls.items()]
    notes += [f"no leading error of {_listed(dict.fromkeys(names))}: {why}" for why, names in leading.items()]
    if powers := {fit["method"]: fit["log_power"] for fit in answer["fits"] if fit.get("log_power") is not None}:
        text = ", ".join(f"(log T)^{power} of {method}" for method, power in powers.items())
        notes.append(f"exponents and local orders with a power of log T, T = N + 1, divided out: {text}")
    return ["\n".join(textwrap.wrap(note, width, break_long_words=False)) if width else note for note in notes]


def _named(curve: Curve, several: bool) -> str:
    return f"{curve.method} ({curve.metric}{f', {curve.grid}' if several else ''})"


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    shown = every if len(every) <= MOST else [*every[:MOST], f"{len(every) - MOST} more"]
    return ", ".join(shown)


def _evaluations(records: Sequence[Row]) -> str:
    """Evaluations of the model in N, such as 2 N - 1; a list where they are not of this form."""
    pairs = [(r["steps"], r["nfe"]) for r in records if r["nfe"]]
    if not pairs:
        return NONE
    (n, first), (m, last) = pairs[0], pairs[-1]
    if len(pairs) < 2 or m == n:
        return str(first)
    slope = Fraction(last - first, m - n)
    more = first - slope * n
    if slope.denominator > 1 or any(slope * steps + more != nfe for steps, nfe in pairs):
        return " ".join(str(nfe) for _, nfe in pairs)
    return f"{'' if slope == 1 else f'{slope} '}N" + (f" {'+' if more > 0 else '-'} {abs(more)}" if more else "")


def _exponent(fit: Row) -> float | None:
    """The exponent: without the logarithm of Li et al.'s schedule, where it is known."""
    exponent: float | None = fit.get("compensated_exponent") or fit["exponent"]
    return exponent


def _printed(fit: Row) -> str:
    """The exponent with its interval, where it has one."""
    exponent = _exponent(fit)
    if exponent is None:
        return NONE
    return f"{exponent:.2f}" if fit["low"] is None else f"{exponent:.2f} [{fit['low']:.2f}, {fit['high']:.2f}]"


def _proved(fit: Row) -> str:
    """The proved exponents: steady, and where it differs with the start values of the study and for free ratios."""
    known = fit["predicted"]
    if known is None:
        return NONE
    others = {"with its start-up": known["start_up"], "for free ratios": known["free"]}
    more = [f"{order} {when}" for when, order in others.items() if order not in (None, known["steady"])]
    return f"{known['steady']}" + (f" ({', '.join(more)})" if more else "")


def _orders(fit: Row, records: Sequence[Row]) -> list[float | None]:
    """The local order up to each record, in the window of the fit; None elsewhere."""
    found: dict[int, float] = dict(zip(fit["local_steps"], fit["local_orders"], strict=True))
    return [found.get(record["steps"]) for record in records]


def _error(value: float | None) -> str:
    return NONE if value is None else f"{value:.2e}"


def _ratio(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}" if LEAST <= value < MOST_RATIO else f"{value:.1e}"


def _order(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines whose first column is aligned to the left, and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return lines


def study_rows(answer: Mapping[str, Sequence[Row]]) -> dict[tuple[str, str], list[list[str]]]:
    """The tables as cells, the heads first, by metric and grid; grid "" in a study of one."""
    return {place: _rows(of) for place, of in _tables(answer).items()}


def study_notes(answer: Mapping[str, Sequence[Row]]) -> list[str]:
    """Why curves are not settled, why values are missing, and why there are no leading errors."""
    return _notes(answer, None)
