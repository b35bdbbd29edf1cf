"""Studies of stochastic samplers, and of laws in more than one dimension: which metrics, which values, which seeds."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from stochastic_tables import ddpm, li_accelerated_sde

from samplerproof.names.lookup import Names
from samplerproof.numerics import catalogue
from samplerproof.numerics.errors import InputError, SamplingError
from samplerproof.numerics.grids import Grid
from samplerproof.numerics.laws.affine import gaussian_law
from samplerproof.numerics.laws.gaussian import kl, moments, w2
from samplerproof.numerics.laws.gaussian_tv import tv
from samplerproof.numerics.studies import measure, mixture_problem, samplers
from samplerproof.numerics.studies import run as studies
from samplerproof.numerics.studies.config import parse
from samplerproof.numerics.studies.study_table import study_text
from samplerproof.numerics.tableau import Tableau, tabulate

TABLES: dict[str, Callable[[Grid], Tableau]] = {"by-hand-ddpm": ddpm, "by-hand-sde": li_accelerated_sde}
GAUSSIAN = {"weights": [1.0], "means": [0.7], "stds": [0.5]}
IN_THE_PLANE = {"weights": [1.0], "means": [[0.7, -1.0]], "covariances": [[[0.5, 0.2], [0.2, 0.3]]]}
MIXTURE = {"weights": [0.4, 0.6], "means": [[-1.0, 0.5], [0.8, -0.3]], "stds": [0.5, 0.4]}
ESTIMATED = ["energy", "sliced-w2", "moments"]


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stochastic samplers in the catalogue, with tables of our own."""

    def tabulated(name: str, grid: Grid, start: str = "ramp") -> Tableau:
        if name not in TABLES:
            return tabulate(name, grid, start)
        table = TABLES[name](grid)
        # one of several given vectors: what a record with a history asks for under start = "exact"
        return table if start == "ramp" else replace(table, given=2)

    for name in TABLES:
        record = replace(catalogue.METHODS["ddim"], name=name, aliases=(), stochastic=True)
        monkeypatch.setitem(catalogue.METHODS, name, record)
    monkeypatch.setattr(catalogue, "NAMES", Names(map(catalogue._entry, catalogue.METHODS.values())))
    monkeypatch.setattr(samplers, "tabulate", tabulated)


@pytest.fixture
def study(study_text: str) -> Callable[..., Any]:
    """A study of both samplers on a target."""

    def make(target: dict[str, Any], **run: Any) -> Any:
        data = tomllib.loads(study_text)
        data["target"] = target
        data["run"].update({"methods": list(TABLES), **run})
        if isinstance(target["means"][0], list):
            del data["run"]["points"]
        return parse(data)

    return make


def values(answer: dict[str, Any]) -> dict[tuple[str, int, str], Any]:
    return {(r["method"], r["steps"], r["metric"]): r for r in answer["records"]}


@pytest.mark.parametrize("target", [GAUSSIAN, IN_THE_PLANE], ids=["line", "plane"])
@pytest.mark.parametrize("init", ["exact", "normal"])
def test_on_a_gaussian_laws_are_exact(
    study: Callable[..., Any], tmp_path: Path, target: dict[str, Any], init: str
) -> None:
    """Assert tv, kl and w2 of the affine law, without an interval, in d = 1 and 2, and that no seed matters."""
    run = {"metrics": ["tv", "kl", "w2"], "init": init, "steps": [24, 30]}
    one = study(target, **run)
    ready = mixture_problem.prepare(one)
    got = values(studies.run(one, tmp_path / "a"))
    for name, make in TABLES.items():
        for (_, steps), g in ready.grids.items():
            law = gaussian_law(make(g), ready.mixture, ready.start_law(g.point(0)))
            goal = moments(ready.mixture, g.point(steps))
            for metric, distance in (("tv", tv), ("kl", kl), ("w2", w2)):
                assert got[name, steps, metric]["value"] == distance(goal, law)
                assert "floor" not in got[name, steps, metric]
    other = values(studies.run(study(target, **run, seed=5), tmp_path / "b"))
    assert got == other


def test_the_accelerated_sde_shows_its_order(study: Callable[..., Any], tmp_path: Path) -> None:
    answer = studies.run(study(GAUSSIAN, methods=["by-hand-sde"], metrics=["tv"], steps=[99, 199, 399]), tmp_path)
    assert answer["fits"][0]["exponent"] == pytest.approx(2, abs=0.02)


def test_deterministic_samplers_have_the_same_law_by_both_routes(study: Callable[..., Any], tmp_path: Path) -> None:
    """Assert that in d = 1 the pushed quadrature nodes give what the affine law gives in a plane of two such axes."""
    line = values(studies.run(study(GAUSSIAN, methods=["ddim"], metrics=["kl", "w2"], points=3001), tmp_path / "line"))
    twice = {"weights": [1.0], "means": [[0.7, 0.7]], "stds": [0.5]}
    plane = values(studies.run(study(twice, methods=["ddim"], metrics=["kl", "w2"]), tmp_path / "plane"))
    for key, record in line.items():
        factor = 2 if key[2] == "kl" else 2**0.5
        assert plane[key]["value"] == pytest.approx(factor * record["value"], rel=1e-6)


@pytest.mark.slow
def test_estimates_of_coupled_samples_have_no_floor(study: Callable[..., Any], tmp_path: Path) -> None:
    """Assert that a deterministic sampler shows its order at errors far below those that separate samples show."""
    one = study(MIXTURE, methods=["by-hand-ddpm", "ddim"], metrics=[*ESTIMATED], steps=[8, 16, 80], samples=500)
    answer = studies.run(one, tmp_path)
    got = values(answer)
    for (method, steps, metric), record in got.items():
        assert record["low"] <= record["value"] <= record["high"]
        assert record["floor"] is None
        assert (record["needed"] is None) == (record["low"] > 0)
        assert record["low"] > 0 or (method, steps) == ("by-hand-ddpm", 80), (method, metric)
    for metric, order in zip(ESTIMATED, (2, 1, 1), strict=True):
        fall = got["ddim", 16, metric]["value"] / got["ddim", 80, metric]["value"]
        assert fall == pytest.approx((80 / 16) ** order, rel=0.3 * order)
    assert json.loads((tmp_path / "records.json").read_text()) == answer


def test_without_a_flow_samples_are_independent(
    study: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert that the estimates then have the floor of exact samples, one for all samplers."""

    def stiff(*arguments: Any) -> torch.Tensor:
        raise SamplingError("the reference takes more than 20000 evaluations")

    monkeypatch.setattr(measure, "exact_samples", stiff)
    monkeypatch.setattr(measure, "flow_to", stiff)
    one = study(MIXTURE, methods=["by-hand-ddpm", "ddim"], metrics=[*ESTIMATED], steps=[4, 300], samples=500)
    answer = studies.run(one, tmp_path)
    for (method, steps, metric), record in values(answer).items():
        assert record["low"] <= record["value"] <= record["high"]
        if steps == 4:
            assert record["value"] > record["floor"], (method, metric)
            assert record["low"] > 0
        if steps == 300:
            assert record["value"] < 1.5 * record["floor"], (method, metric)
            assert record["needed"] > 500 or record["low"] > 0
    floors = {metric: {r["floor"] for r in answer["records"] if r["metric"] == metric} for metric in ESTIMATED}
    assert all(len(found) == 1 for found in floors.values())


def test_the_seed_decides_noise_and_samples(study: Callable[..., Any], tmp_path: Path) -> None:
    """Assert the same values in another folder, and others with another seed."""

    def answered(seed: int, folder: str) -> dict[tuple[str, int, str], Any]:
        one = study(MIXTURE, metrics=ESTIMATED, steps=[10], samples=200, seed=seed)
        return values(studies.run(one, tmp_path / folder))

    one, same, other = answered(1, "a"), answered(1, "b"), answered(2, "c")
    assert one == same
    assert all(one[key]["value"] != other[key]["value"] for key in one)


def test_noise_start_and_target_are_independent(study: Callable[..., Any]) -> None:
    """Assert that no stream of a study repeats another: starts, noise, the target's samples and the floor's."""
    ready = mixture_problem.prepare(study(MIXTURE, metrics=["energy"], samples=4000, steps=[3]))
    measurement, at = measure.Measurement(ready), ready.grids[ready.on(3)].point(0)
    start = measure.start_samples(ready, at)
    drawn = measure.noise.seeded(measurement._seed("noise"))(torch.empty_like(start), 0)
    columns = torch.cat([start, drawn, measurement._exact("target", at), measurement._exact("floor", at)], dim=1)
    correlation = columns.T.corrcoef() - torch.eye(8)
    for i in range(4):
        correlation[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = 0
    assert float(correlation.abs().max()) < 5 / 4000**0.5


def test_an_interrupted_study_goes_on_with_its_estimates(
    study: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert that what was finished is not computed again, with interval and floor, and that the rest is the same."""
    one = study(MIXTURE, metrics=[*ESTIMATED], steps=[5, 10], samples=200)
    whole, original, runs = studies.run(one, tmp_path / "whole"), measure.sample, []

    def interrupted(*arguments: Any, **noise: Any) -> torch.Tensor:
        if len(runs) == 3:
            raise KeyboardInterrupt
        runs.append(1)
        return original(*arguments, **noise)

    monkeypatch.setattr(measure, "sample", interrupted)
    with pytest.raises(KeyboardInterrupt):
        studies.run(one, tmp_path / "broken")
    monkeypatch.setattr(measure, "sample", original)
    again = studies.run(one, tmp_path / "broken")
    assert (again["manifest"]["reused"], again["manifest"]["computed"]) == (9, 3)
    assert again["records"] == whole["records"]
    assert studies.run(one, tmp_path / "broken")["records"] == whole["records"]


def test_a_run_that_diverges_has_no_estimate(
    study: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflowing(*arguments: Any, **noise: Any) -> torch.Tensor:
        raise SamplingError("step 3 (t = 0.5): the denoiser returned a non-finite value")

    monkeypatch.setattr(measure, "sample", overflowing)
    for record in studies.run(study(MIXTURE, metrics=ESTIMATED, steps=[5]), tmp_path)["records"]:
        assert {record[key] for key in ("value", "low", "high", "floor")} == {None}


def test_a_law_that_overflows_is_null(
    study: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert that finite but huge laws still have an answer, and infinite ones none."""
    for factor, null in ((1e3, False), (1e30, True)):
        monkeypatch.setitem(
            TABLES, "by-hand-ddpm", lambda g, factor=factor: replace(ddpm(g), states=ddpm(g).states * factor)
        )
        one = study(IN_THE_PLANE, methods=["by-hand-ddpm"], metrics=["tv", "kl", "w2"], steps=[24])
        records = studies.run(one, tmp_path / str(factor))["records"]
        assert [record["value"] is None for record in records] == [null] * 3
        assert null or records[0]["value"] == 1.0


@pytest.mark.parametrize(
    ("target", "run", "said"),
    [
        (MIXTURE, {"metrics": ["trajectory", "tv"]}, "run.metrics[0]: got 'trajectory'; 'by-hand-ddpm' is stochastic"),
        (GAUSSIAN, {"metrics": ["trajectory"]}, "follows no flow; allowed: tv, kl, w2"),
        (MIXTURE, {"metrics": ["tv"]}, "run.metrics[0]: got 'tv'; 'by-hand-ddpm' is stochastic and has no"),
        (MIXTURE, {"metrics": ["w2"]}, "run.metrics[0]: got 'w2'; in d = 2 allowed: trajectory, tv, kl, energy"),
        (GAUSSIAN, {"metrics": ["tv", "energy"]}, "run.metrics[1]: got 'energy'; in d = 1 allowed: tv, kl, w2, traj"),
        (MIXTURE, {"metrics": ["energy"], "samples": 99}, "run.samples: got 99; at least 100"),
        (MIXTURE, {"metrics": ["energy"], "start": "exact"}, "run.start: got 'exact'; 'by-hand-ddpm' is stochastic"),
    ],
)
def test_what_there_is_no_answer_to_is_refused(
    study: Callable[..., Any], target: dict[str, Any], run: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError) as refused:
        mixture_problem.prepare(study(target, **run))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_deterministic_samplers_keep_their_trajectories(study: Callable[..., Any], tmp_path: Path) -> None:
    """Assert all metrics of a deterministic sampler on a Gaussian in the plane at once, each in its own way."""
    metrics = ["trajectory", "tv", "kl", "w2", *ESTIMATED]
    answer = studies.run(study(IN_THE_PLANE, methods=["ddim"], metrics=metrics, steps=[24, 99], samples=400), tmp_path)
    assert [r["metric"] for r in answer["records"]] == metrics * 2
    for record in answer["records"]:
        assert ("floor" in record) == (record["metric"] in ESTIMATED)
        assert record["value"] is not None
    got = values(answer)
    assert got["ddim", 99, "trajectory"]["value"] == pytest.approx(got["ddim", 99, "w2"]["value"], rel=0.2)


@pytest.mark.parametrize("target", [GAUSSIAN, pytest.param(MIXTURE, marks=pytest.mark.slow)], ids=["line", "plane"])
def test_a_method_that_lacks_a_metric_has_a_reason(
    study: Callable[..., Any], tmp_path: Path, target: dict[str, Any]
) -> None:
    """Assert a null with its reason for the trajectory of a stochastic sampler, in records, fits and tables, beside the
    values of a deterministic one.
    """
    other = "tv" if target is GAUSSIAN else "energy"
    asked = study(target, methods=["by-hand-ddpm", "ddim"], metrics=["trajectory", other], steps=[10, 20, 40])
    answer = studies.run(asked, tmp_path)
    missing = [(r["method"], r["metric"]) for r in answer["records"] if r["value"] is None]
    assert missing == [("by-hand-ddpm", "trajectory")] * 3
    why = "is stochastic and follows no flow"
    (undefined,) = (f for f in answer["fits"] if why in (f["reason"] or ""))
    assert undefined["status"] == "undefined"
    assert why in (tmp_path / "exponents.csv").read_text()
    assert (tmp_path / "table.csv").read_text().count(why) == 3
    assert why in study_text(answer)
