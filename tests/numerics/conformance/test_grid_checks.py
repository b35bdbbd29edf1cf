"""Findings about grids: on our own tables with one fault each, and on tables without any."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from samplerproof.numerics.conformance.adapters.diffusers_timesteps import TimestepMap
from samplerproof.numerics.conformance.forward_processes import PROCESSES, grid_of, point
from samplerproof.numerics.conformance.judge import grid_checks
from samplerproof.numerics.conformance.process.checked_values import checked
from samplerproof.numerics.conformance.process.trace_transfer import plain_trace
from samplerproof.numerics.external_run import Remark, Timesteps
from samplerproof.numerics.grids import Grid
from samplerproof.numerics.readback import Trace, of_tableau, trace
from samplerproof.numerics.tableau import Tableau, tabulate

HUNDRED = TimestepMap(lambda t: 3 - 6 * t / 100, 0.5, 3.0)  # lambda from 3 to -3 in a hundred timesteps
TIMES = [100, 87, 75, 62, 50, 38, 25, 12]


def grid(*lam: float) -> Grid:
    return grid_of(
        "vp", [point("vp", math.cos(t), math.sin(t)) for t in PROCESSES["vp"].time(torch.tensor(lam)).tolist()]
    )


def read(tableau: Tableau) -> Trace:
    return trace(of_tableau(tableau), tableau.prediction)


def run(timesteps: Timesteps | None, *lam: float) -> Trace:
    """DDIM, as if its model received these timesteps."""
    found = read(tabulate("ddim", grid(*(lam or torch.linspace(-3, 3, 9).double().tolist()))))
    return replace(found, timesteps=timesteps)


def found_in(found: Trace) -> list[tuple[int | None, str]]:
    assert all(finding.kind == "grid" for finding in grid_checks.findings(found, "vp"))
    return [(finding.step, finding.detail) for finding in grid_checks.findings(found, "vp")]


def test_a_right_grid_has_no_findings() -> None:
    assert found_in(run(None)) == []
    assert found_in(run(HUNDRED(TIMES))) == []  # rounded to integers


def test_a_timestep_next_to_the_right_one_is_found() -> None:
    late = [t - 1 for t in TIMES]
    ((step, detail),) = found_in(run(HUNDRED([*TIMES[:4], *late[4:]])))
    assert step == 5
    assert detail.startswith("step 5: timestep 49 means lambda = 0.06, the step has ")
    assert "in 3 of 8 evaluations" in detail


def test_a_repeated_timestep_is_found() -> None:
    ((first, means), (second, twice)) = found_in(run(HUNDRED([100, 87, 87, *TIMES[3:]])))
    assert (first, second) == (3, 3)
    assert "means" in means
    assert twice == "step 3: timestep 87 as before, at lambda = -2.25 and -1.5"


def test_timesteps_of_the_next_level_are_told_as_such() -> None:
    """Assert it where all evaluations have it, and not where one has another one."""
    following = [*TIMES[1:], 0]
    ((step, detail),) = found_in(run(HUNDRED(following)))
    assert (step, detail.partition("timestep: ")[2]) == (1, "it is the timestep of the level to which the step leads")
    ((_, detail),) = found_in(run(HUNDRED([*following[:-1], 6])))
    assert "in 8 of 8 evaluations" in detail
    assert "the level to which" not in detail


def test_many_repeated_timesteps_are_counted() -> None:
    """Assert three lines and the number, and no number of three."""
    for times, number in (([100] * 5 + TIMES[5:], True), ([100] * 4 + TIMES[4:], False)):
        twice = [detail for _, detail in found_in(run(HUNDRED(times))) if "evaluations have" in detail]
        assert twice == ["4 evaluations have the timestep of the one before"] * number
        assert sum(" as before, at lambda" in detail for _, detail in found_in(run(HUNDRED(times)))) == 3


def test_a_start_without_signal_is_named() -> None:
    """Assert it at alpha = 0 on vp, where the noise does not give the data, and not on the flow, or above."""
    for process, alpha, named in (("vp", 0.0, True), ("vp", 0.1, False), ("flow", 0.0, False)):
        sigma = math.sqrt(1 - alpha**2) if process == "vp" else 1 - alpha
        levels = [point(process, alpha, sigma), point(process, 0.6, 0.8 if process == "vp" else 0.4)]
        made = tabulate("ddim", grid_of(process, [*levels, point(process, 1.0, 0.0)]))
        said = [finding.detail for finding in grid_checks.findings(read(made), process)]
        assert ("it starts at alpha = 0, where no noise prediction gives the data" in said) == named


def test_timesteps_of_a_run_from_data_to_noise_are_compared() -> None:
    """Assert nothing at the right ones, though it ends in noise, and the step of a wrong one."""
    levels = grid(*torch.linspace(-3, 3, 9).double().tolist()).points[::-1]
    found = read(tabulate("ddim", grid_of("vp", levels)))
    up = [0, 12, 25, 38, 50, 62, 75, 87]
    for times, wrong in ((up, []), ([*up[:4], 55, *up[5:]], [5])):
        with_times = replace(found, timesteps=HUNDRED(times))
        assert [step for step, _ in found_in(with_times)] == wrong


@pytest.mark.parametrize(("cleanest", "left"), [(3.0, False), (3.1, True), (math.inf, True)])
def test_noise_left_at_the_end_is_found(cleanest: float, left: bool) -> None:
    """Assert it above the least noise in training; where that is not known, there is no finding."""
    timesteps = HUNDRED._replace(cleanest=cleanest)(TIMES)
    left = left and cleanest < math.inf
    expected = [(8, f"it ends at lambda = 3, with noise left: the model is trained up to {cleanest:g}")]
    assert found_in(run(timesteps)) == (expected if left else [])


@pytest.mark.parametrize(("before", "jumps"), [(0.1, False), (-0.1, True)])
def test_a_jump_at_the_end_is_found(before: float, jumps: bool) -> None:
    """Assert it of a step to sigma = 0, which counts down to the least noise in training."""
    lam = (-3.0, -2.0, -1.0, before, math.inf)
    timesteps = HUNDRED([(3 - x) / 6 * 100 for x in lam[:-1]])
    expected = [(4, f"step 4 goes more than half of the way in lambda, from {before:g}")]
    assert found_in(run(timesteps, *lam)) == (expected if jumps else [])


@pytest.mark.parametrize(
    ("ends", "step", "detail"),
    [
        ((-1.0, 0.0, 1.1, 2.0), 2, "step 2 leads to lambda = 1; the next starts at 1.1"),
        ((-1.0, 0.0, 1.0, math.inf), 3, "step 3 leads to lambda = 2; the grid ends at inf"),
    ],
)
def test_steps_to_other_points_than_the_grid_has_do_not_chain(ends: tuple[float, ...], step: int, detail: str) -> None:
    """Assert it of a table for other points than its own."""
    other = tabulate("ddim", grid(-1.0, 0.0, 1.0, 2.0))
    assert (step, detail) in found_in(read(replace(other, points=tabulate("ddim", grid(*ends)).points)))
    assert found_in(read(other)) == []


def test_timesteps_pass_between_processes() -> None:
    timesteps = HUNDRED(TIMES)
    found = replace(run(timesteps), remarks=(Remark("grid", "odd", "error"),))
    passed = checked(Trace, plain_trace(found), "trace")
    assert (passed.timesteps, passed.remarks) == (timesteps, (Remark("grid", "odd", "error"),))
    assert checked(Trace, plain_trace(run(None)), "trace").timesteps is None
    assert point("vp", -1e-9, 1.0).lam == -math.inf  # the angle of noise alone, rounded up


def test_evaluations_belong_to_their_steps() -> None:
    heun = read(tabulate("edm-heun", grid(-1.0, 0.0, 1.0)))
    assert grid_checks.steps_of(heun) == [1, 1, 2, 2]
