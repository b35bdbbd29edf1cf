"""The parts of a verdict by themselves, on our own tables and on runs with one habit each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from samplerproof.numerics.catalogue import METHODS, resolve
from samplerproof.numerics.coefficients import plan
from samplerproof.numerics.conformance.forward_processes import at_ratio, grid_of, point
from samplerproof.numerics.conformance.judge import fitted_parameters
from samplerproof.numerics.conformance.judge.compare import deviations
from samplerproof.numerics.conformance.judge.differences import law_of_strengths, no_match, repeated_noise
from samplerproof.numerics.conformance.judge.noise_strengths import strengths
from samplerproof.numerics.conformance.judge.observed_orders import local_orders, slope
from samplerproof.numerics.conformance.judge.one_tableau import runge_kutta
from samplerproof.numerics.conformance.judge.references import FEWER_EVALUATIONS, candidates, where_it_evaluates
from samplerproof.numerics.conformance.judge.rescaled import placed
from samplerproof.numerics.conformance.judge.stage_levels import stage_at_another_level
from samplerproof.numerics.conformance.judge.unchained_steps import matches_step_by_step
from samplerproof.numerics.conformance.judge.zero_length_step import without_zero_length_step
from samplerproof.numerics.external_run import Draw, Finish, Model, Run, Timesteps
from samplerproof.numerics.grids import Grid
from samplerproof.numerics.points import Point
from samplerproof.numerics.readback import Trace, of_tableau, trace
from samplerproof.numerics.repeated_evaluations import without_repeated_evaluations
from samplerproof.numerics.tableau import Tableau, assemble, tabulate

SIGMAS = [10.0, 5.0, 2.0, 1.0, 0.5, 0.2]
VP = [at_ratio("vp", sigma) for sigma in SIGMAS]


def ve(*sigmas: float) -> Grid:
    return grid_of("ve", [point("ve", 1.0, sigma) for sigma in sigmas or SIGMAS])


def read(table: Tableau, prediction: str = "data") -> Trace:
    return trace(of_tableau(table, prediction), prediction)


def of(name: str, *sigmas: float, prediction: str = "data") -> Trace:
    return read(tabulate(name, ve(*sigmas)), prediction)


# --- steps of DDIM's family whose noise differs from step to step


def by_strength(eta: Sequence[float], *sigmas: float) -> Trace:
    record, grid = resolve("ddim-eta?eta=1/2"), ve(*sigmas)
    numbers = {"eta": torch.tensor(eta, dtype=torch.float64)}
    return read(assemble(record, plan(record, grid), grid, numbers=numbers))


def test_the_strength_of_noise_of_every_step_is_read() -> None:
    """Assert each, 0 in a step to sigma = 0, and none of a run without noise, with history or with stages."""
    eta = [0.2, 0.9, 0.5, 0.7, 0.3]
    found = strengths(by_strength(eta))
    assert found is not None
    assert found[0] == pytest.approx(eta, rel=1e-9)
    assert found[1] < 1e-12
    to_zero = strengths(by_strength(eta, *SIGMAS[:-1], 0.0))
    assert to_zero is not None
    assert to_zero[0] == pytest.approx([*eta[:4], 0.0], rel=1e-9)
    assert [strengths(of(name)) for name in ("ddim", "sde-dpm-solver++-2m", "edm-heun")] == [None] * 3


def test_a_step_that_is_none_of_ddims_family_has_no_strength() -> None:
    """Assert that an output off by 1e-3 of a row is none, and that one off by 1e-6 is, with its error."""
    table = by_strength([0.5] * 5).table
    for off, seen in ((1e-3, False), (1e-6, True)):
        outputs = table.outputs.clone()
        outputs[2] *= 1 + off
        found = strengths(read(replace(table, outputs=outputs)))
        assert (found is not None) == seen
        assert found is None or 1e-8 < found[1] < 1e-5


def test_the_law_of_strengths_is_said_by_two_numbers_of_steps() -> None:
    """Assert that a largest eta that doubles with N does not converge, one that stays does, and the words for one N."""
    twice = [sigma for pair in pairwise(SIGMAS) for sigma in (pair[0], math.sqrt(math.prod(pair)))] + SIGMAS[-1:]
    short, bounded = by_strength([0.5, 0.1, 0.5, 0.1, 0.5]), by_strength([0.5, 0.2] * 5, *twice)
    grows = by_strength([1.0, 0.2] * 5, *twice)
    family = "ddim-eta with eta_i = 0.5, 0.1, … 0.5"
    for longer, words in (
        (
            bounded,
            "the largest eta is 0.5 on 5 steps and 0.5 on 10: eta is bounded, so the law of the sample converges",
        ),
        (grows, "the largest eta is 0.5 on 5 steps and 1 on 10: eta grows with N, so the law of the sample does not"),
        (None, f"{family}, by step"),
        (short, f"{family}, by step"),
    ):
        found = law_of_strengths(short, longer)
        assert found is not None
        assert found[0] == family
        assert found[1].detail.startswith(words)
    assert law_of_strengths(of("ddim"), bounded) is None


def test_a_run_that_no_record_evaluates_as_is_described() -> None:
    """Assert the family with its eta, no record at all, and the step from which a named record evaluates elsewhere."""
    same, differ = (
        no_match(by_strength([0.5] * 5), "ve", None, []),
        no_match(by_strength([0.5, 0.25] * 2 + [1]), "ve", None, []),
    )
    assert "every step is one of ddim-eta, within " in same[1].detail
    assert same[1].detail.endswith("with eta = 0.5 in all of them; the catalogue has no record with this eta")
    assert "with eta = 0.5, 0.25, … 1; the catalogue" in differ[1].detail
    none = no_match(of("ddim"), "ve", None, [])
    assert none[1].detail == "the catalogue has no record of this name, and none of its records has these rows"
    named = no_match(of("ddim"), "ve", "edm-heun", [])
    assert (named[0], named[1].step) == ("different-formula", 2)


def test_noise_that_is_added_again_is_named() -> None:
    """Assert the step, the step of the draw and how many do so; and nothing where every step has its own noise."""
    table = tabulate("ddpm", ve())
    noises = torch.zeros(5, 4, dtype=torch.float64)
    noises[:, 0] = table.noises[:, 0]
    noises[2] = torch.tensor([0.0, 0.0, 0.5, 0.0])
    noises[3] = torch.tensor([0.0, 0.0, 0.0, 0.5])
    (both,) = repeated_noise(read(replace(table, noises=noises)))
    assert both.step == 3
    assert both.detail.startswith("step 3 adds the noise of step 1 again, and 1 more do so: a generator")
    noises[3] = torch.tensor([0.5, 0.0, 0.0, 0.5])
    (one,) = repeated_noise(read(replace(table, noises=noises)))
    assert one.detail.startswith("step 3 adds the noise of step 1 again: a generator")
    assert repeated_noise(read(table)) == []


# --- steps of length zero


def by_ddim(levels: Sequence[Point], off: Callable[[int], float] = lambda n: 0.0) -> Run:
    """DDIM from data predictions, a step between any two levels.  off: what step n adds to the factor of its state."""

    def run(start: Tensor, model: Model, draw: Draw) -> Finish:
        x = start
        for n, (at, to) in enumerate(pairwise(levels)):
            ratio = to.sigma / at.sigma
            x = (ratio + off(n)) * x + (to.alpha - at.alpha * ratio) * model(x, at, n)
        return Finish(x, tuple(levels))

    return run


def test_a_run_is_placed_on_another_process_and_back() -> None:
    """Assert it of DDIM by data predictions, which is one method on all, and that a scale of the start is none."""
    there = placed(of("ddim"), lambda at: at_ratio("vp", at.sigma))
    assert torch.allclose(there.vectors, trace(by_ddim(VP), "data").vectors, rtol=1e-13, atol=1e-15)
    back = placed(there, lambda at: at_ratio("ve", at.rho))
    assert torch.allclose(back.vectors, of("ddim").vectors, rtol=1e-13, atol=1e-15)
    assert not torch.allclose(back.vectors, there.vectors, rtol=1e-6)


def test_steps_of_length_zero_are_left_out_where_they_change_nothing() -> None:
    """Assert the run without them, at either end or both; and that a step that moves the state stays."""
    plain = trace(by_ddim(VP), "data")
    doubled = {"first": [VP[0], *VP], "last": [*VP, VP[-1]], "both": [VP[0], *VP, VP[-1]]}
    for where, levels in doubled.items():
        found = without_zero_length_step(trace(by_ddim(levels), "data"))
        assert torch.equal(found.vectors, plain.vectors), where
        assert (found.grid, found.points, found.step) == (plain.grid, plain.points, plain.step)
        assert (found.evaluated, found.table) == (plain.evaluated, plain.table)
        moved = trace(by_ddim(levels, lambda n: 1e-6), "data")
        assert without_zero_length_step(moved) is moved
    inner = trace(by_ddim([*VP[:2], VP[1], *VP[2:]]), "data")
    assert without_zero_length_step(inner) is inner
    assert without_zero_length_step(plain) is plain


# --- a run as one tableau


def test_one_tableau_is_read_off_a_run() -> None:
    """Assert Heun's tableau, without the shorter step to 0; none of noise, of other steps, of a row that is off."""
    heun = of("edm-heun", *SIGMAS, 0.0)
    (found,) = runge_kutta(heun, "ve")
    assert "noise predictions over sigma/alpha: c = 0, 1; A = 1; b = 1/2, 1/2; samplerproof prove" in found.detail
    states = heun.table.states.clone()
    states[3] *= 1 + 1e-6
    assert runge_kutta(read(replace(heun.table, states=states)), "ve") == []
    for name in ("dpmpp-sde", "dpm-solver++-2s", "ddim"):  # noise; unequal steps in lambda; one stage
        assert runge_kutta(of(name), "ve") == [], name


# --- levels and steps


def test_a_stage_at_another_level_is_named_in_the_first_step_that_has_one() -> None:
    """Assert a stage of DPM-Solver++(2S) at the arithmetic mean, none at its place, and none in a step to 0."""
    two_s, record = tabulate("dpm-solver++-2s", ve(*SIGMAS, 0.0)), resolve("dpm-solver++-2s")
    assert stage_at_another_level(read(two_s), "ve", record) is None
    points = list(two_s.points)
    points[3] = point("ve", 1.0, 3.5)
    found = stage_at_another_level(read(replace(two_s, points=tuple(points))), "ve", record)
    assert found is not None
    assert found.detail == (
        "step 2: its second evaluation is at sigma/alpha = 3.5, the arithmetic mean of the ends of the step; "
        "dpm-solver++-2s has it at 3.16228, the geometric mean of the ends of the step"
    )
    pndm = tabulate("pndm", ve())
    moved = [replace_sigma(p, 1.01) if step == 1 else p for p, step in zip(pndm.points, pndm.step, strict=True)]
    assert stage_at_another_level(read(replace(pndm, points=tuple(moved))), "ve", METHODS["pndm"]) is None  # in t


def replace_sigma(at: Point, factor: float) -> Point:
    return point("ve", 1.0, at.sigma * factor)


def further(factor: float, to: float = 1.8, row: float = 1.0) -> Trace:
    """DDIM whose second step leads to sigma = `to` and whose third one starts at 2; a row off by a factor."""
    own, other = tabulate("ddim", ve()), tabulate("ddim", ve(10.0, 5.0, to, 1.0, 0.5, 0.2))
    states, outputs = own.states.clone(), own.outputs.clone()
    states[1], outputs[1] = factor * other.states[1], row * other.outputs[1]
    return read(replace(own, states=states, outputs=outputs))


def test_steps_that_do_not_chain_are_those_of_a_record_one_by_one() -> None:
    """Assert it of DDIM to another level, and neither of a row off by 1e-6 nor of a step that does not move."""
    ddim, table = METHODS["ddim"], tabulate("ddim", ve())
    states, outputs = table.states.clone(), table.outputs.clone()
    states[1], outputs[1] = 1.0, 0.0
    still = read(replace(table, states=states, outputs=outputs))
    assert matches_step_by_step(further(1.0), "ve", ddim)
    assert not matches_step_by_step(further(1.000001), "ve", ddim)
    assert not matches_step_by_step(still, "ve", ddim)
    assert not matches_step_by_step(of("ddim"), "ve", ddim)  # they chain
    assert not matches_step_by_step(further(1.0), "ve", METHODS["exp-adams-2"])


def test_where_a_record_evaluates_first_elsewhere() -> None:
    """Assert the step and the words for a scaled start, for fewer evaluations, for more and for no such record."""
    twice = [*SIGMAS[:3], SIGMAS[2], *SIGMAS[3:]]
    no_grid = trace(by_ddim([point("ve", 1.0, sigma) for sigma in twice]), "data")
    assert where_it_evaluates(no_grid, "ve", "ddim") == (None, "ddim does not exist on this grid")
    ended = of("ddim", *SIGMAS, 0.0)
    assert where_it_evaluates(replace(ended, evaluated=(*ended.evaluated[:-2], False, False)), "ve", "ddim") == (
        6,
        "5 evaluations, ddim makes 6; step 6 is the first without one",
    )
    heun = of("edm-heun")
    assert where_it_evaluates(replace(heun, step=(0, 1, 2, 3, 4, 5, 5, 5, 5, 5, 5)), "ve", "ddim") == (
        5,
        "10 evaluations, ddim makes 5",
    )

    def scaled(start: Tensor, model: Model, draw: Draw) -> Finish:
        return by_ddim(VP)(start * 0.5, model, draw)

    assert where_it_evaluates(trace(scaled, "data"), "vp", "ddim") == (
        1,
        "step 1: the model is first evaluated at 0.5 times the start; ddim evaluates it at the start",
    )


def test_references_of_runs_without_a_table_of_their_own() -> None:
    """Assert inversion from no noise by the noise prediction, and no variant where a record has no table."""
    levels = [point("ve", 1.0, sigma) for sigma in (0.0, *SIGMAS[::-1])]

    def inversion(start: Tensor, model: Model, draw: Draw) -> Finish:
        x = start
        for n, (at, to) in enumerate(pairwise(levels)):
            x = x + (to.sigma - at.sigma) * model(x, at, n)
        return Finish(x, tuple(levels))

    found = trace(inversion, "noise")
    (reference,) = candidates(found, "ve", ("ddim",))
    assert reference.table.isclose(found.table, rtol=1e-14, atol=1e-14)
    assert reference.record.frame == "noise-rho"
    assert next(candidates(of("ddim"), "ve", ("ddim",))).record.frame == "data"


# --- parameters and orders


def test_a_step_of_one_evaluation_of_a_stochastic_run_is_of_its_strength() -> None:
    """Assert that a last step by SA-Solver's one-step method is a variant where tau is that of the others, no other."""
    grid = ve(*SIGMAS)
    record = resolve("sde-dpm-solver++-2s?tau=1/2")
    for tau, equal in (("1/2", True), ("1", False)):
        last = resolve(f"sa-solver-1?tau={tau}")
        run = read(assemble(record, [*[record] * 4, last], grid))
        found = next(candidates(run, "ve", ["sde-dpm-solver++-2s?tau=1/2"]))
        assert found.ending == FEWER_EVALUATIONS
        assert (max(d.error for d in deviations(run.table, found.table)) < 1e-12) == equal


def test_parameters_are_fitted_where_there_are_rows_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert the value of eta, none of it where its record is left out, on one step, or where the rows are off."""
    some = ("ddim-eta", "sa-solver-1", "edm-churn", "dpm-solver++-2s", "lambda-ddim")
    monkeypatch.setattr(fitted_parameters, "METHODS", {name: METHODS[name] for name in some})
    run = of("ddim-eta?eta=2/5")
    assert "ddim-eta?eta=2/5" in [*fitted_parameters.fitted(run, "ve")]
    assert not any(name.startswith("ddim-eta") for name in fitted_parameters.fitted(run, "ve", ("ddim-eta",)))
    assert [*fitted_parameters.fitted(of("ddim-eta?eta=2/5", 2.0, 1.0), "ve")] == []
    noises = run.table.noises.clone()
    noises[1] *= 1.000001
    assert [*fitted_parameters.fitted(read(replace(run.table, noises=noises)), "ve")] == []


def test_orders_of_steps_without_a_match_are_none_and_exact_ones_the_highest() -> None:
    """Assert DDIM's order 1 in the middle, none where longer runs have no such step, and an exact row's the highest."""
    grids = {n: torch.linspace(1.0, -1.0, n + 1, dtype=torch.float64).exp().tolist() for n in (4, 8, 16)}
    runs = {n: of("ddim", *sigmas) for n, sigmas in grids.items()}
    assert local_orders(runs, "ve")[2] == pytest.approx(1, abs=0.2)
    assert local_orders(runs | {16: of("edm-heun", *grids[16])}, "ve") == [None] * 4
    ends = {n: of("ddim", *sigmas, 0.0) for n, sigmas in grids.items()}
    assert [order is None for order in local_orders(ends, "ve")] == [False, False, False, False, True]
    noisy = {n: of("ddim-eta?eta=1/2", *sigmas) for n, sigmas in grids.items()}
    assert local_orders(noisy, "ve") == [None] * 4
    tiny = {n: of("ddim", *(1 - 1e-6 * k / n for k in range(n + 1))) for n in (4, 8, 16)}
    assert local_orders(tiny, "ve") == [6.0] * 4
    assert slope({4: 0.1}) is None
    assert slope({4: 0.1, 8: 0.025}) == pytest.approx(2)


def test_timesteps_of_merged_evaluations_keep_what_the_model_was_trained_on() -> None:
    """Assert the limits and the shift, and one timestep a state."""

    def twice(start: Tensor, model: Model, draw: Draw) -> Finish:
        x = start
        for n, (at, to) in enumerate(pairwise(VP)):
            d = (model(x, at, n) + model(x, at, n)) / 2
            x = to.sigma / at.sigma * x + (to.alpha - at.alpha * to.sigma / at.sigma) * d
        given = Timesteps(tuple(range(10)), (0.0,) * 10, (0.5,) * 10, 3.0, -4.0, 2.0)
        return Finish(x, tuple(VP), timesteps=given)

    found = without_repeated_evaluations(trace(twice, "data"))
    assert found.timesteps == Timesteps((0, 2, 4, 6, 8), (0.0,) * 5, (0.5,) * 5, 3.0, -4.0, 2.0)
