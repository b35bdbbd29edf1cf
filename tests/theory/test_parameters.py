"""Parameters make their own symbols, and are shown under their names wherever people read them."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import sympy as sp

from samplerproof.book.proofs import prove, term
from samplerproof.theory.emit.render import weight_functions
from samplerproof.theory.latex import describe
from samplerproof.theory.methods import METHODS, find
from samplerproof.theory.notation import NOTATION, h
from samplerproof.theory.parameter import Parameter

UNIT = sp.Interval(0, 1)
PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def parameter(name: str, domain: sp.Interval = UNIT) -> Parameter:
    return Parameter(name, "a number", sp.Rational(1, 2), domain)


@pytest.mark.parametrize(
    ("domain", "shown", "inside"),
    [
        (UNIT, "0 <= free <= 1", (True, True)),
        (sp.Interval.open(0, 1), "0 < free < 1", (False, False)),
        (sp.Interval.Lopen(0, 1), "0 < free <= 1", (False, True)),
    ],
)
def test_ends_belong_to_a_domain_as_declared(domain: sp.Interval, shown: str, inside: tuple[bool, bool]) -> None:
    """Assert how the bounds are written, and which of the two ends they hold."""
    bounds = parameter("free", domain).bounds
    assert (str(bounds), tuple(Fraction(end) in bounds for end in (0, 1))) == (shown, inside)


@pytest.mark.parametrize(
    ("domain", "positive", "nonnegative"),
    [
        (UNIT, None, True),
        (sp.Interval.open(0, 1), True, True),
        (sp.Interval.Lopen(0, 1), True, True),
        (sp.Interval(1, sp.oo), True, True),
        (sp.Interval(-sp.oo, sp.oo), None, None),
    ],
)
def test_a_symbol_is_assumed_to_lie_in_the_domain(
    domain: sp.Interval, positive: bool | None, nonnegative: bool | None
) -> None:
    """Assert that proofs may use the signs that all values of the domain have, and no others."""
    symbol = parameter("free", domain).symbol
    assert (symbol.is_positive, symbol.is_nonnegative, symbol.is_real) == (positive, nonnegative, True)


@pytest.mark.parametrize("name", ["r1", "h", "c2"])
def test_a_name_in_the_notation_table_makes_no_second_symbol(name: str) -> None:
    """Assert that the refusal states what the name means, and that the table's own symbol can be given."""
    with pytest.raises(ValueError, match=f"parameter: got '{name}', in use for: {re.escape(NOTATION[name].meaning)}"):
        parameter(name)
    given = Parameter(name, "a number", sp.Rational(1, 2), UNIT, symbol=NOTATION[name].symbol)
    assert given.symbol is NOTATION[name].symbol


def test_a_parameter_named_as_another_number_of_the_weights_is_refused() -> None:
    """Assert that generated code never has two arguments of one name."""
    free = Parameter("r1", "a number", sp.Rational(1, 2), UNIT, symbol=sp.Symbol("free"))
    two = find("exp-adams-2")
    weights = tuple(w + sign * free.symbol * h for w, sign in zip(two.weights[0], (1, -1), strict=True))
    row = replace(two.rows[0], rule=None, published=weights)
    with pytest.raises(ValueError, match="parameters: h, r1, r1 are not names of different numbers"):
        replace(two, rows=(row,), parameters=(free,))


@pytest.mark.parametrize("method", [m for m in METHODS if m.parameters], ids=lambda m: m.name)
def test_only_names_of_parameters_are_shown(method: object) -> None:
    """Assert that the record, its code and its formula hold the names people type, and no internal symbol."""
    found = find(method.name)
    hidden = {p.symbol.name for p in found.parameters} - {p.name for p in found.parameters}
    text = json.dumps({**describe(found), "code": weight_functions(found)})
    for name in hidden:
        assert not re.search(rf"\b{name}\b", text)
    for p in found.parameters:
        assert re.search(rf"\b{p.name}\b", text)


def test_proofs_show_the_names_of_parameters() -> None:
    """Assert that dpm-solver-2s's r, which is c2 in the proof, is r in what `prove` answers."""
    (answer,) = prove(["dpm-solver-2s"], everything=False)
    text = json.dumps(answer)
    assert "c2" not in text
    assert any("r" in defect["coefficient"] for defect in answer["leading_defects"])


@pytest.mark.parametrize(
    ("coefficient", "shown"),
    [
        ("r1/2 + 1/4", "(r1/2 + 1/4) h^1  [[]]"),
        ("-gamma - 1", "(-gamma - 1) h^1  [[]]"),
        ("-1/6", "-1/6 h^1  [[]]"),
        ("(r1 + 1)*(r2 - 1)/2", "(r1 + 1)*(r2 - 1)/2 h^1  [[]]"),
        ("(r1 + 1) - (r2 - 1)/2", "((r1 + 1) - (r2 - 1)/2) h^1  [[]]"),
    ],
)
def test_a_sum_stands_in_brackets(coefficient: str, shown: str) -> None:
    """Assert that a coefficient and its power of h are one term to the reader."""
    assert term({"coefficient": coefficient, "power": 1, "tree": "[[]]"}) == shown


def test_no_record_is_of_a_version_to_come() -> None:
    """Assert that `since` is a version up to the project's own."""
    versions = {tuple(map(int, method.since.split("."))) for method in METHODS}
    assert max(versions) <= tuple(map(int, PROJECT["version"].split(".")))
