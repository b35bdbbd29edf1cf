"""Where a sampler is put: process, prediction, grid, first level; and samplers that go elsewhere by themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import samplerproof as sp
from samplerproof.numerics.conformance.adapters.process_levels import resampled
from samplerproof.numerics.conformance.forward_processes import PROCESSES, at_ratio, grid_of
from samplerproof.numerics.conformance.judge.rescaled import placed
from samplerproof.numerics.conformance.placement import placement
from samplerproof.numerics.conformance.report import Verdict
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.points import Point
from samplerproof.numerics.readback import image
from samplerproof.numerics.testing import verdict_here

Denoise = Callable[[Tensor, Tensor], Tensor]


def flow_euler(model: Denoise, x: Tensor, sigmas: Tensor, off: float = 1.0) -> Tensor:
    """Euler's method on the flow, by the velocity."""
    for s, t in pairwise(sigmas):
        x = x + off * (t - s) * model(x, s)
    return x


def vp_ddim(noise: Denoise, x: Tensor, sigmas: Tensor, off: float = 1.0) -> Tensor:
    """DDIM where variance is preserved, by the noise."""
    alpha = (1 - sigmas**2).sqrt()
    for i, s in enumerate(sigmas[:-1]):
        eps = noise(x, s)
        x = alpha[i + 1] * (x - s * eps) / alpha[i] + off * sigmas[i + 1] * eps
    return x


def ve_ddim(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """DDIM on alpha = 1."""
    for s, t in pairwise(sigmas):
        d = denoise(x, s)
        x = d + t / s * (x - d)
    return x


def judged(sampler: Any, against: str | None, steps: int = 6, **where: Any) -> Verdict:
    options = where.pop("options", None)
    return verdict_here(sampler, against, steps, options, where=placement(**where))


@pytest.mark.parametrize(
    ("sampler", "against", "where"),
    [
        (flow_euler, "flow-euler", {"process": "flow", "prediction": "velocity"}),
        pytest.param(vp_ddim, "ddim", {"process": "vp", "prediction": "noise"}, marks=pytest.mark.slow),
    ],
)
def test_a_function_in_its_own_coordinates(sampler: Any, against: str, where: dict[str, Any]) -> None:
    """Assert that it is its record, that it is not at 1e-6 off, and not for another prediction."""
    assert judged(sampler, against, **where).exit_code == 0
    assert judged(sampler, against, **where, options={"off": 1.000001}).verdict == "different-formula"
    answer = judged(sampler, against, process=where["process"], prediction="data")
    assert answer.exit_code == 1
    assert any(f"returns {where['prediction']}" in f.detail for f in answer.findings), "what it should have been told"


@pytest.mark.parametrize("steps", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3))])
def test_a_few_steps(steps: int) -> None:
    """Assert that runs of one to three steps are judged, with an order from longer ones."""
    answer = judged(ve_ddim, "ddim", steps)
    assert (answer.verdict, answer.exit_code, answer.local_orders) == ("roundoff", 0, [])
    assert answer.observed_order == pytest.approx(1, abs=0.2)
    assert judged(vp_ddim, "ddim", steps).exit_code == 1


def test_levels_from_a_file_a_kind_and_a_later_one(tmp_path: Path) -> None:
    """Assert that a run is on the levels given, and begins at the level given."""
    file = tmp_path / "levels.txt"
    file.write_text("10, 3\n1 0.5\n0.1", encoding="utf-8")
    where = placement(grid=str(file))
    assert (where.grid, where.steps) == ((10.0, 3.0, 1.0, 0.5, 0.1), 4)
    assert judged(ve_ddim, "ddim", 4, grid=str(file)).exit_code == 0
    assert judged(ve_ddim, "ddim", 4, grid="karras?rho=5", begin=1).exit_code == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of diffusers
@pytest.mark.parametrize("name", ["EulerDiscreteScheduler", "HeunDiscreteScheduler", "DPMSolverMultistepScheduler"])
def test_a_scheduler_begins_later(name: str) -> None:
    """Assert that a class is what it is from a later level on, as from a noised image."""
    pytest.importorskip("diffusers")
    answer = judged(f"diffusers:{name}", None, 10, begin=4)
    assert (answer.exit_code, answer.matches[0]) == (0, answer.reference)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"process": "sde"}, "process: got 'sde'; one of ve, vp, flow"),
        ({"prediction": "x"}, "prediction: got 'x'; one of data"),
        ({"begin": -1}, "begin: got -1"),
        ({"grid": "nowhere"}, "grid: got 'nowhere'; not a known kind of grid"),
        ({"grid": [1.0, 2.0]}, r"grid\[1\]: got 2.0"),
        ({"grid": [1.0]}, "at least two levels"),
    ],
)
def test_a_bad_placement_is_one_line(given: dict[str, Any], message: str) -> None:
    """Assert that field, value and what is allowed are in it."""
    with pytest.raises(InputError, match=message):
        placement(**given)


def test_steps_must_be_those_of_the_levels() -> None:
    """Assert that other steps, and a beginning at the end, are refused."""
    with pytest.raises(InputError, match="steps: got 5; 2, as the levels given are 3"):
        judged(ve_ddim, "ddim", 5, grid=[3.0, 2.0, 1.0])
    with pytest.raises(InputError, match="begin: got 6; below the number of steps, 6"):
        judged(ve_ddim, "ddim", 6, begin=6)


@pytest.mark.slow
def test_the_batched_step_is_compared() -> None:
    """Assert that a batched step that is another one is an error, and one that is the same is none."""
    pytest.importorskip("diffusers")
    good = judged("diffusers:DDPMParallelScheduler?clip_sample=false", None, 10)
    bad = judged("diffusers:DDPMParallelScheduler?clip_sample=false&timestep_spacing=trailing", None, 15)
    assert ("batch" in {f.kind for f in good.findings}, good.exit_code) == (False, 0)
    assert [f.severity for f in bad.findings if f.kind == "batch"] == ["error"]
    assert (bad.verdict, bad.exit_code) == ("roundoff", 1)


def test_a_list_of_levels_ends_the_run() -> None:
    """Assert that other numbers of steps are between the same ends."""
    levels = resampled((8.0, 4.0, 2.0, 1.0, 0.0), 6)
    assert (levels[0], levels[-2], levels[-1], len(levels)) == (8.0, 1.0, 0.0, 7)
    assert resampled((8.0, 4.0, 2.0), 2) == [8.0, 4.0, 2.0]
    assert resampled((8.0, 4.0, 2.0, 1.0, 0.0), 1) == [8.0, 0.0]
    one_step = resampled((8.0, 0.0), 4)
    assert len(one_step) == 5
    assert one_step[0] == 8.0 > one_step[1] > one_step[2] > one_step[3] > one_step[4] == 0.0
    assert torch.tensor(levels).diff().max() < 0


@pytest.mark.parametrize("name", ["dpm-solver++-2m", "ddim-eta?eta=1/2"])
def test_a_run_times_the_quotient_of_alphas_is_the_run_on_another_process(name: str) -> None:
    """Assert that from each process to each the rows of a record become those of the record there."""

    def on(process: str) -> Any:
        return sp.tabulate(name, grid_of(process, [at_ratio(process, r) for r in (20.0, 5.0, 1.0, 0.2, 0.01)]))

    def moved(process: str, at: Point) -> Point:
        return at_ratio(process, at.sigma / at.alpha)

    for process, other in permutations(PROCESSES, 2):
        there = placed(image(on(process), "data"), partial(moved, other))
        assert there.table.isclose(image(on(other), "data").table)
        assert not there.table.isclose(image(on(process), "data").table)
