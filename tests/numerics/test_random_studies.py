"""Random studies: bounds, consistency and resolution of every value, on any target, schedule and grid."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.studies.config import parse
from samplerproof.numerics.studies.run import run

SCHEDULES: dict[str, dict[str, float]] = {
    "vp-linear": {"beta_min": 0.1, "beta_max": 20.0},
    "cosine": {},
    "ve": {"sigma_min": 0.02, "sigma_max": 80.0},
    "edm": {},
    "flow": {},
}
ROUNDING, SLACK = 1e-12, 1.02
MOVED, SMALL = 0.02, 1e-6  # a value may change so much with twice the nodes, relatively and absolutely


def drawn(chance: random.Random, most: int) -> dict[str, Any]:
    """A study of two methods on up to `most` steps: far, narrow and nearly empty components, any schedule and grid."""
    count = chance.choice([1, 2, 2, 3, 5])
    shares = [chance.random() + 1e-3 for _ in range(count)]
    weights = [share / sum(shares) for share in shares]
    spread = chance.choice([0.5, 2, 6])
    kind = chance.choice(list(SCHEDULES))
    if kind == "edm" or chance.random() < 0.2:
        grid = {"kind": "karras", "sigma_min": 0.02, "sigma_max": chance.choice([14.6, 80.0]), "rho": 7.0}
    else:
        grid = {"kind": chance.choice(["uniform-t", "uniform-lambda"]), "t_min": chance.choice([1e-3, 1e-2])}
        grid["t_max"] = chance.choice([1.0, 1.0, 0.98, 0.9])
    return {
        "target": {
            "weights": [*weights[:-1], 1 - sum(weights[:-1])],
            "means": [chance.uniform(-spread, spread) for _ in range(count)],
            "stds": [chance.choice([0.02, 0.1, 0.3, 0.5, 1.0]) * chance.uniform(0.8, 1.2) for _ in range(count)],
        },
        "schedule": {"kind": kind, **SCHEDULES[kind]},
        "grid": grid,
        "run": {
            "methods": chance.sample(list(METHODS), 2),
            "steps": [chance.choice([n for n in (5, 8, 10, 16, 20) if n <= most])],
            "metrics": ["tv", "kl", "w2"],
            "init": chance.choice(["exact", "normal"]),
            "points": chance.choice([301, 1001]),
        },
    }


Values = dict[tuple[str, int, str], float]


def values_of(study: dict[str, Any], out: Path) -> Values:
    """The values of a study that are not null; the others have a reason, and a refusal is one line."""
    try:
        answer = run(parse(study), out)
    except InputError as fault:
        lines = str(fault).splitlines()
    else:
        lines = [""]
    assert len(lines) == 1
    if lines[0]:
        return {}
    assert all(r["value"] is not None or r["reason"] for r in answer["records"])
    return {(r["method"], r["steps"], r["metric"]): r["value"] for r in answer["records"] if r["value"] is not None}


def breaches(values: Values, finer: Values) -> list[str]:
    """What does not hold: 0 <= tv <= 1, kl >= 0, w2 >= 0, tv^2 <= kl / 2, and the same value on twice the nodes."""
    found = []
    for (method, steps, metric), value in values.items():
        at, kl, again = (method, steps), values.get((method, steps, "kl")), finer.get((method, steps, metric))
        if not math.isfinite(value) or value < -ROUNDING or (metric == "tv" and value > 1 + ROUNDING):
            found.append(f"{at}: {metric} = {value}")
        if metric == "tv" and kl is not None and value**2 > kl / 2 * SLACK + ROUNDING:
            found.append(f"{at}: tv = {value}, kl = {kl}")
        if again is not None and abs(again - value) > MOVED * abs(again) + SMALL:
            found.append(f"{at}: {metric} = {value}, {again} on twice the nodes")
    return found


def check(count: int, seed: int, out: Path, most: int = 20) -> int:
    """The number of values in some random studies, none of which breaks a rule."""
    chance, total = random.Random(seed), 0
    for n in range(count):
        study = drawn(chance, most)
        values = values_of(study, out / f"{n}")
        by_nodes = [name for name in study["run"]["methods"] if not METHODS[name].stochastic]
        twice = {**study["run"], "methods": by_nodes, "points": 2 * study["run"]["points"] - 1}
        finer = values_of({**study, "run": twice}, out / f"{n}-finer") if by_nodes else {}
        assert breaches(values, finer) == [], study
        total += len(values)
    return total


@pytest.mark.tried("random studies")
def test_random_studies(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Assert that every value of two random studies is in its bounds, consistent, and resolved."""
    assert check(2, 1, tmp_path, most=8) > 4
    record_property("cases", 2)


@pytest.mark.slow
@pytest.mark.tried("random studies")
def test_many_random_studies(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """Assert the same of twelve others."""
    assert check(12, 2, tmp_path) > 30
    record_property("cases", 12)


@pytest.mark.parametrize(
    ("values", "finer"),
    [
        ({"tv": 1.1}, {}),
        ({"kl": -1e-3}, {}),
        ({"w2": math.nan}, {}),
        ({"tv": 0.5, "kl": 0.4}, {}),
        ({"w2": 0.1}, {"w2": 0.103}),
    ],
)
def test_the_check_finds_a_breach(values: dict[str, float], finer: dict[str, float]) -> None:
    """Assert that a value out of its bounds, two that disagree and one that is not resolved are found."""

    def of(metrics: dict[str, float]) -> Values:
        return {("ddim", 8, metric): value for metric, value in metrics.items()}

    assert breaches(of(values), of(finer))
    assert not breaches(of({"tv": 0.3, "kl": 0.4, "w2": 0.1}), of({"w2": 0.1001}))
