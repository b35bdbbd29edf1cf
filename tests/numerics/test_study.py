"""A study from file to answer: what it computes, what it keeps, what it does not compute twice."""

from __future__ import annotations

import json
import math
import signal
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from shapes import first_of_each

from samplerproof.numerics.errors import SamplingError
from samplerproof.numerics.grids import Grid
from samplerproof.numerics.studies import measure, study_records
from samplerproof.numerics.studies import run as studies
from samplerproof.numerics.studies.config import parse
from samplerproof.numerics.studies.store import FILE, Value, opened
from samplerproof.numerics.tableau import Tableau


def study(text: str, **run: Any) -> Any:
    data = tomllib.loads(text)
    data["run"].update(run)
    return parse(data)


def values(answer: dict[str, Any]) -> dict[tuple[str, int, str], float]:
    return {(r["method"], r["steps"], r["metric"]): r["value"] for r in answer["records"]}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods of every run from here on."""
    runs: list[str] = []
    original = measure.Measurement.measure

    def counting(self: measure.Measurement, tableau: Tableau, *arguments: Any) -> Any:
        runs.append(tableau.method)
        return original(self, tableau, *arguments)

    monkeypatch.setattr(measure.Measurement, "measure", counting)
    return runs


def test_records_follow_the_file_and_one_run_serves_all_metrics(
    study_text: str, tmp_path: Path, counted: list[str]
) -> None:
    """Assert the order method, steps, metric; the cost of each run; and one run a method and number of steps."""
    answer = studies.run(study(study_text), tmp_path / "out")
    expected = [
        (method, steps, metric)
        for method in ("li-ddim", "li-accelerated-ode")
        for steps in (24, 49, 99)
        for metric in ("tv", "kl", "w2", "trajectory")
    ]
    assert [(r["method"], r["steps"], r["metric"]) for r in answer["records"]] == expected
    assert counted == ["li-ddim", "li-accelerated-ode"] * 3  # a grid after the other
    # Li et al.'s accelerated sampler evaluates twice a step, but once in its plain first step.
    assert {(r["method"], r["steps"], r["nfe"]) for r in answer["records"]} == {
        *((("li-ddim", n, n)) for n in (24, 49, 99)),
        *((("li-accelerated-ode", n, 2 * n - 1)) for n in (24, 49, 99)),
    }
    assert json.loads((tmp_path / "out" / "records.json").read_text()) == answer
    assert (tmp_path / "out" / "exponents.csv").read_text().count("\n") == 1 + 8
    files = ["exponents.csv", "records.json", FILE, "table.csv", "table.md"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == files


def test_values_are_those_of_the_reference(study_text: str, tmp_path: Path) -> None:
    """Assert total variation on M1 at fixed time, T = N + 1 = 25 and 100 levels (reference values, 4 digits)."""
    got = values(studies.run(study(study_text, steps=[24, 99], metrics=["tv"], points=6001), tmp_path))
    assert got["li-ddim", 24, "tv"] == pytest.approx(0.3311, abs=6e-5)
    assert got["li-ddim", 99, "tv"] == pytest.approx(0.08349, abs=6e-6)
    assert got["li-accelerated-ode", 24, "tv"] == pytest.approx(0.02789, abs=6e-6)
    assert got["li-accelerated-ode", 99, "tv"] == pytest.approx(0.002414, abs=6e-7)


def test_a_second_run_computes_nothing_and_answers_the_same(
    study_text: str, tmp_path: Path, counted: list[str]
) -> None:
    """Assert that records are found again, to the last bit."""
    first = studies.run(study(study_text), tmp_path)
    counted.clear()
    second = studies.run(study(study_text), tmp_path)
    assert counted == []
    assert second["records"] == first["records"]
    assert second["fits"] == first["fits"]
    assert (second["manifest"]["computed"], second["manifest"]["reused"]) == (0, 24)


@pytest.mark.parametrize(
    ("change", "runs"),
    first_of_each(
        [
            ({"metrics": ["kl"]}, 0),
            ({"methods": ["li-ddim"]}, 0),
            ({"steps": [24, 49, 99, 120]}, 2),
            ({"points": 1003}, 6),
            ({"init": "normal"}, 6),
            ({"start": "exact"}, 6),
        ],
        lambda case: case[1],
    ),
    ids=str,
)
def test_only_what_is_new_is_computed(
    study_text: str, tmp_path: Path, counted: list[str], change: dict[str, Any], runs: int
) -> None:
    """Assert that a record is used again exactly when all that determines it is the same."""
    studies.run(study(study_text), tmp_path)
    counted.clear()
    studies.run(study(study_text, **change), tmp_path)
    assert len(counted) == runs


def test_another_source_means_other_records(
    study_text: str, tmp_path: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert that numbers made by code that has changed since are not shown as its own."""
    one = study(study_text, steps=[24], methods=["li-ddim"])
    studies.run(one, tmp_path)
    monkeypatch.setattr(study_records, "fingerprint", lambda *_: "another source")
    studies.run(one, tmp_path)
    assert len(counted) == 2


def test_another_grid_under_the_same_name_means_other_records(
    study_text: str, tmp_path: Path, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert that the points are part of the key, as a kind that names a scheduler does not determine them."""
    one, other = (Grid.from_sigmas([10.0, level, 0.1]) for level in (1.0, 1.0 + 2**-52))
    assert study_records.digest(one.points) != study_records.digest(other.points)
    assert study_records.digest(one.points) == study_records.digest(Grid.from_sigmas([10.0, 1.0, 0.1]).points)
    asked = study(study_text, steps=[24], methods=["li-ddim"])
    studies.run(asked, tmp_path)
    monkeypatch.setattr(study_records, "digest", lambda points: "other points")
    studies.run(asked, tmp_path)
    assert len(counted) == 2


def test_an_alias_is_the_same_record_under_the_name_of_the_file(
    study_text: str, tmp_path: Path, counted: list[str]
) -> None:
    """Assert that records are kept by table and reported by the name that was asked for."""
    studies.run(study(study_text, methods=["ddim"]), tmp_path)
    counted.clear()
    answer = studies.run(study(study_text, methods=["edm-euler"]), tmp_path)
    assert counted == []
    assert {r["method"] for r in answer["records"]} == {f["method"] for f in answer["fits"]} == {"edm-euler"}


@pytest.mark.parametrize("honest", [True, False])
def test_a_new_value_must_agree_with_a_reused_one(study_text: str, tmp_path: Path, honest: bool) -> None:
    """Assert Pinsker's tv^2 <= kl / 2 between a tv of the store and a new kl; where it fails neither is given."""
    studies.run(study(study_text, methods=["ddim"], steps=[24], metrics=["tv"]), tmp_path)
    if not honest:
        with opened(tmp_path) as store:
            (text,) = store._connection.execute("SELECT spec FROM records").fetchone()
            store.put([(json.loads(text), Value(24, 0.9, error=1e-6))])
    both = study(study_text, methods=["ddim"], steps=[24], metrics=["tv", "kl"])
    first, again = studies.run(both, tmp_path), studies.run(both, tmp_path)
    assert first["records"] == again["records"]
    for record in first["records"]:
        assert (record["value"] is not None) == honest
        assert honest or "tv^2 <= kl / 2" in record["reason"]
    assert (first["manifest"]["reused"], again["manifest"]["reused"]) == (1, 2)


KILLED = """
import os, signal
from samplerproof.cli.main import run
from samplerproof.numerics.studies.store import Store

put, puts = Store.put, []

def counted(store, finished):
    puts.append(finished)
    if len(puts) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    put(store, finished)

Store.put = counted
run()
"""


@pytest.mark.slow
def test_kill_in_the_middle_loses_only_the_runs_in_work(study_file: Any, tmp_path: Path) -> None:
    """Assert that after kill -9 the finished records are all used, and the answer is that of an undisturbed run."""
    file = study_file(("points = 1001", "points = 501"))
    out = tmp_path / "killed"
    done = subprocess.run([sys.executable, "-c", KILLED, "study", str(file), "--out", str(out)])
    assert done.returncode == -signal.SIGKILL
    assert rows(out / FILE) == 2 * 2 * 4, "the two runs on a grid and their four metrics are kept together"
    assert not (out / "records.json").exists()

    whole = tomllib.loads(file.read_text())
    again = studies.run(parse(whole), out)
    assert (again["manifest"]["reused"], again["manifest"]["computed"]) == (16, 8)
    assert again["records"] == studies.run(parse(whole), tmp_path / "undisturbed")["records"]


def rows(path: Path) -> int:
    """Records in a store, seen from outside; 0 while there is none."""
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            (count,) = connection.execute("SELECT COUNT(*) FROM records").fetchone()
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return 0
    return int(count)


def test_exponents_need_three_points(study_text: str, tmp_path: Path) -> None:
    """Assert null below three points, and numbers with their window from three on."""
    for fit in studies.run(study(study_text, steps=[24, 49]), tmp_path)["fits"]:
        assert (fit["exponent"], fit["stderr"], fit["window"]) == (None, None, None)
    for fit in studies.run(study(study_text, metrics=["tv"]), tmp_path)["fits"]:
        low, high = fit["window"]
        assert 24 <= low < high <= 99
        assert fit["exponent"] == pytest.approx(1 if fit["method"] == "li-ddim" else 2, abs=0.4)


def test_a_run_that_diverges_is_null(study_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that one sampler's overflow is its own record's null, kept like any other, and JSON stays valid."""
    original = measure.sample

    def overflowing(denoise: Any, start: Any, tableau: Any) -> torch.Tensor:
        if tableau.method == "li-ddim":
            raise SamplingError("step 3 (t = 0.5): the denoiser returned a non-finite value")
        return original(denoise, start, tableau)

    monkeypatch.setattr(measure, "sample", overflowing)
    answer = studies.run(study(study_text), tmp_path)
    for record in answer["records"]:
        assert (record["value"] is None) == (record["method"] == "li-ddim")
    assert [fit["exponent"] is None for fit in answer["fits"]] == [True] * 4 + [False] * 4
    monkeypatch.undo()
    assert studies.run(study(study_text), tmp_path)["manifest"]["computed"] == 0


LI = {"kind": "li", "c0": 1.0, "c1": 7.0}


def test_on_the_schedule_of_li_et_al_the_logarithm_is_divided_out(study_text: str, tmp_path: Path) -> None:
    """Assert that both exponents are given, with the power of log N that theory fixes."""
    data = tomllib.loads(study_text)
    del data["grid"]
    data["schedule"] = LI
    data["run"].update(steps=[199, 399, 799], metrics=["tv", "kl"], points=1001)
    fits = studies.run(parse(data), tmp_path)["fits"]
    assert [fit["log_power"] for fit in fits] == [2, 4, 3, 6]
    for fit, order in zip(fits, (1, 2, 2, 4), strict=True):
        assert fit["exponent"] < fit["compensated_exponent"]
        assert fit["compensated_exponent"] == pytest.approx(order, abs=0.15 * order)


def test_exact_start_values_show_the_nominal_order(study_text: str, tmp_path: Path) -> None:
    """Assert that exp-adams-3 gains an order when its first states are exact: more than the ramp leaves it."""
    exponents = {}
    for start in ("ramp", "exact"):
        data = tomllib.loads(study_text)
        data["grid"]["kind"] = "uniform-lambda"
        data["run"].update(methods=["exp-adams-3"], steps=[160, 320, 640], metrics=["trajectory"], start=start)
        (fit,) = studies.run(parse(data), tmp_path)["fits"]
        exponents[start] = fit["exponent"]
    assert exponents["exact"] == pytest.approx(3, abs=0.15)
    assert exponents["exact"] != exponents["ramp"]


def in_the_plane(text: str, **run: Any) -> Any:
    data = tomllib.loads(text)
    data["target"] = {
        "weights": [0.4, 0.6],
        "means": [[-1.0, 0.5], [0.8, -0.3]],
        "covariances": [[[0.3, 0.1], [0.1, 0.2]], [[0.25, -0.05], [-0.05, 0.4]]],
    }
    del data["run"]["points"]
    data["run"].update(methods=["ddim", "dpm-solver++-2m"], metrics=["trajectory"], samples=64, **run)
    return parse(data)


def test_in_the_plane_the_reference_is_computed_once(
    study_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert orders 1 and 2 in trajectory error, from one reference flow for all methods and steps."""
    calls = []
    original = measure.flow_to

    def counting(*arguments: Any) -> Any:
        calls.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(measure, "flow_to", counting)
    answer = studies.run(in_the_plane(study_text, steps=[80, 160, 320]), tmp_path)
    assert len(calls) == 1
    for fit, order in zip(answer["fits"], (1, 2), strict=True):
        assert fit["exponent"] == pytest.approx(order, abs=0.25)


def test_the_seed_decides_the_samples(study_text: str, tmp_path: Path) -> None:
    """Assert that a seed gives the same values in another folder, and another seed others."""
    one = values(studies.run(in_the_plane(study_text, steps=[20], seed=1), tmp_path / "a"))
    same = values(studies.run(in_the_plane(study_text, steps=[20], seed=1), tmp_path / "b"))
    other = values(studies.run(in_the_plane(study_text, steps=[20], seed=2), tmp_path / "a"))
    assert one == same
    assert all(one[key] != other[key] for key in one)


def test_a_normal_start_stalls_at_its_mismatch(study_text: str, tmp_path: Path) -> None:
    """Assert that TV tends to that of N(0, 1) and the exact start law (4.3e-4 on M1), while trajectories converge."""
    got = values(
        studies.run(
            study(study_text, init="normal", steps=[200, 1600], methods=["li-accelerated-ode"], points=1001), tmp_path
        )
    )
    assert got["li-accelerated-ode", 1600, "tv"] == pytest.approx(4.3e-4, rel=0.05)
    assert got["li-accelerated-ode", 1600, "trajectory"] < got["li-accelerated-ode", 200, "trajectory"] / 40


def test_the_manifest_tells_where_numbers_come_from(study_text: str, tmp_path: Path) -> None:
    """Assert versions, machine, source and the study itself, with defaults filled in."""
    manifest = studies.run(study(study_text, steps=[24], seed=7), tmp_path)["manifest"]
    assert {"python", "torch", "numpy", "scipy", "samplerproof"} <= set(manifest["versions"])
    assert {"platform", "cpus", "commit", "dirty", "fingerprint", "started", "seconds"} <= set(manifest)
    assert manifest["seed"] == 7
    assert manifest["target"]["means"] == [-1.2, 0.9]
    assert manifest["run"]["points"] == 1001
    assert math.isfinite(manifest["seconds"])
