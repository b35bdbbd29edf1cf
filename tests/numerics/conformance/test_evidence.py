"""Verdicts from evidence of a few records: other grids, failures, narrow code, guidance, and orders that contradict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.conformance.forward_processes import grid_of, point
from samplerproof.numerics.conformance.judge import fitted_parameters, references
from samplerproof.numerics.conformance.judge.case import Variations
from samplerproof.numerics.conformance.judge.output_channels import reading
from samplerproof.numerics.conformance.judge.references import candidates
from samplerproof.numerics.conformance.judge.verdict import judge
from samplerproof.numerics.conformance.report import Failure, TargetInfo, Verdict
from samplerproof.numerics.external_run import Draw, Finish, Model, Run
from samplerproof.numerics.grids import Grid
from samplerproof.numerics.guided_tables import CFG_PP, CONDITIONAL, PLAIN, UNCONDITIONAL, guided_table, with_conditions
from samplerproof.numerics.points import Point
from samplerproof.numerics.readback import Trace, of_tableau, trace
from samplerproof.numerics.repeated_evaluations import without_repeated_evaluations
from samplerproof.numerics.tableau import Tableau, tabulate

FLOAT64 = torch.float64
SIGMAS = (10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1)
OTHER = (8.0, 3.0, 1.0, 0.3, 0.1)


@pytest.fixture(autouse=True)
def few_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue of four: what is searched for a run without a name."""
    few = {name: METHODS[name] for name in ("ddim", "dpm-solver++-2m", "edm-heun", "ddpm")}
    for module in (references, fitted_parameters):
        monkeypatch.setattr(module, "METHODS", few)


def ve(*sigmas: float) -> Grid:
    return grid_of("ve", [point("ve", 1.0, sigma) for sigma in sigmas])


def table(name: str, *sigmas: float) -> Tableau:
    return tabulate(name, ve(*(sigmas or SIGMAS)))


def both(run: Run, key: Any, prediction: str = "data") -> dict[Any, Trace | Failure]:
    """A run as shipped and in float64."""
    return {(key, exact): trace(run, prediction, FLOAT64 if exact else torch.float32) for exact in (False, True)}


def judged(
    run: Run,
    steps: int,
    against: str | None = "ddim",
    more: Mapping[Any, Trace | Failure] | None = None,
    on: Variations | None = None,
    **info: Any,
) -> Verdict:
    about = TargetInfo("ours", "ve", **info)
    return judge(about, {**both(run, steps), **(more or {})}, steps, against, on)


def words(answer: Verdict, kind: str | None = None) -> str:
    return "\n".join(f.detail for f in answer.findings if kind in (None, f.kind))


def euler(levels: tuple[float, ...], noise: bool = False) -> Run:
    """Euler's method from data predictions, or from what it takes for noise predictions."""
    points = tuple(point("ve", 1.0, sigma) for sigma in levels)

    def run(start: Tensor, model: Model, draw: Draw) -> Finish:
        x = start
        for n, (at, to) in enumerate(pairwise(points)):
            d = model(x, at, n)
            x = x + (to.sigma - at.sigma) * (d if noise else (x - d) / at.sigma)
        return Finish(x, points)

    return run


def geometric(steps: int) -> tuple[float, ...]:
    return tuple(torch.linspace(1, -1, steps + 1, dtype=FLOAT64).exp().tolist())


# --- other grids


@pytest.mark.parametrize("name", ["ddim", "dpm-solver++-2m"])
def test_records_that_are_one_table_are_told_apart_on_other_levels(name: str) -> None:
    """Assert it of 2M on two steps to sigma = 0, where it is DDIM: on four it is not."""
    on = Variations(both(of_tableau(table(name, *OTHER)), "four"))
    answer = judged(of_tableau(table("ddim", 10.0, 1.0, 0.0)), 2, None, on=on)
    assert {"ddim", "dpm-solver++-2m"} <= set(answer.matches)
    assert (answer.nearest, answer.exit_code) == (name, 0)
    off = replace(table(name, *OTHER), states=table(name, *OTHER).states * 1.000001)
    wrong = judged(of_tableau(table("ddim", 10.0, 1.0, 0.0)), 2, None, on=Variations(both(of_tableau(off), "four")))
    assert wrong.exit_code == 1
    assert "on four: step 1: states[0] is " in words(wrong)


def test_other_levels_without_a_record_count_neither_way() -> None:
    """Assert it of a failure, of calls that depend on the values and of levels that are no grid; and of a wrong one."""
    right = of_tableau(table("ddim"))
    several = trace(euler((8.0, 3.0, 3.0, 0.1)), "data")
    for run in (Failure("error", "it fails"), several, replace(several, superposition=(float("inf"),) * 4)):
        grids = {("other", False): run, ("other", True): run, ("zero", True): run}
        answer = judged(right, 6, on=Variations(grids, zero="zero"))
        assert (answer.exit_code, answer.matches) == (0, ["ddim"])
    wrong = trace(of_tableau(table("edm-heun", *OTHER)), "data")
    answer = judged(right, 6, on=Variations({("other", False): wrong}))
    assert answer.exit_code == 1
    assert "on other: step 3: evaluation 3 is at lambda" in words(answer)


def test_a_last_step_to_zero_that_fails_is_an_error_where_it_is_needed() -> None:
    """Assert the message of an exception, and that a value that is not finite is another verdict."""
    right = of_tableau(table("ddim"))
    for kind, verdict in (("error", "error"), ("non-finite", "non-finite")):
        on = Variations({("zero", False): Failure(kind, "it fails", 7)}, zero="zero")
        answer = judged(right, 6, on=on)
        assert answer.verdict == verdict
        assert "on zero: it fails" in words(answer)
    assert answer.nearest == "ddim down to the level before"
    off = replace(table("ddim"), states=table("ddim").states * 1.001)
    wrong = judged(of_tableau(off), 6, on=on)
    assert (wrong.verdict, wrong.nearest) == ("non-finite", judged(of_tableau(off), 6).nearest)


def test_rows_on_other_numbers_of_steps_are_compared_in_both_precisions() -> None:
    """Assert that a fault in float64 alone is found in a run of twice the steps, and one of float32 in a longer one."""
    right = euler(SIGMAS)

    def wrong(start: Tensor, model: Model, draw: Draw) -> Finish:
        done = euler(levels)(start, model, draw)
        return done._replace(sample=1.001 * done.sample)

    for steps, at_fault, code in ((12, None, 0), (12, True, 1), (12, False, 1), (24, True, 0), (24, False, 1)):
        levels = tuple(torch.linspace(2, -2, steps + 1, dtype=FLOAT64).exp().tolist())
        sound, off = both(euler(levels), steps), both(wrong, steps)
        answer = judged(right, 6, more={key: off[key] if key[1] is at_fault else sound[key] for key in sound})
        assert answer.exit_code == code, (steps, at_fault)
        assert (f"on {steps} steps: " in words(answer)) == (code == 1)


def test_levels_that_are_no_grid_have_no_reference() -> None:
    """Assert the finding, and none for the same sampler on levels in order."""
    answer = judged(euler((10.0, 5.0, 5.0, 1.0)), 3)
    assert answer.exit_code == 1
    assert "no reference on this grid: grid.t[1:3]: got [5.0, 5.0]" in words(answer, "grid")
    assert judged(euler((10.0, 5.0, 4.0, 1.0)), 3).exit_code == 0


def test_a_run_that_ends_one_level_too_soon_is_named() -> None:
    """Assert the steps that are a record's, and no word of it where these are off by 1e-6."""

    def short(factor: float) -> Run:
        def run(start: Tensor, model: Model, draw: Draw) -> Finish:
            last = euler(SIGMAS[:-1])(factor * start, model, draw)
            return last._replace(grid=tuple(point("ve", 1.0, sigma) for sigma in SIGMAS))

        return run

    answer = judged(short(1.0), 6)
    assert answer.nearest == "ddim on steps 1 to 5"
    assert "it takes 5 steps, and none to the last level: noise is left" in words(answer, "grid")
    assert "noise is left" not in words(judged(short(1.000001), 6))
    assert judged(euler(SIGMAS), 6).nearest == "ddim"


# --- orders


def longer(make: Callable[[int], Run], *steps: int) -> dict[Any, Trace | Failure]:
    return {key: run for n in steps for key, run in both(make(n), n).items()}


def test_an_order_below_the_promised_one_is_an_error_and_a_start_of_order_two_is_not() -> None:
    """Assert it of Euler where 2 is promised, not where 1 is; nor of 2M where 3 is, whose start may be of order 2."""
    for name, promised, found in (("ddim", 2, True), ("ddim", 1, False), ("dpm-solver++-2m", 3, False)):

        def make(n: int, name: str = name) -> Run:
            return of_tableau(table(name, *geometric(n)))

        answer = judged(make(4), 4, "edm-heun", longer(make, 8, 16), advertised_order=promised)
        assert answer.verdict == "different-formula"
        said = words(answer, "order")
        assert ("is observed, where its name or options promise 2" in said) == found, said


def test_a_sampler_for_another_prediction_is_told_which() -> None:
    """Assert that Euler on noise, given data, does not converge and would on noise; and no word where it is right."""

    def make(n: int) -> Run:
        return euler(geometric(n), noise=True)

    answer = judged(make(4), 4, "ddim", longer(make, 8, 16), called=True)
    assert "it does not converge: with more steps N its error goes like N^" in words(answer, "order")
    assert (
        "it is consistent where its model returns noise or velocity, not data: verify it with --prediction noise"
        in words(answer)
    )
    plain = judged(make(4), 4, "ddim", longer(make, 8, 16))
    assert "--prediction" not in words(plain)


def test_orders_that_cannot_be_observed_are_said() -> None:
    """Assert it of equally many steps for different requests; an order is observed where the numbers differ."""

    def same(n: int) -> Run:
        return euler(geometric(4))

    answer = judged(same(4), 4, "ddim", longer(same, 8, 16))
    assert "it takes 4 steps, or equally many for different requests: no order" in words(answer, "grid")
    assert answer.observed_order is None
    right = judged(euler(geometric(4)), 4, "ddim", longer(lambda n: euler(geometric(n)), 8, 16))
    assert right.observed_order == pytest.approx(1, abs=0.3)


# --- code that computes in a narrower dtype


def narrow(factor: float, inside: torch.dtype) -> Verdict:
    """DDIM whose numbers are rounded to float32, and whose outputs are off by a factor."""
    made = table("ddim")
    runs = both(of_tableau(replace(made, outputs=factor * made.outputs)), 6)
    wide = runs[6, True]
    assert isinstance(wide, Trace)
    states = wide.vectors.float().double()
    rounded = {**runs, (6, True): replace(wide, vectors=states, inside=inside)}
    return judge(TargetInfo("ours", "ve"), rounded, 6, "ddim")


def test_rounding_inside_explains_a_float32_and_no_fault() -> None:
    """Assert the verdict and the words on float32; that 1e-6 in all rows is a fault, and a half too."""
    answer = narrow(1.0, torch.float32)
    assert (answer.verdict, answer.exit_code) == ("roundoff", 0)
    assert "it computes in float32 inside: the run in float64 deviates by " in words(answer)
    assert narrow(1.000001, torch.float32).verdict == "different-formula"
    half = narrow(1.0, torch.bfloat16)
    assert (half.verdict, half.findings[-1].detail) == ("different-formula", "it computes in bfloat16 inside")


# --- two outputs


def guided(weight: float = 3.0, *sigmas: float) -> Tableau:
    return with_conditions(guided_table(table("ddim", *sigmas), PLAIN), weight)


def moved(made: Tableau, rows: list[int], factor: float) -> Tableau:
    """The table whose output with the condition counts more in some rows, the other one less."""
    one, other = made.channels[CONDITIONAL].clone(), made.channels[UNCONDITIONAL].clone()
    more = (factor - 1) * one[rows]
    one[rows] += more
    other[rows] -= more
    return replace(made, channels={CONDITIONAL: one, UNCONDITIONAL: other})


def test_steps_that_read_by_another_rule_are_named() -> None:
    """Assert the steps in words and one as a fault, and neither where the first or the last step does so."""
    plus = with_conditions(guided_table(table("ddim"), CFG_PP), 3.0)
    for rows, said, fault in (
        ([2, 3], "; in steps 3, 4 CFG++ of ddim", True),
        ([0], "; in step 1 CFG++ of ddim", False),
    ):
        made = guided()
        mixed = {name: column.clone() for name, column in made.channels.items()}
        for name, column in mixed.items():
            column[rows] = plus.channels[name][rows]
        answer = judged(of_tableau(replace(made, channels=mixed)), 6)
        assert answer.guidance is not None
        assert answer.guidance.startswith(f"ddim on the guided outputs{said}; CFG++: a step starts with the data")
        assert ("step 3 reads the two outputs by another rule than most steps" in words(answer)) == fault
        assert answer.exit_code == int(fault)


def test_rows_of_no_rule_are_counted() -> None:
    """Assert three entries and the number of rows, and three alone where there are as many."""
    sigmas = tuple(10 * 0.6**k for k in range(10))
    for rows, more in (([1, 3, 5, 7], True), ([1, 3, 5], False)):
        answer = judged(of_tableau(moved(guided(3.0, *sigmas), rows, 1.01)), 9)
        errors = [f.detail for f in answer.findings if f.severity == "error"]
        assert [detail.partition(":")[0] for detail in errors[:3]] == ["step 2", "step 4", "step 6"]
        assert (errors[3:] == ["4 of 9 rows read the conditional and unconditional output otherwise"]) == more
        assert len(errors) == 3 + more


def test_outputs_that_are_not_two_are_said_and_not_judged() -> None:
    """Assert the words for one output, for three, and for a reference without a table of these outputs."""
    made = table("ddim")
    one = judged(of_tableau(replace(made, channels={CONDITIONAL: made.outputs})), 6)
    assert (one.guidance, one.exit_code) == ("ddim on the conditional output alone", 0)
    three = judged(of_tableau(replace(made, channels={name: made.outputs / 3 for name in ("a", "b", "c")})), 6)
    assert three.guidance == "ddim for equal outputs; how it reads these is not judged: a, b, c"
    run = without_repeated_evaluations(trace(of_tableau(guided()), "data"))
    heun = next(candidates(trace(of_tableau(table("edm-heun")), "data"), "ve", ("edm-heun",)))
    assert reading(run, heun, [1e-12] * 12) is None


def test_guidance_of_a_run_that_is_off_and_on_other_levels() -> None:
    """Assert its words where equal outputs differ from the record, and the place where the weight is another one."""
    made = guided()
    off = replace(made, outputs=made.outputs * 1.01, channels={k: v * 1.01 for k, v in made.channels.items()})
    answer = judged(of_tableau(off), 6)
    assert (answer.verdict, answer.exit_code) == ("different-formula", 1)
    assert answer.guidance is not None
    assert answer.guidance.startswith("ddim on the guided outputs; guided = unconditional + w")
    for factor, wrong in ((1.0, False), (1.000001, True)):
        there = both(of_tableau(moved(guided(3.0, *OTHER), [2], factor)), "four")
        twelve = tuple(10 * 0.7**k for k in range(13))
        answer = judged(of_tableau(made), 6, more=both(of_tableau(guided(3.0, *twelve)), 12), on=Variations(there))
        assert answer.exit_code == int(wrong), words(answer)
        assert ("on four: step 3: outputs[0] of the " in words(answer)) == wrong


def test_points_without_derivatives_show_no_order_of_velocities() -> None:
    """Assert the reason in words, where a model of data has an order."""

    def bare(n: int) -> Run:
        def run(start: Tensor, model: Model, draw: Draw) -> Finish:
            levels = [Point(1.0, sigma) for sigma in geometric(n)]
            x = start
            for k, (at, to) in enumerate(pairwise(levels)):
                x = x + (to.sigma - at.sigma) * model(x, at, k)
            return Finish(x, tuple(levels))

        return run

    runs = {key: run for n in (4, 8, 16) for key, run in both(bare(n), n, "velocity").items()}
    answer = judge(TargetInfo("ours", "ve"), runs, 4, "ddim")
    assert "no order can be observed: " in words(answer, "grid")
