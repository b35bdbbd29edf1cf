"""The fits of a study: for every curve its exponent, its local orders and its status, beside the proved orders."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .. import rates
from ..leading.of_study import LeadingErrors
from ..rates import CurvePoint
from ..records import Record
from .config import LI
from .problem import Problem
from .samplers import CatalogueMethod, Sampler

SQUARES = ("kl", "energy")  # metrics that fall like the square of the error of a sample
DEVIATIONS = 2 * 1.959964  # of an estimate in the width of its interval
NEAR = 0.15  # distance of a settled local order from a proved one
ACCOUNTED = 0.5  # least share of an interval that the groups of samples account for
OVERFLOW = ("not finite", "non-finite")  # in the reason of a run whose state overflowed


class Curve(NamedTuple):
    """The errors of one method on one grid in one metric; grid: None in a study that does not name its grid."""

    method: str
    grid: str | None
    metric: str


def curve_of(record: Mapping[str, Any]) -> Curve:
    """The curve that a record or a fit belongs to."""
    return Curve(record["method"], record.get("grid"), record["metric"])


def curves(records: Iterable[Mapping[str, Any]]) -> dict[Curve, list[Mapping[str, Any]]]:
    """The records of every curve, in the order of the records."""
    found: dict[Curve, list[Mapping[str, Any]]] = {}
    for record in records:
        found.setdefault(curve_of(record), []).append(record)
    return found


def fits_of(problem: Problem, records: Sequence[Mapping[str, Any]], leading: LeadingErrors) -> list[dict[str, Any]]:
    """One fit a curve: {"method", "grid" where the records have one, "metric", "exponent", …}; see fit.

    predicted: the proved exponents (see proved).  unpredicted: why its records have no leading error.
    """
    samplers = {sampler.name: sampler for sampler in problem.samplers}
    found = []
    for curve, of in curves(records).items():
        sampler = samplers[curve.method]
        names = curve._asdict() if "grid" in of[0] else {"method": curve.method, "metric": curve.metric}
        record = _record_of(problem, sampler, curve.grid)
        known = None if record is None else proved(record, problem.study.run.start, curve.metric, problem.gaussian)
        entry = names | fit(of, log_power(problem, sampler, curve.metric), problem.count) | {"predicted": known}
        entry |= _against_proof(entry, known)
        entry |= _of_samples(entry, of)
        missing = [r for r in of if r["predicted"] is None]
        entry["unpredicted"] = leading.why_not(missing[0]) if len(missing) == len(of) else None
        if problem.study.schedule.kind != LI:
            del entry["compensated_exponent"], entry["log_power"]
        found.append(entry)
    return found


def fit(records: Sequence[Mapping[str, Any]], log_power: int | None = None, samples: int = 0) -> dict[str, Any]:
    """The exponent a in N^-a of a curve over its window, and whether it may be read as an order (rates.judge).

    exponent, window: over the usable errors on the most steps, at most four; null below three.  low, high: an interval
    of the exponent of estimates, else null.  stderr: the scatter around the line.  log_power: on Li et
    al.'s schedule with T = N + 1 levels a step is ~ log T / T: order p appears as (log T)^{p+1} / T^p, or as
    (log T / T)^p where noise damps the early errors. With that power of the logarithm divided out (twice the power for
    KL, a square) a second exponent is fitted, and the local orders and the status are those of its errors.
    """
    curve = points(records, samples)
    used = rates.window(curve)
    judgement = rates.judge(curve, log_power or 0)
    steps, values = [p.steps for p in used], [p.value or math.nan for p in used]
    plain = rates.fit(steps, values)
    low, high = None, None
    if plain is not None and all(record.get("low") is not None for record in records if record["value"] is not None):
        low, high = rates.exponent_interval(used, plain.exponent)
    without = None if log_power is None else rates.fit(steps, values, log_power=log_power)
    return {
        "exponent": None if plain is None else plain.exponent,
        "stderr": None if plain is None else plain.stderr,
        "low": low,
        "high": high,
        "window": None if plain is None else list(plain.window),
        "local_orders": judgement.local_orders,
        "local_steps": judgement.local_steps,
        "status": judgement.status,
        "reason": judgement.reason,
        "compensated_exponent": None if without is None else without.exponent,
        "log_power": log_power,
    }


def _against_proof(fit: Mapping[str, Any], known: Mapping[str, int] | None) -> dict[str, Any]:
    """The status turning for local orders that agree with each other, but with no order that is proved."""
    if fit["status"] != rates.SETTLED or known is None:
        return {}
    last = fit["local_orders"][-1]
    if any(abs(last - order) <= NEAR for order in known.values()):
        return {}
    proved = " or ".join(map(str, dict.fromkeys(known.values())))
    return {"status": rates.TURNING, "reason": f"the local orders agree near {last:.2f}, not at {proved}, as is proved"}


def _of_samples(fit: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How much the last local order of a trajectory error depends on the samples, in the reason of a curve that turns:
    few of them, near the border of two modes, may have most of the mean square.
    """
    used = [r for r in sorted(records, key=lambda r: r["steps"])[-2:] if r["value"] is not None and r.get("groups")]
    if fit["status"] != rates.TURNING or len(used) < 2 or used[0]["metric"] != "trajectory":
        return {}
    length = math.log(used[1]["steps"] / used[0]["steps"])
    one, other = (CurvePoint(r["steps"], r["value"], groups=tuple(r["groups"])) for r in used)
    terms = [(1 / length, one), (-1 / length, other)]
    differs = max(rates.combined(terms))
    if differs <= rates.TOLERANCE:
        return {}
    return {"reason": f"{fit['reason']}; with other samples the last one may differ by {differs:.2g}"}


def points(records: Iterable[Mapping[str, Any]], samples: int = 0) -> list[CurvePoint]:
    """The errors of a curve with their intervals and floors; samples: behind estimates."""
    return [_point(record, samples) for record in records]


def _point(record: Mapping[str, Any], samples: int) -> CurvePoint:
    """The error of a record.

    Values are at their floor up to twice the error of their quadrature; estimates also up to the floor of exact samples
    and up to twice the bias of a root: its square is unbiased, so that it is low by (deviation / square)^2 / 8 of
    itself.
    """
    value, reason = record["value"], record.get("reason") or ""
    overflown = any(words in reason for words in OVERFLOW)
    if value is None:
        return CurvePoint(record["steps"], None, reason=reason, finite=not overflown)
    error = record.get("error") or 0.0
    low, high = (value if record.get(end) is None else record[end] for end in ("low", "high"))
    floor = max(2 * error, record.get("floor") or 0.0)
    if record["metric"] not in SQUARES and low > 0 and value > 0:
        deviation = (high**2 - low**2) / DEVIATIONS
        floor = max(floor, 2 * value * (deviation / value**2) ** 2 / 8)
    estimated = record.get("low") is not None
    return CurvePoint(
        record["steps"],
        value,
        low - error,
        high + error,
        floor,
        samples=samples if estimated else 0,
        needed=record.get("needed") or 0,
        groups=_groups(record, low, high),
    )


def _groups(record: Mapping[str, Any], low: float, high: float) -> tuple[float, ...]:
    """The groups of an estimate; none where they do not account for its interval, as of one that is mostly noise."""
    groups = tuple(record.get("groups") or ()) if record.get("low") is not None else ()
    scatter = math.sqrt(math.fsum(part**2 for part in groups))
    return groups if low > 0 and scatter >= ACCOUNTED * math.log(high / low) / DEVIATIONS else ()


def log_power(problem: Problem, sampler: Sampler, metric: str) -> int | None:
    """The power of log T in the error on Li et al.'s schedule; None on others, and for a method of unknown order."""
    order = sampler.order_in_law(problem.gaussian)
    if problem.study.schedule.kind != LI or order is None:
        return None
    return (order + (not sampler.stochastic)) * (2 if metric == "kl" else 1)


def _record_of(problem: Problem, sampler: Sampler, grid: str | None) -> Record | None:
    """The method of the catalogue, or the one whose table an external sampler has on all numbers of steps of a grid."""
    if isinstance(sampler, CatalogueMethod):
        return sampler.record
    found = [sampler.record_on(problem.grids[key]) for key in problem.grids if grid in (None, key[0])]
    same = bool(found) and found[0] is not None and all(record == found[0] for record in found)
    return found[0] if same else None


def proved(record: Record, start: str, metric: str, gaussian: bool) -> dict[str, int]:
    """The proved exponents of a method of the catalogue in a metric: twice its order for a metric that is a square.

    steady: for steps whose ratios tend to one.  free: for any ratios.  start_up: steady, with the start values of the
    study.
    """
    factor = 2 if metric in SQUARES else 1
    order = record.order_in_law(gaussian)
    own = min(order, record.order_asymptotic) if record.start and start == "ramp" else order
    free = order if record.order_free is None else min(order, record.order_free)
    return {"steady": factor * order, "free": factor * free, "start_up": factor * own}


def table_csv(fits: Sequence[Mapping[str, Any]]) -> str:
    """The fits as exponents.csv."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(fits[0]) if fits else [], lineterminator="\n")
    writer.writeheader()
    for found in fits:
        window, known = found["window"], found["predicted"]
        cells = {
            "window": "" if window is None else f"{window[0]}..{window[1]}",
            "local_orders": " ".join(f"{order:.6g}" for order in found["local_orders"]),
            "predicted": "" if known is None else " ".join(f"{key}={order}" for key, order in known.items()),
        }
        writer.writerow({**found, **cells})
    return text.getvalue()
