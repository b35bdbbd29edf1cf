"""Studies of networks: the same records as for mixtures, whatever is computed at a time, and honest refusals."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import torch

from samplerproof.numerics.checkpoints.load import OWN_CHECKPOINTS
from samplerproof.numerics.errors import InputError, SamplingError
from samplerproof.numerics.rates import local_exponents
from samplerproof.numerics.studies import network_problem
from samplerproof.numerics.studies.config import parse_network, read
from samplerproof.numerics.studies.network_problem import NetworkMeasurement, prepare_network
from samplerproof.numerics.studies.run import run

CPU = torch.device("cpu")


def study(checkpoint="rings", schedule=None, grid=None, target=None, **more):
    data = {
        "target": {"checkpoint": str(checkpoint), **(target or {})},
        "schedule": schedule or {"kind": "vp-linear", "beta_min": 0.1, "beta_max": 20.0},
        "grid": grid or {"kind": "uniform-lambda", "t_min": 0.1, "t_max": 0.5},
        "run": {
            "methods": ["ddim", "dpm-solver++-2m"],
            "steps": [4, 8],
            "metrics": ["trajectory"],
            "points": 6,
            **more,
        },
    }
    if data["schedule"]["kind"] == "li":
        del data["grid"]
    return parse_network(data)


def values(answer):
    return [r["value"] for r in answer["records"]]


def measured_at(steps, measurement, sampler=None):
    """A sampler of the problem, by default its first one, run with that many steps."""
    problem = measurement.problem
    table = problem.tableau(sampler or problem.samplers[0], problem.on(steps))
    return measurement.measure(table, problem.grids[problem.on(steps)], ["trajectory"])


def test_a_study_of_a_network_has_the_records_of_a_study(tmp_path):
    """Assert keys, costs and resumption, that the manifest names the weights and the reference's own error, and that a
    kept reference that was changed is computed again.
    """
    answer = run(study(), tmp_path)
    assert [(r["method"], r["steps"], r["nfe"]) for r in answer["records"]] == [
        *(("ddim", n, n) for n in (4, 8)),
        *(("dpm-solver++-2m", n, n) for n in (4, 8)),
    ]
    assert {r["metric"] for r in answer["records"]} == {"trajectory"}
    assert all(value > 0 for value in values(answer))
    told = answer["manifest"]
    assert len(told["checkpoint"]["sha256"]) == 64
    assert told["run"]["init"] == "normal"
    assert told["run"]["points"] == 6
    assert 0 < told["reference"]["distance"] < 1e-6 < min(values(answer))
    assert json.loads((tmp_path / "records.json").read_text()) == answer
    again = run(study(), tmp_path)
    assert (again["manifest"]["computed"], again["manifest"]["reused"]) == (0, 4)
    assert values(again) == values(answer)
    for path in (tmp_path / "references").iterdir():
        content = bytearray(path.read_bytes())
        content[-1] ^= 1  # of the sign or the exponent of a reference
        path.write_bytes(content)
    (tmp_path / "records.sqlite").unlink()
    assert values(run(study(), tmp_path)) == values(answer)


def test_another_checkpoint_is_another_record_and_a_moved_one_is_the_same(tmp_path):
    first = shutil.copytree(OWN_CHECKPOINTS / "rings", tmp_path / "first")
    run(study(first), tmp_path / "out")
    moved = first.rename(tmp_path / "moved")
    assert run(study(moved), tmp_path / "out")["manifest"]["computed"] == 0
    path = moved / "checkpoint.toml"
    path.write_text(path.read_text().replace("[provenance]", "[provenance]\nnote = 'mine'"))
    assert run(study(moved), tmp_path / "out")["manifest"]["computed"] == 4


@pytest.mark.parametrize("name", ["rings", pytest.param("digits", marks=pytest.mark.slow)])
def test_two_runs_are_equal_bit_for_bit(name, tmp_path):
    one, two = (run(study(name, points=2, methods=["dpm-solver++-2m"]), tmp_path / place) for place in ("one", "two"))
    assert values(one) == values(two)
    if name == "rings":
        assert values(run(study(name, points=2, seed=1), tmp_path / "three")) != values(one)


@pytest.mark.parametrize("name", ["rings", "digits"])
def test_how_many_samples_go_together_does_not_matter(name, tmp_path):
    """Assert agreement to 1e-12 for one at a time, some at a time, all at once."""
    problem = prepare_network(study(name, points=3, start="exact"))
    found = []
    for share in (None, 1, 2):
        measurement = NetworkMeasurement(problem, tmp_path, CPU, share)
        measured = (measured_at(8, measurement, sampler) for sampler in problem.samplers)
        found.append([value["trajectory"].value for value in measured])
    for other in found[1:]:
        assert other == pytest.approx(found[0], rel=0, abs=1e-12)


def test_memory_does_not_grow_with_the_samples(tmp_path, monkeypatch):
    """Assert that no more than a piece of the samples is ever in work, in the sampler and in the reference."""
    monkeypatch.setattr(network_problem, "PIECE", 8)  # four points in the plane
    problem = prepare_network(study(points=11))
    measurement = NetworkMeasurement(problem, tmp_path, CPU)
    inner, seen = measurement.denoise, []

    def watching(x, at, prediction):
        seen.append(len(x))
        return inner(x, at, prediction)

    measurement.denoise = watching
    small = measured_at(8, measurement)["trajectory"].value
    assert [len(piece) for piece in measurement.pieces()] == [4, 4, 3]
    assert set(seen) == {4, 3}
    monkeypatch.setattr(network_problem, "PIECE", 1000)
    whole = measured_at(8, NetworkMeasurement(problem, tmp_path, CPU))
    assert whole["trajectory"].value == pytest.approx(small, rel=1e-8)  # the reference has other steps


def test_samples_of_the_start_do_not_depend_on_their_company():
    problem = prepare_network(study(points=6))
    measurement = NetworkMeasurement(problem, Path("unused"), CPU)
    source = problem.grids[problem.on(4)].point(0)
    together = measurement.start(range(6), source)
    assert torch.equal(measurement.start(range(2, 4), source), together[2:4])
    assert len(together.unique(dim=0)) == 6


@pytest.mark.parametrize(
    ("schedule", "grid"),
    [
        ({"kind": "edm"}, {"kind": "karras", "sigma_min": 0.05, "sigma_max": 40.0, "rho": 7.0}),
        ({"kind": "flow"}, {"kind": "uniform-t", "t_min": 0.05, "t_max": 0.97}),
        ({"kind": "cosine"}, {"kind": "uniform-lambda", "t_min": 0.05, "t_max": 0.97}),
        ({"kind": "ve", "sigma_min": 0.02, "sigma_max": 60.0}, {"kind": "uniform-lambda", "t_min": 0.1, "t_max": 0.9}),
    ],
)
def test_a_network_works_on_every_schedule(schedule, grid, tmp_path):
    """Assert that second order beats first on each, and both come down."""
    one = study(schedule=schedule, grid=grid, steps=[100, 200], methods=["li-ddim", "li-accelerated-ode"], points=2)
    first, later, accelerated, best = values(run(one, tmp_path))
    assert later < 0.7 * first
    assert best < 0.5 * accelerated
    assert best < later


def test_flow_samplers_run_on_a_network(tmp_path):
    grid = {"kind": "uniform-t", "t_min": 0.05, "t_max": 0.97}
    answer = run(study(schedule={"kind": "flow"}, grid=grid, methods=["flow-euler", "flow-heun"], steps=[50]), tmp_path)
    euler, heun = values(answer)
    assert heun < 0.2 * euler


def test_a_network_that_fails_on_the_way_is_a_null(tmp_path):
    """Assert that a sampler's failure is a value that is not there, and a failing reference an error."""
    problem = prepare_network(study(points=2))
    measurement = NetworkMeasurement(problem, tmp_path, CPU)
    measured_at(8, measurement)
    measurement.denoise = lambda x, at, prediction: x * math.nan
    failed = measured_at(8, measurement)["trajectory"]
    assert failed.value is None
    assert failed.reason
    with pytest.raises(SamplingError, match="not finite"):
        NetworkMeasurement.reference(
            measurement, range(1), problem.grids[problem.on(4)].point(0), problem.grids[problem.on(4)].point(1)
        )


FAULTS = {
    "a law": ({"metrics": ["tv"]}, "run.metrics\\[0\\]: got 'tv'.*trajectory"),
    "a stochastic sampler": ({"methods": ["ddpm"]}, "run.methods\\[0\\]: got 'ddpm'; stochastic"),
    "an exact start law": ({"init": "exact"}, "run.init: got 'exact'.*normal"),
    "a name that is none": ({"checkpoint": "ringz"}, "target.checkpoint: got 'ringz'.*rings"),
    "means beside it": ({"target": {"means": [0.0]}}, "target.means.*stands alone"),
    "levels it was not trained on": (
        {"schedule": {"kind": "edm"}, "grid": {"kind": "karras", "sigma_min": 1e-5, "sigma_max": 40.0, "rho": 7.0}},
        "grid.*11.5.*trained on lambda from",
    ),
    "a schedule that starts beyond": (
        {"schedule": {"kind": "li", "c0": 1.0, "c1": 7.0}, "steps": [100]},
        "grid.*-16.79",
    ),
    "samples twice": ({"samples": 3}, "run.samples"),
    "an unknown sampler": ({"methods": ["dimm"]}, "run.methods\\[0\\]: got 'dimm'"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line_and_nothing_is_written(name, tmp_path):
    changes, said = FAULTS[name]
    with pytest.raises(InputError, match=said) as fault:
        run(study(**changes), tmp_path / "out")
    assert "\n" not in str(fault.value)
    assert not (tmp_path / "out").exists()


def test_the_file_says_which_study_it_is(tmp_path, study_text):
    file = tmp_path / "net.toml"
    target = '[target]\ncheckpoint = "rings"\n'
    rest = study_text[study_text.index("[schedule]") :]
    file.write_text(target + rest.replace('"tv", "kl", "w2", ', "").replace('init = "exact"', ""))
    found = read(file)
    assert found.target.checkpoint == "rings"
    assert found.run.init == "normal"


def test_measured_orders_are_the_proved_ones_on_a_small_network(tmp_path):
    """Assert order p within 0.15, from exact start values, on the kept U-Net in float64; and that p is not p + 1."""
    wanted = {"ddim": 1, "dpm-solver++-2m": 2, "edm-heun": 2, "exp-adams-3": 3}
    grid = {"kind": "uniform-lambda", "t_min": 0.03, "t_max": 0.6}  # lambda from -2 to 2
    answer = run(study("digits", grid=grid, methods=list(wanted), steps=[50, 100], points=2, start="exact"), tmp_path)
    for method, order in wanted.items():
        (local,) = local_exponents([50, 100], [r["value"] for r in answer["records"] if r["method"] == method])
        assert local == pytest.approx(order, abs=0.15), method
    assert answer["manifest"]["reference"]["distance"] < 1e-3 * min(values(answer))
