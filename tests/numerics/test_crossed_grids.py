"""A study crosses its methods with several grids."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import samplerproof as sp
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.studies.config import parse, read
from samplerproof.numerics.studies.run import run

TARGET = {"weights": [0.35, 0.65], "means": [-1.2, 0.9], "stds": [0.5, 0.35]}
KARRAS = {"kind": "karras", "sigma_min": 0.03, "sigma_max": 14.0}
UNIFORM = {"kind": "uniform-t", "t_min": 0.03, "t_max": 14.0, "name": "by time"}
AYS = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029]


def tables(*grids: Any, schedule: str = "edm", **run: Any) -> dict[str, Any]:
    """The tables of a short study on these grids."""
    given = {"methods": ["ddim", "dpm-solver++-2m"], "steps": [6, 12], "metrics": ["w2"], "points": 101} | run
    given = {key: value for key, value in given.items() if value is not None}
    return {"target": TARGET, "schedule": {"kind": schedule}, "grid": list(grids), "run": given}


def answered(data: dict[str, Any]) -> dict[tuple[str, str, int], dict[str, Any]]:
    """The records of a study by method, grid and steps."""
    return {(r["method"], r["grid"], r["steps"]): r for r in run(parse(data), None)["records"]}


def test_methods_are_crossed_with_grids() -> None:
    """Assert that every method runs on every grid, on a list on its own numbers of steps, with the records that a
    study of that grid alone has, a fit each, and the grids in the manifest.
    """
    lists = {"kind": "list", "sigmas": [AYS, AYS[::2]]}
    data = tables(KARRAS, UNIFORM, lists)
    answer = run(parse(data), None)
    where = [(r["grid"], r["steps"]) for r in answer["records"]]
    spelled = "karras?sigma_min=0.03&sigma_max=14"
    expected = [(spelled, 6), (spelled, 12), ("by time", 6), ("by time", 12), ("list-10-5", 10), ("list-10-5", 5)]
    assert where == 2 * expected
    assert [(fit["method"], fit["grid"]) for fit in answer["fits"]] == [
        (method, name) for method in data["run"]["methods"] for name in (spelled, "by time", "list-10-5")
    ]
    assert answer["manifest"]["grid"] == [KARRAS, UNIFORM, lists]
    alone = run(parse({**data, "grid": KARRAS}), None)
    assert alone["manifest"]["grid"] == KARRAS
    assert alone["records"] == [r for r in answer["records"] if r["grid"] == spelled]
    assert json.loads(json.dumps(answer)) == answer
    only = run(parse(tables(lists, steps=None)), None)
    assert only["records"] == [r for r in answer["records"] if r["grid"] == "list-10-5"]


def test_a_grid_that_the_schedule_does_not_have_is_null() -> None:
    """Assert that on the flow a list up to 14 is null with its reason beside a grid that is not, and refused alone; so
    is a number of steps that a kind does not have.
    """
    high, flow = {"kind": "list", "sigmas": AYS, "name": "high"}, {"kind": "flow", "t_min": 0.01, "t_max": 0.99}
    found = answered(tables(high, flow, "gits", schedule="flow", steps=[1, 3]))
    assert found["ddim", "high", 10]["value"] is None
    assert "sigma = 14.615 is not on flow" in found["ddim", "high", 10]["reason"]
    assert found["ddim", "flow?t_min=0.01&t_max=0.99", 3]["value"] is not None
    assert "at least 2 on gits" in found["ddim", "gits", 1]["reason"]
    with pytest.raises(InputError, match=r"grid\.kind: got 'list'; levels that the schedule has"):
        run(parse(tables(high, schedule="flow", steps=None)), None)


def test_python_takes_grids_kinds_and_spellings() -> None:
    """Assert that a Grid, a spelling and a dictionary are one grid each, with the same values where they are the same,
    and that a Grid of another schedule is refused.
    """
    edm = sp.schedule("edm")
    made = sp.grid(edm, "karras", 6, sigma_min=0.03, sigma_max=14.0)
    given: dict[str, Any] = {
        "target": TARGET,
        "schedule": "edm",
        "methods": ["ddim"],
        "steps": [6],
        "metrics": ["w2"],
        "points": 101,
    }
    spelling = "karras?sigma_min=0.03&sigma_max=14"
    result = sp.study(grid=[made, spelling, {**KARRAS, "name": "mine"}], **given)
    assert [r["grid"] for r in result.records] == ["list-6", spelling, "mine"]
    assert len({r["value"] for r in result.records}) == 1
    assert spelling in str(result)
    with pytest.raises(InputError, match=r"grid\[1\]: got Grid.*a Grid on the schedule of the study"):
        sp.study(grid=[spelling, made], **{**given, "schedule": "ve"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["grid"].append({**KARRAS, "rho": 0.0}), "grid[2].rho: got 0.0; a number from 0.1 to 1000"),
        (lambda data: data["grid"].append({**KARRAS, "rho": "7"}), "grid[2].rho: got '7'; must be a valid number"),
        (lambda data: data["grid"].append({"kind": "flow", "shift": -1}), "grid[2].shift: got -1.0; a number > 0"),
        (lambda data: data["grid"].append({"name": "a"}), "grid[2].kind: got nothing; required"),
        (lambda data: data["grid"].append("karass"), "grid[2].kind: got 'karass'; not a known grid; nearest: karras"),
        (lambda data: data["grid"].append(3), "grid[2]: got 3; must be a table [grid[2]]"),
        (lambda data: data["grid"].append(dict(KARRAS)), "a name of its own: grid[0] has it"),
        (lambda data: data["grid"].append({**KARRAS, "name": ""}), "grid[2].name: got ''"),
        (lambda data: data["grid"].append({**KARRAS, "zeta": 1}), "grid[2].zeta: got 1.0; unknown key of 'karras'"),
        (
            lambda data: data["grid"].append({"kind": "list", "sigmas": [[2.0, 1.0], [3.0, 4.0, 1.0]]}),
            "grid[2].sigmas[1][1]: got 4.0; a finite number >= 0, below the level before, 3.0",
        ),
        (
            lambda data: data["grid"].append({"kind": "list", "sigmas": [[2.0, 1.0], [3.0, 1.0]]}),
            "grid[2].sigmas[1]: got '2 levels'; lists of different lengths",
        ),
        (lambda data: data.update(grid=[]), "grid: got nothing; schedule 'edm' needs a [grid]"),
        (lambda data: data["run"].pop("steps"), "run.steps: got nothing; required"),
    ],
)
def test_bad_grids_among_several_are_one_line(change: Callable[[dict[str, Any]], object], message: str) -> None:
    """Assert that a fault is reported with the number of its grid."""
    data = tables(KARRAS, UNIFORM)
    change(data)
    with pytest.raises(InputError) as refused:
        run(parse(data), None)
    assert message in str(refused.value)


def test_several_grids_in_a_file(tmp_path: Path) -> None:
    """Assert that [[grid]] in TOML is read as several grids, and [grid] as one."""
    head = '[target]\nweights = [1.0]\nmeans = [0.0]\nstds = [1.0]\n[schedule]\nkind = "edm"\n'
    tail = '[run]\nmethods = ["ddim"]\nsteps = [3]\nmetrics = ["w2"]\n'
    one, two = '[grid]\nkind = "ays-sd1"\n', '[[grid]]\nkind = "ays-sd1"\n[[grid]]\nkind = "gits"\nname = "g"\n'
    for text, names in ((one, ["ays-sd1"]), (two, ["ays-sd1", "g"])):
        file = tmp_path / "study.toml"
        file.write_text(head + text + tail, encoding="utf-8")
        assert [choice.called for choice in read(file).grids] == names  # type: ignore[union-attr]


def test_findings_about_grids_stand_in_the_answer() -> None:
    """Assert a list rounded to bfloat16 and a first level that depends on N, by grid and steps, and none on others."""
    low = [float(level) for level in torch.tensor(AYS).to(torch.bfloat16)]
    answer = run(parse(tables({"kind": "list", "sigmas": low, "name": "low"}, "leading?train=100", KARRAS)), None)
    rounded, leading, karras = answer["grids"]
    assert (rounded["name"], rounded["steps"]) == ("low", [10])
    assert [(f["kind"], f["steps"], f["severity"]) for f in rounded["findings"]] == [("grid", 10, "note")]
    assert "rounded to bfloat16" in rounded["findings"][0]["detail"]
    assert "it should not depend on the number of steps" in leading["findings"][-1]["detail"]
    assert karras == {"name": "karras?sigma_min=0.03&sigma_max=14", "steps": [6, 12], "findings": []}
