"""Table files: exact round trips, and a refusal in one line that names the entry for every fault."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from shapes import by_shape

from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grids import Grid, grid
from samplerproof.numerics.points import Point
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.support.strict_json import LARGEST
from samplerproof.numerics.table_file import KEYS, read_table, table_of, table_text, write_table
from samplerproof.numerics.tableau import Tableau, tabulate

GRIDS = (
    grid(schedule("vp-linear"), "uniform-t", 8, t_min=1e-3, t_max=1.0),
    grid(schedule("edm"), "karras", 6, sigma_min=0.002, sigma_max=80, zero=1),
    grid(schedule("flow"), "flow", 6, shift=3),
    grid(schedule("cosine"), "uniform-t", 8, t_min=0.0, t_max=1.0),
)


def _tables(name: str) -> list[Tableau]:
    found = []
    for on in GRIDS:
        for start in ("ramp", "exact"):
            try:
                found.append(tabulate(name, on, start))
            except InputError:  # no such record on this grid
                continue
    return found


@pytest.mark.parametrize("name", by_shape(METHODS))
def test_a_table_returns_bit_for_bit(name: str, tmp_path: Path) -> None:
    """Assert that a written table is read as it was, the signs of zeros and unknown derivatives included; and that its
    steps follow from its rows.
    """
    for table in _tables(name):
        write_table(table, tmp_path / "table.json", {"steps": 8})
        found = read_table(tmp_path / "table.json")
        assert found == table
        assert found.method == table.method
        for one, other in zip(found.points, table.points, strict=True):
            assert [v.hex() for v in one] == [v.hex() for v in other]
        for part in ("states", "outputs", "noises"):
            assert torch.equal(getattr(found, part).signbit(), getattr(table, part).signbit())
        plain = json.loads(table_text(table))
        del plain["step"]
        assert table_of(plain) == table


def test_decimal_numbers_are_the_same_table() -> None:
    """Assert that shortest decimals, as Rust, Swift and JavaScript write them, and C's %a are read exactly."""
    table = tabulate("edm-heun", GRIDS[1])
    plain = json.loads(table_text(table))
    plain["states"], plain["outputs"] = table.states.tolist(), table.outputs.tolist()
    assert table_of(json.loads(json.dumps(plain))) == table
    assert table_of({**plain, "states": [[x.hex().upper() for x in row] for row in table.states.tolist()]}) == table


def test_a_point_has_two_numbers_three_or_five() -> None:
    """Assert that a velocity has its derivatives where the process gives them, and is refused where not."""
    table = tabulate("ddim", Grid.from_sigmas([2.0, 1.0, 0.5]))
    short = {**_plain(table), "points": [[1, 2.0], [1, 1.0, 1.0], [1, 0.5, 0.5, None, "-inf"]]}
    found = table_of(short).points
    assert found[0][:2] == (1, 2)
    assert math.isnan(found[0].t)
    assert found[1].t == 1
    assert found[2].dsigma == -math.inf
    flow = {**short, "prediction": "velocity", "points": [[0.25, 0.75], [0.5, 0.5], [1, 0]]}
    assert table_of(flow).points[0] == Point(0.25, 0.75, 0.75, -1.0, 1.0)
    with pytest.raises(InputError, match=r"table\.points\[0\]: .*velocity"):
        table_of({**short, "prediction": "velocity"})


def _plain(table: Tableau) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(table_text(table))
    return found


def _at(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    """Set the entry at a path."""

    def change(data: dict[str, Any]) -> None:
        inner: Any = data
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value

    return change


def _without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda data: data.pop(key)


def _append(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data[key].append(value)


# what is wrong -> how the 2M table of six steps is changed, and the entry that the message names
FAULTS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    **{f"no {key}": (_without(key), f"table.{key}") for key in KEYS},
    "another key": (_at("weights", value=[]), "table.weights"),
    "a key with a typing error": (_at("ouputs", value=[[1.0]]), "table.ouputs"),
    "format 2": (_at("format", value=2), "table.format"),
    "format true": (_at("format", value=True), "table.format"),
    "format as text": (_at("format", value="1"), "table.format"),
    "an empty name": (_at("name", value=""), "table.name"),
    "a name of two lines": (_at("name", value="a\nb"), "table.name"),
    "a long name": (_at("name", value="x" * 1000), "table.name"),
    "another prediction": (_at("prediction", value="epsilon"), "table.prediction"),
    "a prediction that is a list": (_at("prediction", value=["data"]), "table.prediction"),
    "one point": (_at("points", value=[[1, 1]]), "table.points"),
    "points that are an object": (_at("points", value={}), "table.points"),
    "a point of one number": (_at("points", 2, value=[1.0]), "table.points[2]"),
    "a point of four numbers": (_at("points", 2, value=[1.0, 1.0, 1.0, 0.0]), "table.points[2]"),
    "a point that is a number": (_at("points", 2, value=3.0), "table.points[2]"),
    "alpha below 0": (_at("points", 2, 0, value=-1.0), "table.points[2][0]"),
    "sigma as a word": (_at("points", 2, 1, value="one"), "table.points[2][1]"),
    "alpha and sigma 0": (_at("points", 2, value=[0, 0]), "table.points[2][0]"),
    "a level that goes back": (_at("points", 3, 1, value=100.0), "table.points[3]"),
    "two equal levels": (lambda data: data["points"].__setitem__(3, data["points"][2]), "table.points[3]"),
    "a missing truth value": (lambda data: data["evaluated"].pop(), "table.evaluated"),
    "a number as a truth value": (_at("evaluated", 1, value=1), "table.evaluated[1]"),
    "an output at the sample": (_at("evaluated", -1, value=True), "table.evaluated[6]"),
    "no evaluation": (_at("evaluated", value=[False] * 7), "table.evaluated"),
    "given 0": (_at("given", value=0), "table.given"),
    "given 7 of 7": (_at("given", value=7), "table.given"),
    "given 1.0": (_at("given", value=1.0), "table.given"),
    "a row too few": (lambda data: data["states"].pop(), "table.states"),
    "a row too many": (_append("outputs", [0, 0]), "table.outputs"),
    "no columns": (_at("states", value=[[]] * 6), "table.states[0]"),
    "a ragged row": (_at("outputs", 3, value=[1.0]), "table.outputs[3]"),
    "a row that is a number": (_at("outputs", 3, value=1.0), "table.outputs[3]"),
    "1e400": (_at("outputs", 3, 0, value=10**400), "table.outputs[3][0]"),
    "a coefficient that is true": (_at("outputs", 3, 0, value=True), "table.outputs[3][0]"),
    "a coefficient that is null": (_at("outputs", 3, 0, value=None), "table.outputs[3][0]"),
    "a coefficient that is nan": (_at("outputs", 3, 0, value="nan"), "table.outputs[3][0]"),
    "a hexadecimal float beyond float64": (_at("outputs", 3, 0, value="0x1p+99999"), "table.outputs[3][0]"),
    "a hexadecimal float of 1000 digits": (_at("outputs", 3, 0, value=f"0x1.{'0' * 1000}p+0"), "table.outputs[3][0]"),
    "a decimal as text": (_at("outputs", 3, 0, value="1.5"), "table.outputs[3][0]"),
    "an output before the first": (_at("outputs", 0, 1, value=0.5), "table.outputs[0][1]"),
    "a state before the first": (lambda data: [row.append(0.25) for row in data["states"]], "table.states[0][1]"),
    "an output that is not made": (_at("evaluated", 2, value=False), "table.outputs[2][0]"),
    "noise of the start": (_at("noises", value=[[0, 1.0]] * 6), "table.noises[0][1]"),
    "a step that goes back": (_at("step", 3, value=1), "table.step[3]"),
    "a first step of 1": (_at("step", 0, value=1), "table.step[0]"),
    "no step at all": (_at("step", value=[0] * 7), "table.step[6]"),
    "a step too few": (lambda data: data["step"].pop(), "table.step"),
    "lost beyond the end": (_at("lost", value=[7]), "table.lost[0]"),
    "a provenance that is text": (_at("provenance", value="mine"), "table.provenance"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_one_line_that_names_the_entry(fault: str) -> None:
    """Assert that the changed table is refused on its entry, in one line, and that the table itself passes."""
    change, entry = FAULTS[fault]
    plain = _plain(tabulate("dpm-solver++-2m", GRIDS[1]))
    assert table_of(plain).nfe == 6
    changed = copy.deepcopy(plain)
    change(changed)
    with pytest.raises(InputError) as found:
        table_of(changed)
    assert found.value.field == entry
    assert "\n" not in str(found.value)
    assert len(str(found.value)) <= 300


TEXTS = {
    "text": ("hello", "a JSON file"),
    "a list": ("[1, 2]", "a JSON object"),
    "a key twice": ('{"format": 1, "format": 1}', "stands twice"),
    "NaN": ('{"format": NaN}', "not JSON"),
    "deep": ("[" * 100_000, "a JSON file"),
    "5000 digits": (f'{{"format": {"9" * 5000}}}', "a JSON file"),
    "half of a pair of UTF-16": ('{"\\ud800": 1}', "not a key"),
    "a long key": (f'{{"{"x" * 10_000}": 1}}', "not a key"),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_a_file_that_is_no_table_is_refused(kind: str, tmp_path: Path) -> None:
    """Assert one line for each, printable and bounded."""
    text, reason = TEXTS[kind]
    (tmp_path / "table.json").write_text(text)
    with pytest.raises(InputError, match=reason) as found:
        read_table(tmp_path / "table.json", "run.methods[1]")
    assert str(found.value).isprintable()
    assert len(str(found.value)) <= 300


def test_files_that_are_not_read(tmp_path: Path) -> None:
    """Assert that other encodings, folders, missing and oversized files are refused."""
    (tmp_path / "latin.json").write_bytes(b'{"name": "\xe9"}')
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(LARGEST + 1)
    for name, reason in (
        ("latin.json", "UTF-8"),
        ("large.json", "at most 67.1 MB"),
        ("", "a folder"),
        ("no", "No such"),
    ):
        with pytest.raises(InputError, match=reason):
            read_table(tmp_path / name)


def test_a_tableau_that_would_be_refused_is_not_written(tmp_path: Path) -> None:
    """Assert that no file is left."""
    table = tabulate("ddim", GRIDS[1])
    with pytest.raises(InputError):
        write_table(replace(table, points=table.points[::-1][:3] + table.points[3:]), tmp_path / "table.json")
    assert not list(tmp_path.iterdir())
