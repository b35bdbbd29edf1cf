"""Recorded runs and tables of ports: good ones conform, faults are found where they are, bad files get one line."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from ports import ported
from shapes import one_per_shape

from samplerproof.numerics import testing
from samplerproof.numerics.catalogue import METHODS, resolve
from samplerproof.numerics.conformance.adapters.recorded_run import run_of
from samplerproof.numerics.conformance.adapters.solved_trace import solved
from samplerproof.numerics.conformance.report import Verdict
from samplerproof.numerics.conformance.verify import verify
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.exports import exported, golden_run
from samplerproof.numerics.grids import Grid, grid
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.table_file import table_of, write_table
from samplerproof.numerics.tableau import Tableau, tabulate

KARRAS = grid(schedule("edm"), "karras", 7, sigma_min=0.02, sigma_max=20)
PRESERVED = grid(schedule("vp-linear"), "uniform-t", 7, t_min=0.05, t_max=0.9)
TO_ZERO = grid(schedule("flow"), "flow", 7, shift=3)
UNSTABLE = {"lambda-ddim": KARRAS}  # its states grow to 1e14: the outputs are lost in rounding


@pytest.fixture
def judged(tmp_path: Path) -> Any:
    """A function: the verdict on a file with this content."""

    def verdict(data: Any, against: str | None = None) -> Verdict:
        path = tmp_path / "port.json"
        path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
        return verify(str(path), against)

    return verdict


GRIDS = (KARRAS, PRESERVED, TO_ZERO)
OF_A_SHAPE = one_per_shape(METHODS)  # on every grid; records that differ from these in their weights take turns


def _tables(name: str) -> Iterator[tuple[Grid, Tableau]]:
    turn = list(METHODS).index(name) % len(GRIDS)
    for on in GRIDS if name in OF_A_SHAPE else (*GRIDS[turn:], *GRIDS[:turn]):
        try:
            table = tabulate(name, on)
        except InputError:  # no such record on this grid
            continue
        if UNSTABLE.get(name) is not on:
            yield on, table
            if name not in OF_A_SHAPE:
                return


QUICK = ("dpm-solver++-2m", "ddpm")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else (pytest.mark.slow,)) for name in METHODS]
)
def test_exports_of_every_record_conform(name: str, judged: Any) -> None:
    """Assert that its table and its golden vector, in float64 and by a port in float32, are judged to be the record, of
    one of each shape on a variance-exploding, a variance-preserving and a flow grid; of the others the table, on one
    grid that they have.
    """
    for on, table in _tables(name):
        whole = name in OF_A_SHAPE
        files = exported(name, on, vectors=whole)
        for kind, text in files.items():
            found = judged(text, name)
            assert found.exit_code == 0, (kind, found)
            assert found.matches[0].startswith(resolve(name).name)
            assert found.max_relative_error is not None
            assert found.max_relative_error < 1e-11
        if not whole:
            continue
        single = judged(ported(table, golden_run(table, on.points), "float32") | _schedule(on), name)
        assert single.exit_code == 0, single
        assert single.coverage[0].startswith("one recorded run, float32")


def _schedule(on: Grid) -> dict[str, Any]:
    assert on.schedule is not None
    values = "&".join(f"{key}={value}" for key, value in on.schedule.parameters.items())
    return {"provenance": {"schedule": f"{on.schedule.kind}?{values}" if values else on.schedule.kind}}


def _off(table: Tableau, row: int, lag: int, by: float) -> Tableau:
    outputs = table.outputs.clone()
    outputs[row, lag] *= 1 + by
    return replace(table, outputs=outputs)


def _reversed(table: Tableau) -> Tableau:
    return replace(table, outputs=torch.cat([table.outputs[:1], table.outputs[1:].flip(1)]))


# a fault of 2M -> the table with it, the precision of the port, the step where it shows first
FAULTS = {
    "one weight off by 1e-6": (lambda t: _off(t, 3, 0, 1e-6), "float64", 4),
    "one old weight off by 1e-6": (lambda t: _off(t, 5, 1, 1e-6), "float64", 6),
    "one weight off by 1e-3 in float32": (lambda t: _off(t, 3, 0, 1e-3), "float32", 4),
    "history reversed": (_reversed, "float64", 2),
    "history reversed in float32": (_reversed, "float32", 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_where_it_is(fault: str, judged: Any) -> None:
    """Assert a different formula, exit code 1, and the step; that the record is named as the nearest in words is for
    the judge. Without the fault the same port conforms.
    """
    change, dtype, step = FAULTS[fault]
    table = tabulate("dpm-solver++-2m", KARRAS)
    data = golden_run(table, KARRAS.points)
    assert judged(ported(table, data, dtype), "dpm-solver++-2m").exit_code == 0
    for against in ("dpm-solver++-2m", None) if dtype == "float64" else ("dpm-solver++-2m",):
        found = judged(ported(change(table), data, dtype), against)
        assert (found.verdict, found.exit_code) == ("different-formula", 1)
        first = next(f for f in found.findings if f.severity == "error")
        assert first.step == step or against is None


def test_one_weight_that_is_off_is_found_in_both_precisions(judged: Any) -> None:
    """Assert the step of a fault of 1e-6 in float64 and of 1e-3 in float32 in a one-step sampler."""
    table = tabulate("ddim", KARRAS)
    data = golden_run(table, KARRAS.points)
    for dtype, by in (("float64", 1e-6), ("float32", 1e-3)):
        assert judged(ported(table, data, dtype), "ddim").exit_code == 0
        found = judged(_cut(ported(_off(table, 3, 0, by), data, dtype), 4), "ddim")
        assert (found.exit_code, found.findings[0].step) == (1, 4)


@pytest.mark.slow
def test_a_grid_that_is_off_is_found(judged: Any) -> None:
    """Assert that a run on other levels than it states differs, by one level and by all."""
    table = tabulate("dpm-solver++-2m", KARRAS)
    data = golden_run(table, KARRAS.points)
    for n in range(1, 7):
        moved = copy.deepcopy(data)
        sigma = KARRAS.points[n].sigma * 1.001
        for entry in (moved["grid"][n], moved["evaluations"][n]["point"]):
            entry[1:3] = [sigma, sigma]
        found = judged(moved, "dpm-solver++-2m")
        assert found.exit_code == 1
        assert next(f.step for f in found.findings if f.severity == "error") == n


@pytest.mark.slow
def test_a_table_file_with_one_weight_off_differs(tmp_path: Path) -> None:
    """Assert both sides for tables: the file of 2M conforms to 2M, and one off by 1e-6 does not."""
    table = tabulate("dpm-solver++-2m", KARRAS)
    for wrong, code in ((table, 0), (_off(table, 3, 0, 1e-6), 1)):
        write_table(wrong, tmp_path / "table.json")
        assert verify(str(tmp_path / "table.json"), "dpm-solver++-2m").exit_code == code
    with pytest.raises(AssertionError, match="step 4"):
        testing.assert_conforms(str(tmp_path / "table.json"), "dpm-solver++-2m")
    write_table(table, tmp_path / "table.json")
    assert testing.assert_conforms(str(tmp_path / "table.json"), "dpm-solver++-2m").verdict == "identical"


@pytest.mark.slow
def test_a_run_needs_no_grid_no_steps_and_no_name(judged: Any) -> None:
    """Assert that levels of the evaluations suffice, for one evaluation a step and for two, and the record is found."""
    for name in ("dpm-solver++-2m", "edm-heun", "dpm-solver-2s"):
        data = golden_run(tabulate(name, KARRAS), KARRAS.points)
        del data["grid"]
        for entry in data["evaluations"]:
            del entry["step"]
            entry["point"] = entry["point"][:2]
        found = judged(data)
        assert (found.exit_code, found.matches[0]) == (0, name), found


@pytest.mark.parametrize("largest", [0.2, 64.0])
def test_a_drawn_run_is_as_large_as_states_and_data_are(largest: float) -> None:
    """Assert that the start is as large as sqrt(alpha^2 + sigma^2) to 40 %, outputs of the data as 1, those of score as
    1/sigma.
    """
    on = grid(schedule("edm"), "karras", 60, sigma_min=0.01, sigma_max=largest)
    for name, prediction in (("ddim", "data"), ("li-ddim", "score")):
        table = tabulate(name, on)
        assert table.prediction == prediction
        run = golden_run(table, on.points)
        assert _rms(run["start"]) == pytest.approx(math.hypot(1, largest), rel=0.4)
        for entry, at in zip(run["evaluations"], table.points, strict=False):
            assert _rms(entry["output"]) == pytest.approx(1 if prediction == "data" else 1 / at.sigma, rel=0.5)


def _rms(written: list[str | int]) -> float:
    return math.sqrt(sum(float.fromhex(str(value)) ** 2 for value in written) / len(written))


def test_few_components_are_compared_with_a_named_record_only(judged: Any) -> None:
    """Assert one line without a name, and with one a verdict: the record conforms, another one does not."""
    table = tabulate("ddpm", KARRAS)
    data = _cut(ported(table, golden_run(table, KARRAS.points), "float32"), 2)
    with pytest.raises(InputError, match=r"got '2 components'; at least 15, .* or give --against"):
        judged(data)
    assert judged(data, "ddpm").exit_code == 0
    other = judged(_cut(golden_run(tabulate("dpm-solver++-2m", KARRAS), KARRAS.points), 1), "ddim")
    assert (other.verdict, other.findings[0].step) == ("different-formula", 2)


def _cut(data: dict[str, Any], size: int) -> dict[str, Any]:
    """The run in its first components."""
    cut = copy.deepcopy(data)
    for key in ("start", "end"):
        cut[key] = cut[key][:size]
    cut["noises"] = [z[:size] for z in cut["noises"]]
    for entry in cut["evaluations"]:
        entry["input"], entry["output"] = entry["input"][:size], entry["output"][:size]
    return cut


@pytest.mark.slow
def test_outputs_that_are_nearly_dependent_determine_nothing(judged: Any) -> None:
    """Assert that equal outputs in float32 end in an error with the remedy, and that --against decides it."""
    table = tabulate("dpm-solver++-2m", KARRAS)
    data = golden_run(table, KARRAS.points)
    for entry in data["evaluations"][1:]:
        entry["output"] = data["evaluations"][0]["output"]
    run = ported(table, data, "float32")
    found = judged(run)
    assert (found.verdict, found.exit_code) == ("error", 2)
    assert "nearly dependent" in found.findings[0].detail
    assert judged(run, "dpm-solver++-2m").exit_code == 0
    assert judged(run, "edm-heun").exit_code == 1


def test_a_clipping_port_is_not_linear(judged: Any) -> None:
    """Assert that values outside of [-3, 3] that a port clips in its states are seen."""
    data = golden_run(tabulate("ddim", KARRAS), KARRAS.points)
    for entry in data["evaluations"][4:]:
        entry["input"] = [max(-1.5, min(1.5, float.fromhex(x) if isinstance(x, str) else x)) for x in entry["input"]]
    assert judged(data, "ddim").verdict == "not-linear"


@pytest.mark.slow
def test_one_grid_shows_no_order(judged: Any) -> None:
    """Assert that no order is claimed, and that the answer states why."""
    found = judged(golden_run(tabulate("ddim", KARRAS), KARRAS.points))
    assert (found.observed_order, found.local_orders) == (None, [])
    assert any(f.kind == "order" and "one grid" in f.detail for f in found.findings)


def test_rows_are_solved_with_their_errors() -> None:
    """Assert that solved rows equal those of the table within the errors that are stated, which are small."""
    table = tabulate("sa-solver-2", KARRAS)
    found = solved(run_of(golden_run(table, KARRAS.points)), "ve", KARRAS.points)
    gap = (found.table.outputs - table.outputs).abs().amax(dim=1)
    size = torch.maximum(table.outputs.abs().amax(dim=1), table.states.abs().amax(dim=1))
    assert bool((gap <= torch.tensor(found.uncertainty[1:]) * size * 100 + 1e-14).all())
    assert max(found.uncertainty) < 1e-11


DIGITS = {"%.9g": ("float32", 0), "%.17g": ("float64", 0), "%.4g": (None, 2)}


@pytest.mark.parametrize("form", DIGITS)
def test_printed_numbers_have_the_precision_of_their_digits(form: str, judged: Any) -> None:
    """Assert that nine digits are a float32, 17 a float64, and that four are refused."""
    table = tabulate("dpm-solver++-2m", KARRAS)
    data = ported(table, golden_run(table, KARRAS.points), "float32" if form == "%.9g" else "float64")
    for entry in (*data["evaluations"], data):
        key = "end" if entry is data else "input"
        entry[key] = [float(form % value) for value in entry[key]]
    dtype, code = DIGITS[form]
    if code:
        with pytest.raises(InputError, match="numbers of 4 digits"):
            judged(data)
    else:
        found = judged(data, "dpm-solver++-2m")
        assert found.exit_code == 0
        assert f"one recorded run, {dtype}" in found.coverage[0]


def _paths(data: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    for key in data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        if key != "provenance":
            yield from _paths(data[key], (*at, key))


JUNK: tuple[Any, ...] = ({"a": 1}, ["x"], float("inf"), [[[]]], "0x1.8q+1", -(10**400))


@pytest.mark.parametrize("kind", ["table", "run"])
def test_a_hundred_mutations_get_one_line_each(kind: str) -> None:
    """Assert that an entry replaced by junk, anywhere, is refused in one short line that names an entry."""
    files = exported("ddpm", KARRAS, vectors=True)
    data = json.loads(next(text for name, text in files.items() if kind in name))
    read = table_of if kind == "table" else run_of
    read(data)
    draw = random.Random(0)
    paths = list(_paths(data))
    for n in range(100):
        changed, path = copy.deepcopy(data), draw.choice(paths if n % 2 else [p for p in paths if len(p) < 3])
        inner = changed
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = JUNK[n % len(JUNK)]
        with pytest.raises(InputError) as found:
            read(changed)
        assert found.value.field.startswith(f"{kind}."), path
        assert str(found.value).isprintable()
        assert len(str(found.value)) <= 300


RUNS = {
    "an object of another kind": ({"a": 1}, "target"),
    "no evaluations": ({"evaluations": []}, "run.evaluations"),
    "a vector too short": ({"end": [1.0]}, "run.end"),
    "levels of no process": ({"grid": [[0.5, 9.0 - n] for n in range(8)]}, "run.evaluations"),
    "an unknown dtype": ({"dtype": "int8"}, "run.dtype"),
    "an unknown schedule": ({"provenance": {"schedule": "mine"}}, "run.provenance.schedule"),
}


@pytest.mark.parametrize("fault", RUNS)
def test_runs_that_are_refused(fault: str, judged: Any) -> None:
    """Assert the entry of the message."""
    change, field = RUNS[fault]
    data = golden_run(tabulate("ddim", KARRAS), KARRAS.points)
    with pytest.raises(InputError) as found:
        judged(data | change if fault != "an object of another kind" else change, "ddim")
    assert found.value.field == field
