"""The arena: samplers with published theorems on targets in 1 to 64 dimensions whose laws are known, no Monte Carlo.

The targets are products, so that a run has a product law too: log ratios add up (TV), KL and W2^2 are sums. Samplers
with noise are exact there like those without.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ...numerics import metrics
from ...numerics.laws import distances
from ...numerics.laws.density import Density
from ...numerics.laws.gaussian import Gaussian
from ...numerics.laws.map_quadrature import accepted
from ...numerics.laws.product import FINE, product_tv
from ...numerics.metrics import Pushforward
from ...numerics.support.progress import Progress, silent
from ...numerics.tableau import Tableau
from .bounds import LOW_RANK, PRODUCT, Laws
from .provable_systems import SYSTEMS, System

BUDGETS = (48, 96, 192, 384)  # evaluations
DIMENSIONS = (1, 8, 64)
AT_BUDGET, AT_FREQUENCY = 96, 2.0  # where the score is off by size sin(frequency x)
SIZES = (0.025, 0.05, 0.1)
METRICS = ("tv", "kl", "w2")
ROUNDING = 1e-11  # values below it are not fitted
MOST_TV = 0.5  # nor total variations above it
WHOLE = 1e-6  # by how much the mass of a law may miss 1
NEAR = 0.5  # relative difference of variances where their ratio is expanded
NOT_WHOLE = "the run folds the line, or its law spreads far beyond the target: its log ratio is not on the nodes"
Row = dict[str, Any]


def run_arena(progress: Progress = silent, systems: tuple[System, ...] = SYSTEMS) -> list[Row]:
    """A record for every system, number of evaluations, target, dimension and metric, and for every error of a score.

    value is None, with a `reason`, where a law cannot be had.
    """
    laws, rows = Laws(), []
    for done, system in enumerate(systems):
        progress(done, len(systems), system.name)
        per_step = (system.table(laws.grid(8)).nfe - system.table(laws.grid(4)).nfe) / 4
        for budget in BUDGETS:
            steps = max(2, round(budget / per_step))
            table = system.table(laws.grid(steps))
            base = {"system": system.name, "steps": steps, "nfe": table.nfe, "size": 0.0}
            rows += [base | row for row in on_targets(laws, system, table)]
            if budget == AT_BUDGET:
                rows += [base | row for row in off_score(laws, system, table)]
    return rows


def on_targets(laws: Laws, system: System, table: Tableau) -> Iterator[Row]:
    """The distances on both targets in all dimensions, from one run on the mixture and one on the narrow Gaussian."""
    law = laws.density(table) if system.stochastic else laws.pushed(table)
    on_line, beside = distances_on_line(laws, law, table), gaussian_distances(*laws.narrow_laws(table))
    on_mixture, narrow = laws.factor_of(law, table.points[-1]), laws.on_narrow(table)
    whole = [abs(float((f.weights * f.log_q.exp()).nansum()) - 1) < WHOLE for f in (on_mixture, narrow)]
    for target, d in [(target, d) for target in (PRODUCT, LOW_RANK) for d in DIMENSIONS]:
        copies, others = (d, 0) if target == PRODUCT else (1, d - 1)
        found = dict(on_line)
        if d > 1:
            factors = [(on_mixture, copies)] + [(narrow, others)] * bool(others)
            found["tv"] = product_tv(factors, FINE // 2) if all(whole[: len(factors)]) else None
            if (kl := on_line["kl"]) is not None:
                found["kl"] = copies * kl + others * beside["kl"]
            if (w2 := on_line["w2"]) is not None:
                found["w2"] = math.sqrt(copies * w2**2 + others * beside["w2"] ** 2)
        for metric, value in found.items():
            row = {"target": target, "dimension": d, "metric": metric, "value": value}
            yield row | ({"reason": NOT_WHOLE} if value is None else {})


def off_score(laws: Laws, system: System, table: Tableau) -> Iterator[Row]:
    """TV on the line where the score is off."""
    for size in SIZES:
        value: float | None
        if system.stochastic:
            value = distances.tv(laws.density(table, size, AT_FREQUENCY), (laws.mixture, table.points[-1]))
        else:
            value = distances_on_line(laws, laws.pushed(table, size, AT_FREQUENCY), table)["tv"]
        yield {"target": PRODUCT, "dimension": 1, "metric": "tv", "value": value, "size": size}


def distances_on_line(laws: Laws, law: Density | Pushforward, table: Tableau) -> dict[str, float | None]:
    """TV, KL and W2 of a run on the mixture; None where rules of half the resolution see another number."""
    if isinstance(law, Density):
        target = laws.mixture, table.points[-1]
        return {"tv": distances.tv(law, target), "kl": distances.kl(law, target), "w2": distances.w2(law, target)}
    coarse, found = law.coarser(), {}
    for name, metric in (("tv", metrics.tv), ("kl", metrics.kl), ("w2", metrics.w2)):
        value = metric(law)
        found[name] = accepted(name, value, abs(value - metric(coarse)), "by nested rules").value
    kl, tv = found["kl"], found["tv"]
    if kl is not None and (tv is None or kl < 2 * tv**2):  # Pinsker's inequality: mass was missed
        found["kl"] = None
    return found


def gaussian_distances(target: Gaussian, output: Gaussian) -> dict[str, float]:
    """KL(target || output) and W2 of two normal laws on the line."""
    v, w, off = float(target.covariance), float(output.covariance), float(target.mean) - float(output.mean)
    ratio = (v - w) / w
    logarithm = math.log1p(ratio) if abs(ratio) < NEAR else math.log(v) - math.log(w)
    kl = (ratio - logarithm + off**2 / w) / 2
    return {"kl": kl, "w2": math.hypot(off, math.sqrt(v) - math.sqrt(w))}


def value_of(rows: Iterable[Row], **wanted: Any) -> list[Row]:
    """The records with a value that have these entries, those of exact scores unless a size is wanted."""
    wanted = {"size": 0.0} | wanted
    return [row for row in rows if row["value"] is not None and all(row[k] == v for k, v in wanted.items())]


def power(rows: Sequence[Row], of: str) -> float | None:
    """The power of a number that the values follow between the last two records; None below rounding, and where a total
    variation is near its largest value, 1.
    """
    last = [row["value"] for row in rows[-2:]]
    most = MOST_TV if any(row.get("metric") == "tv" for row in rows) else math.inf
    if len(rows) < 2 or min(last) < ROUNDING or max(last) > most:
        return None
    low, high = rows[-2:]
    return math.log(high["value"] / low["value"]) / math.log(high[of] / low[of])
