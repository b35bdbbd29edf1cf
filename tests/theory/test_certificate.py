"""Certificates of order proofs pass an independent checker, and every altered certificate is refuted."""

from __future__ import annotations

import copy
import inspect
import json
import random
from fractions import Fraction
from functools import cache
from typing import Any

import certificate_checker
import pytest
from certificate_checker import (
    Refuted,
    check,
    count_trees,
    differential,
    evaluate,
    parse_tree,
    random_field,
    random_run,
)
from shapes import first_of_each, shape

from samplerproof.theory.certificate import certificate
from samplerproof.theory.methods import ODE_METHODS, find
from samplerproof.theory.trees import trees

CASES = [(m.name, free) for m in ODE_METHODS for free in ((False, True) if m.equal_steps else (False,))]
CASES += [("bdia-ddim?gamma=1", False), ("bdia-ddim?gamma=0", False), ("lambda-ddim?b=0", False)]
BY_SHAPE = first_of_each(CASES, lambda case: (shape(case[0]), case[1]))
PRIME = 2**31 - 1


@cache
def text_of(name: str, free: bool = False) -> str:
    return json.dumps(certificate(find(name), free))


def fresh(name: str, free: bool = False) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(text_of(name, free))
    return loaded


@pytest.mark.parametrize(("name", "free"), BY_SHAPE)
def test_every_certificate_is_verified_again(name: str, free: bool) -> None:
    check(fresh(name, free))


@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize(("name", "free"), BY_SHAPE)
def test_an_order_one_off_is_refuted(name: str, free: bool, by: int) -> None:
    """Assert that the step itself refutes a wrong order, given with the counts of that order."""
    altered = fresh(name, free)
    altered["order"] += by
    if altered["order"] < 0:
        pytest.skip("no order is below 0")
    counts = [sum(map(count_trees, range(n + 1))) for n in range(altered["order"] + 1)]
    altered |= {"trees": sum(counts[-1:]), "conditions": sum(counts), "leading_defects": []}
    with pytest.raises(Refuted, match="of a higher order" if by < 0 else "not of order"):
        check(altered)


@pytest.mark.parametrize(("name", "free"), BY_SHAPE)
def test_a_weight_off_by_a_millionth_is_refuted(name: str, free: bool) -> None:
    good = fresh(name, free)
    for i, row in enumerate(good["rows"]):
        for field in ("weights", "states"):
            for j, weight in enumerate(row[field]):
                if weight == "0":
                    continue
                altered = copy.deepcopy(good)
                altered["rows"][i][field][j] = f"({weight})*1000001/1000000"
                with pytest.raises(Refuted):
                    check(altered)


@pytest.mark.parametrize(("name", "free"), BY_SHAPE)
def test_a_defect_off_by_a_millionth_is_refuted(name: str, free: bool) -> None:
    """Assert that every defect contributes to the local error, and that one that is off is refuted."""
    altered = fresh(name, free)
    assert all(any(part) for part in random_run(altered, random.Random(0)).defects())
    last = altered["leading_defects"][-1]
    last["coefficient"] = f"({last['coefficient']})*1000001/1000000"
    with pytest.raises(Refuted, match="leading defects give"):
        check(altered)


@pytest.mark.parametrize(
    ("name", "alter", "message"),
    [
        ("exp-adams-2", lambda c: c.update(trees=c["trees"] + 1), "number of trees"),
        ("exp-adams-2", lambda c: c.update(conditions=c["conditions"] - 1), "number of trees"),
        ("exp-adams-2", lambda c: c["leading_defects"].pop(), "leading defects give"),
        ("exp-adams-2", lambda c: c["leading_defects"].append(c["leading_defects"][0]), "repeated"),
        ("exp-adams-2", lambda c: c["leading_defects"][0].update(power=0), "not of the next order"),
        ("exp-adams-2", lambda c: c.update(kappa=-1), "not of order"),
        ("exp-adams-2", lambda c: c["rows"][0]["nodes"][1].update(position="-r2"), "not of order"),
        ("exp-adams-2", lambda c: c["rows"][0].update(weights=["0.5*h", "h"]), "not exact"),
        ("dpm-solver-2s", lambda c: c["rows"][0].update(end="1/3"), "leading defects give"),
        ("ipndm-2", lambda c: c.update(ratios="free"), "not of order"),
        ("unipc-1", lambda c: c["rows"][1]["nodes"][1].update(stage=0), "not of order"),
        ("unipc-2", lambda c: c.update(predicted=False), "leading defects give"),
        ("li-accelerated-ode", lambda c: c["rows"][1]["weights"].reverse(), "not of order"),
    ],
)
def test_an_altered_certificate_is_refuted(name: str, alter: Any, message: str) -> None:
    altered = fresh(name)
    alter(altered)
    with pytest.raises(Refuted, match=message):
        check(altered)


def test_the_checker_knows_nothing_of_ours() -> None:
    source = inspect.getsource(certificate_checker)
    assert "samplerproof" not in source
    assert "sympy" not in source


def test_series_of_an_expression() -> None:
    h = certificate_checker.Series([Fraction(n) for n in (0, 1, 0, 0)])
    names = {"h": h, "r1": h.of(2)}
    assert evaluate("phi(2, -h)*r1 - 1/(h - 1)**2", names).c == [
        0,
        Fraction(-7, 3),
        Fraction(-35, 12),
        Fraction(-241, 60),
    ]
    with pytest.raises(Refuted, match="not exact"):
        evaluate("unknown*h", names)


def rank(rows: list[list[int]]) -> int:
    """Rank modulo a prime, which is never more than the rank."""
    found = 0
    while rows:
        pivot = rows.pop()
        lead = next((i for i, x in enumerate(pivot) if x), None)
        if lead is None:
            continue
        found += 1
        factors = [row[lead] * pow(pivot[lead], -1, PRIME) for row in rows]
        rows = [
            [(x - f * y) % PRIME for x, y in zip(row, pivot, strict=True)] for f, row in zip(factors, rows, strict=True)
        ]
    return found


def test_two_components_tell_all_trees_apart_and_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that fields in two dimensions distinguish all trees up to order 6, and that one dimension does not."""
    chance = random.Random(1)

    def independent(order: int) -> int:
        parsed = [parse_tree(str(tree)) for tree in trees(order)]
        fields = [random_field(order, lambda: chance.randrange(PRIME)) for _ in parsed]
        return rank([[x % PRIME for f in fields for x in differential(tree, f, 0)] for tree in parsed])

    assert [independent(n) for n in (3, 4, 5, 6)] == [5, 13, 37, 108] == [count_trees(n) for n in (3, 4, 5, 6)]
    monkeypatch.setattr(certificate_checker, "DIMENSION", 1)
    assert independent(4) < 13
