"""Whatever a user gets wrong: one clear line that names the field, exit code 2, and nothing half-written."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import pytest


@pytest.fixture
def study(in_process: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str, str]]:
    """Run `samplerproof study …` in an empty folder."""
    return partial(in_process, "study")


def refused(answer: tuple[int, str, str], *said: str) -> None:
    code, out, err = answer
    assert code == 2
    assert out == ""
    assert err.startswith("samplerproof: ")
    assert err.count("\n") == 1, err
    for words in said:
        assert words in err


FAULTS = {
    # the target
    "weights that do not sum to 1": ("[0.35, 0.65]", "[0.35, 0.66]", "target.weights", "sum to 1"),
    "a negative weight": ("[0.35, 0.65]", "[-0.35, 1.35]", "target.weights", "negative"),
    "as many means as weights": ("[-1.2, 0.9]", "[-1.2, 0.9, 3.0]", "target.means", "K = 2"),
    "a negative std": ("[0.5, 0.35]", "[0.5, -0.35]", "target.stds", "negative"),
    "a std that is not a number": ("[0.5, 0.35]", "[0.5, nan]", "target.stds", "finite"),
    "words for numbers": ("[0.5, 0.35]", '["a", "b"]', "target.stds", "numbers"),
    "no spread at all": ("stds = [0.5, 0.35]", "", "target.stds", "exactly one"),
    "an indefinite covariance": (
        "means = [-1.2, 0.9]\nstds = [0.5, 0.35]",
        "means = [[0, 0], [1, 1]]\ncovariances = [[[1, 2], [2, 1]], [[1, 0], [0, 1]]]",
        "target.covariances",
        "positive semi-definite",
    ),
    "a network": ("stds = [0.5, 0.35]", 'checkpoint = "here"', "target.weights", "stands alone"),
    # the schedule
    "an unknown schedule": ('"vp-linear"', '"vp-liner"', "schedule.kind: got 'vp-liner'", "vp-linear"),
    "a number for a schedule": ('"vp-linear"', "3", "schedule.kind: got 3; must be a valid string"),
    "a number for a method": ('["li-ddim", ', "[3, ", "run.methods[0]: got 3; the name of a method"),
    "a parameter of another schedule": ("beta_min", "beta_mim", "schedule.beta_mim", "beta_min"),
    "a bad parameter": ("beta_min = 0.1", "beta_min = -1", "schedule.beta_min: got -1", "> 0"),
    "a schedule that brings its grid": (
        'kind = "vp-linear"\nbeta_min = 0.1\nbeta_max = 20.0',
        'kind = "li"\nc0 = 1\nc1 = 7',
        "grid",
        "own grid",
    ),
    # the grid
    "an unknown grid": ('"uniform-t"', '"uniform"', "grid.kind: got 'uniform'", "uniform-t"),
    "a key of another grid": ("t_max = 1.0", "t_max = 1.0\nrho = 7", "grid.rho: got 7", "t_max, t_min"),
    "an argument of ours": ("t_max = 1.0", "t_max = 1.0\nsteps = 7", "grid.steps: got 7", "t_max, t_min"),
    "a grid end left out": ("t_max = 1.0", "", "grid.t_max", "number"),
    "t outside the schedule": ("t_min = 1e-3", "t_min = -0.1", "grid.t_min: got -0.1", "vp-linear"),
    "t backwards": ("t_min = 1e-3", "t_min = 1.0", "grid.t_min", "below t_max"),
    "karras ends the wrong way round": (
        'kind = "uniform-t"\nt_min = 1e-3\nt_max = 1.0',
        'kind = "karras"\nsigma_min = 10\nsigma_max = 0.01\nrho = 7',
        "grid.sigma_min",
        "below sigma_max",
    ),
    # the run
    "an unknown method": ('"li-ddim"', '"li-dim"', "run.methods[0]: got 'li-dim'", "li-ddim"),
    "eta above 1": ('"li-ddim"', '"ddim-eta?eta=1.5"', "run.methods[0]: got 'ddim-eta?eta=1.5'", "0 <= eta <= 1"),
    "a negative tau": ('"li-ddim"', '"sa-solver-2?tau=-1"', "run.methods[0]: got 'sa-solver-2?tau=-1'", "0 <= tau"),
    "a negative churn": ('"li-ddim"', '"edm-churn?churn=-4"', "run.methods[0]: got 'edm-churn?churn=-4'", "0 <= churn"),
    "a parameter of another sampler": (
        '"li-ddim"',
        '"ddpm?eta=1"',
        "run.methods[0]: got 'ddpm?eta=1'",
        "no parameters",
    ),
    "one table under two names": ('"li-ddim"', '"ddim", "edm-euler"', "run.methods[1]", "ddim"),
    "zero steps": ("[24, 49, 99]", "[0, 49]", "run.steps[0]: got 0", "1"),
    "half a step": ("[24, 49, 99]", "[24.5]", "run.steps[0]: got 24.5", "integer"),
    "no steps": ("[24, 49, 99]", "[]", "run.steps", "at least one"),
    "steps twice": ("[24, 49, 99]", "[24, 24]", "run.steps", "24 is listed twice"),
    "an unknown metric": ('"tv", "kl"', '"tv", "fid"', "run.metrics[1]: got 'fid'", "trajectory"),
    "an unknown start law": ('init = "exact"', 'init = "exakt"', "run.init: got 'exakt'", "'normal'"),
    "an unknown start": ('start = "ramp"', 'start = "cold"', "run.start: got 'cold'", "'ramp'"),
    "too few points": ("points = 1001", "points = 100", "run.points: got 100", "101"),
    "an unknown key": ("seed = 0", "sead = 0", "run.sead: got 0", "seed"),
    "an unknown table": ("[run]", "[runs]\n[run]", "runs", "run"),
    # the file
    "a missing key": ("steps = [24, 49, 99]", "", "run.steps: got nothing", "required"),
    "broken TOML": ("weights = [", "weights = = [", "m1.toml", "line 3"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_the_study_file_is_one_line(name, study, study_file, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Assert that every fault is named with its field before anything is made."""
    old, new, *said = FAULTS[name]
    refused(study(study_file((old, new))), *said)
    assert list((tmp_path / "here").iterdir()) == []


def test_more_history_than_steps_is_refused_before_anything_runs(study, study_file, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Assert that a study is refused if no run of it can be made; otherwise that run is null with its reason."""
    changes = ('"li-ddim", "li-accelerated-ode"', '"exp-adams-4"'), ("[24, 49, 99]", "[3]")
    refused(study(study_file(*changes)), "run.steps: got 3", "exp-adams-4")
    assert list((tmp_path / "here").iterdir()) == []
    file = study_file(('"li-accelerated-ode"', '"exp-adams-4"'), ("[24, 49, 99]", "[3]"), ("1001", "101"))
    code, out, err = study(file, "--json")
    assert (code, err) == (0, "")
    for record in json.loads(out)["records"]:
        null = record["method"] == "exp-adams-4"
        assert (record["value"] is None) == (record["error"] is None) == ("reason" in record) == null
        assert not null or record["reason"].startswith("run.steps: got 3")
    _, out, _ = study(file)
    assert out.count("run.steps: got 3") == 1  # once for four metrics
    assert "no value of exp-adams-4 (tv), N = 3, exp-adams-4 (kl), N = 3, " in out


def test_metrics_of_a_law_are_refused_in_two_dimensions(study, study_file) -> None:  # type: ignore[no-untyped-def]
    """Assert that what is allowed is said."""
    file = study_file(("means = [-1.2, 0.9]", "means = [[0, 0], [1, 1]]"))
    refused(study(file), "run.metrics[2]: got 'w2'", "trajectory")


def test_li_needs_its_parameters(study, study_file) -> None:  # type: ignore[no-untyped-def]
    """Assert that a missing, an unknown and an impossible parameter are named."""
    old = 'kind = "vp-linear"\nbeta_min = 0.1\nbeta_max = 20.0'
    grid = '[grid]\nkind = "uniform-t"\nt_min = 1e-3\nt_max = 1.0\n'
    for parameters, said in (
        ("c0 = 1.0", "schedule.c1: got nothing"),
        ("c0 = 1.0\nc1 = 7.0\nc2 = 1", "schedule.c2: got 1"),
        ("c0 = -1.0\nc1 = 7.0", "schedule.c0: got -1.0"),
    ):
        refused(study(study_file((old, f'kind = "li"\n{parameters}'), (grid, ""))), said)
    refused(
        study(study_file((old, 'kind = "li"\nc0 = 1\nc1 = 7'), (grid, ""), ("[24,", "[9, 24,"))), "run.steps: got 9"
    )


def reasons(answer: tuple[int, str, str]) -> dict[tuple[str, int], str | None]:
    """Why a value is null, by method and steps; None where there is a value."""
    code, out, err = answer
    assert (code, err) == (0, "")
    records = json.loads(out)["records"]
    assert all(("reason" in r) == (r["value"] is None) for r in records)
    return {(r["method"], r["steps"]): r.get("reason") for r in records}


def test_a_velocity_is_null_and_refused_where_there_are_no_derivatives(study, study_file) -> None:  # type: ignore[no-untyped-def]
    """Assert that flow-euler has no value on a discrete schedule, and that the file is refused if all is flow-euler."""
    old = 'kind = "vp-linear"\nbeta_min = 0.1\nbeta_max = 20.0'
    grid = '[grid]\nkind = "uniform-t"\nt_min = 1e-3\nt_max = 1.0\n'
    on_li, both = ((old, 'kind = "li"\nc0 = 1\nc1 = 7'), (grid, "")), '"li-ddim", "li-accelerated-ode"'
    said = "run.methods[{}]: got 'flow-euler'"
    refused(study(study_file(*on_li, (both, '"flow-euler"'))), said.format(0), "velocity")
    found = reasons(study(study_file(*on_li, (both, '"ddim", "flow-euler"'), ("[24, 49, 99]", "[24]")), "--json"))
    assert (found["flow-euler", 24] or "").startswith(said.format(1))
    assert found["ddim", 24] is None


def test_a_study_file_that_is_not_there(study) -> None:  # type: ignore[no-untyped-def]
    """Assert that the path is in the line."""
    refused(study("nowhere.toml"), "nowhere.toml", "No such file")


def test_a_folder_that_cannot_be_written(study, study_file, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Assert that the folder is tried before anything is computed."""
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    refused(study(study_file(), "--out", tmp_path / "file" / "results"), "--out", "Not a directory")
    refused(study(study_file(), "--out", tmp_path / "file"), "--out", "File exists")


def test_a_foreign_records_file_is_left_alone(study, study_file, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Assert that nothing is written beside it either."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "records.sqlite").write_text("my own notes, by chance of that name\n", encoding="utf-8")
    refused(study(study_file(), "--out", out), "records.sqlite", "not an SQLite file")
    assert [path.name for path in out.iterdir()] == ["records.sqlite"]
    assert (out / "records.sqlite").read_text(encoding="utf-8").startswith("my own notes")


def test_a_target_without_a_density_at_the_end_of_the_grid(study, study_file) -> None:  # type: ignore[no-untyped-def]
    """Assert that a point mass is refused where no noise is left on it, and only there."""
    changes = (
        ('kind = "vp-linear"\nbeta_min = 0.1\nbeta_max = 20.0', 'kind = "flow"'),
        ("stds = [0.5, 0.35]", "stds = [0.0, 0.35]"),
        ('"li-ddim", "li-accelerated-ode"', '"ddim"'),
        ("t_min = 1e-3", "t_min = 0.0"),
    )
    refused(study(study_file(*changes)), "target, at (alpha, sigma)", "(1.0, 0.0)", "positive")
