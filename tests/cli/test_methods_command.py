"""`samplerproof methods`: filters, search, and all of one method."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from samplerproof.cli.methods_command import catalogue, described
from samplerproof.names.input_error import InputError
from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.generated.citations import CITATIONS
from samplerproof.numerics.support.text_search import finds

Run = Callable[..., tuple[int, str, str]]


def names(**filters: Any) -> set[str]:
    return {record["name"] for record in catalogue(**filters)}


def test_filters_leave_what_they_name() -> None:
    """Assert each filter against the records, and that two of them leave what both leave."""
    records = METHODS.values()
    assert names() == set(METHODS)
    assert names(family="deis") == {r.name for r in records if r.family == "deis"} != set()
    assert names(stochastic=True) == {r.name for r in records if r.stochastic} != set()
    assert names(order=3) == {r.name for r in records if r.order == 3} != set()
    assert names(family="sa-solver", stochastic=True, order=1) == names(family="sa-solver") & names(order=1)


@pytest.mark.parametrize(
    ("search", "text", "found"),
    [
        ("edict", "EDICT", True), ("edict", "predictor", False), ("Multistep", "DPMSolverMultistepScheduler", True),
        ("step", "Multistep", False), ("2m", "dpm-solver++-2m", True), ("2s", "deis12s", False),
        ("a b", "b a", True), ("a b", "a", False), ("solver solver", "SolverSolver", True), ("", "all", True),
    ],
)  # fmt: skip
def test_a_word_is_found_where_a_word_starts(search: str, text: str, found: bool) -> None:
    assert finds(search, text) == found


def test_a_search_for_edict_lists_no_predictor() -> None:
    with pytest.raises(InputError, match="none left"):
        names(search="EDICT")


def test_search_looks_in_names_aliases_families_and_papers() -> None:
    """Assert one hit by each, in any case, with every word needed; and that it does not find everything."""
    assert "dpm-solver++-2m" in names(search="DPMSolverMultistepScheduler")
    assert names(search="gradient-estimation") == {"gradient-estimation"}
    assert {"edm-heun", "edm-churn"} <= names(search="elucidating") < set(METHODS)
    assert "dpm-solver++-2m" in names(search="dpm-solver++: fast")  # BibTeX has braces around the name
    both = names(search="Song ddim")
    assert "ddim" in both
    assert "edm-heun" not in both


def test_a_search_shows_techniques_below_methods(in_process: Run) -> None:
    """Assert one that is no method, one beside methods, and neither with --json, nor with a filter of methods."""
    code, out, err = in_process("methods", "--search", "t-stitch")
    assert (code, err) == (0, "")
    assert "T-Stitch" in out
    assert "techniques/t-stitch.html" in out
    _, out, _ = in_process("methods", "--search", "bdia")
    assert out.index("bdia-ddim") < out.index("techniques/bdia.html")
    for more in ("--json", "--stochastic"):
        code, out, err = in_process("methods", "--search", "t-stitch", more)
        assert (code, out) == (2, "")
        assert err.startswith("samplerproof: methods: got '--search t-stitch")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--family", "dies"], "--family: got 'dies'; not a family of methods; nearest: deis, "),
        (["--order", "7"], "methods: got '--order 7'; none left; methods have the orders 0, 1, 2, 3, 4"),
        (["--search", "xyzzy", "--stochastic"], "methods: got '--search xyzzy --stochastic'; none left; "),
        (["--search", " "], "--search: got ' '; a word, or several"),
        (["ddim", "--order", "1"], "NAME: got 'ddim'; a name without --family, --stochastic, --order and --search"),
        (["DDIMM"], "NAME: got 'DDIMM'; not a known method; nearest: ddim, "),
        (["ddim-eta?eta=2"], "NAME: got 'ddim-eta?eta=2'; 0 <= eta <= 1"),
    ],
)
def test_what_leaves_nothing_is_one_line(in_process: Run, arguments: list[str], line: str) -> None:
    """Assert exit code 2 and one line, with the nearest five where a name is unknown."""
    code, out, err = in_process("methods", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"samplerproof: {line}")
    assert err.count("\n") == 1
    if "nearest: " in err:
        assert len(err.split("nearest: ")[1].split(", ")) == 5


def test_one_method_is_shown_with_all_that_is_known(in_process: Run) -> None:
    """Assert aliases, order, formula, page and paper for a person, and as JSON by an alias."""
    code, out, err = in_process("methods", "dpm-solver++-2m")
    assert (code, err) == (0, "")
    record = METHODS["dpm-solver++-2m"]
    order = "2, proved; samplerproof prove 'dpm-solver++-2m'"
    page = "methods/dpm-solver-pp-2m.html"
    for text in (record.summary, *record.aliases, order, "samplerproof derive", *record.formulas, page):
        assert text in out
    assert CITATIONS[record.cite].splitlines()[1] in out
    (found,) = json.loads(in_process("methods", "unip-2", "--json")[1])
    assert found == described("dpm-solver++-2m")
    assert (found["name"], found["page"], found["order"]) == ("dpm-solver++-2m", page, 2)


def test_a_method_with_a_value_is_another() -> None:
    """Assert that the order is that at the value, that aliases are of the default, and what equal steps mean."""
    assert (described("bdia-ddim")["order"], described("bdia-ddim?gamma=1")["order"]) == (1, 2)
    assert described("ddim-eta?eta=1/2")["aliases"] == []
    assert described("ddim-eta?eta=1/2")["page"] == "methods/ddim-eta.html"
    assert described("pndm")["equal_steps"] is True
    with pytest.raises(InputError, match="nearest: ddim"):
        described("ddimm")
