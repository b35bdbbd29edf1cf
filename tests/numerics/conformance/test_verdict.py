"""Verdicts on our own tables: right ones conform, planted faults are found, located and named."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from shapes import first_of_each
from torch import Tensor

from samplerproof.numerics.catalogue import resolve
from samplerproof.numerics.coefficients import plan, with_history
from samplerproof.numerics.conformance.forward_processes import PROCESSES, clock_at, grid_of, point
from samplerproof.numerics.conformance.judge.compare import deviations
from samplerproof.numerics.conformance.judge.references import candidates, where_it_evaluates
from samplerproof.numerics.conformance.judge.rounding_bound import compared
from samplerproof.numerics.conformance.judge.verdict import Runs, judge
from samplerproof.numerics.conformance.report import Failure, TargetInfo, Verdict
from samplerproof.numerics.external_run import Draw, Finish, Model, Run
from samplerproof.numerics.grids import Grid
from samplerproof.numerics.points import Point
from samplerproof.numerics.readback import Trace, of_tableau, trace
from samplerproof.numerics.tableau import Tableau, assemble, tabulate

STEPS = 8


def grid(steps: int) -> Grid:
    lam = torch.linspace(-3, 3, steps + 1, dtype=torch.float64)
    return grid_of("vp", [point("vp", math.cos(t), math.sin(t)) for t in PROCESSES["vp"].time(lam).tolist()])


def read(run: Run, dtype: torch.dtype = torch.float64) -> Trace:
    """The trace of a run with data predictions."""
    return trace(run, "data", dtype)


def runs_of(make: Callable[[int], Run]) -> Runs:
    runs = {}
    for n in (STEPS, 2 * STEPS, 4 * STEPS, 8 * STEPS):
        runs[n, False], runs[n, True] = read(make(n), torch.float32), read(make(n), torch.float64)
    return runs


def verdict(make: Callable[[int], Run], reference: str | None, advertised: int | None = None) -> Verdict:
    return judge(TargetInfo("ours", "vp", reference, advertised), runs_of(make), STEPS)


def briefly(make: Callable[[int], Run], reference: str) -> Verdict:
    """The verdict without orders."""
    runs = {(STEPS, False): read(make(STEPS), torch.float32), (STEPS, True): read(make(STEPS))}
    return judge(TargetInfo("ours", "vp", reference, None), runs, STEPS)


def spoilt(name: str, spoil: Callable[[Tableau], Tableau]) -> Callable[[int], Run]:
    return lambda n: of_tableau(spoil(tabulate(name, grid(n))))


def plain(name: str) -> Callable[[int], Run]:
    return spoilt(name, lambda tableau: tableau)


@pytest.mark.parametrize(
    ("name", "order"), [("ddim", 1), ("dpm-solver++-2m", 2), ("exp-adams-3", 3), ("dpm-solver++-3m-published", 2)]
)
def test_a_right_sampler_conforms_and_shows_its_order(name: str, order: int) -> None:
    answer = verdict(plain(name), name)
    assert answer.verdict in ("roundoff", "identical")
    assert name in answer.matches
    assert answer.exit_code == 0
    assert answer.nominal_order == order
    assert answer.observed_order == pytest.approx(order, abs=0.35)
    middle = answer.local_orders[STEPS // 2]
    assert middle is not None
    assert order - 0.2 < middle < order + 0.5
    assert answer.guidance is None


def test_an_order_far_below_the_proved_one_is_no_conformity() -> None:
    """Assert it of DDIM on 8 steps that is 10 % off on more, where rows are not compared; and not where it is right."""

    def wrong(n: int) -> Run:
        return spoilt("ddim", lambda tableau: replace(tableau, states=tableau.states * 0.9))(n)

    right = {(STEPS, False): read(plain("ddim")(STEPS), torch.float32), (STEPS, True): read(plain("ddim")(STEPS))}
    for make, verdict in ((wrong, "different-formula"), (plain("ddim"), "roundoff")):
        longer = {(k * STEPS, True): read(make(k * STEPS)) for k in (2, 4, 8)}
        answer = judge(TargetInfo("ours", "vp", "ddim", None), {**right, **longer}, STEPS)
        assert answer.verdict == verdict
        assert answer.exit_code == int(make is wrong)
        lines = [f.detail for f in answer.findings if f.kind == "order"]
        assert [line.startswith("order -0.") and "1 is proved for ddim" in line for line in lines] == [True] * len(
            lines
        )
        assert len(lines) == int(make is wrong)


def test_rows_on_twice_the_steps_are_compared_in_float64() -> None:
    """Assert that what is off by 1e-6 there, which float32 does not show, is another formula."""

    def times(factor: float) -> Callable[[int], Run]:
        return spoilt("ddim", lambda tableau: replace(tableau, outputs=tableau.outputs * factor))

    for factor, verdict in ((1.0, "roundoff"), (1 + 1e-6, "different-formula")):
        runs = {
            (k * STEPS, exact): read(times(factor if k == 2 else 1.0)(k * STEPS), dtype)
            for k in (1, 2)
            for exact, dtype in ((False, torch.float32), (True, torch.float64))
        }
        answer = judge(TargetInfo("ours", "vp", "ddim", None), runs, STEPS)
        assert (answer.verdict, answer.exit_code) == (verdict, int(factor != 1))


def test_a_weak_order_shows_on_a_gaussian() -> None:
    answer = verdict(plain("ddpm"), "ddpm")
    assert answer.exit_code == 0
    assert answer.observed_order == pytest.approx(1, abs=0.3)
    assert answer.local_orders == [None] * STEPS  # noise is drawn in every step


def test_an_advertised_order_that_is_too_high_is_an_error() -> None:
    answer = verdict(plain("dpm-solver++-3m-published"), "dpm-solver++-3m-published", advertised=3)
    assert answer.exit_code == 1
    (finding,) = [f for f in answer.findings if f.kind == "order"]
    assert "order 3" in finding.detail
    assert verdict(plain("exp-adams-3"), "exp-adams-3", advertised=3).exit_code == 0


@pytest.mark.check
def test_another_record_than_the_named_one_is_found_by_name() -> None:
    answer = verdict(plain("exp-adams-2"), "dpm-solver++-2m")
    assert answer.verdict == "different-formula"
    assert answer.exit_code == 1
    assert answer.matches == ["exp-adams-2"]
    assert answer.findings[0].step == 2  # the first step is DDIM's in both


def test_of_two_records_that_are_one_table_the_order_is_the_higher() -> None:
    """Assert that a rule of free stages has the order that is proved for these, where its rows are nearer by an ulp."""
    free = read(plain("dpm-solver++-3s-free?r1=4/9&r2=2/3")(STEPS))
    variants = [ref.table for ref in candidates(free, "vp", ("dpm-solver++-3s-free",))]
    made = of_tableau(min(variants, key=lambda table: max(d.error for d in deviations(free.table, table))))
    runs = {(STEPS, False): read(made, torch.float32), (STEPS, True): read(made)}
    answer = judge(TargetInfo("ours", "vp", None, 3), runs, STEPS)
    assert len(answer.matches) == 2, answer.matches
    assert (answer.nominal_order, answer.exit_code) == (3, 0)


def changed(tableau: Tableau, row: int, entry: str, factor: float) -> Tableau:
    values = getattr(tableau, entry).clone()
    lag = int(values[row].nonzero()[-1])
    values[row, lag] *= factor
    return replace(tableau, **{entry: values})


FAULTS = [
    ("dpm-solver++-2m", 3, "outputs", -1.0),
    ("dpm-solver++-2m", 5, "outputs", 1 + 1e-6),
    ("ddim", 2, "states", 1 + 1e-6),
    ("ddim", 7, "outputs", 1.01),
    ("exp-adams-3", 4, "outputs", 0.5),
    ("ddpm", 3, "noises", 1 + 1e-6),
    ("ddpm", 6, "noises", 0.0),
    ("sde-dpm-solver++-2m", 4, "noises", math.sqrt(2)),
]


@pytest.mark.parametrize(("name", "row", "entry", "factor"), first_of_each(FAULTS, lambda fault: fault[2]))
def test_a_planted_fault_is_found_at_its_step_and_entry(name: str, row: int, entry: str, factor: float) -> None:
    answer = briefly(spoilt(name, lambda tableau: changed(tableau, row, entry, factor)), name)
    assert answer.verdict == "different-formula"
    off = [step for step in answer.steps if step.error_float64 > max(1e-14, 1e-6 * step.error)]
    assert [step.step for step in off] == [row + 1]
    assert off[0].entry.startswith(entry)
    assert any(f.kind == "formula" and f.step == row + 1 for f in answer.findings)


@pytest.mark.parametrize(("size", "verdict"), [(1e-10, "roundoff"), (1e-6, "different-formula")])
def test_a_least_variance_is_rounding_and_more_noise_is_not(size: float, verdict: str) -> None:
    def noisy(tableau: Tableau) -> Tableau:
        noises = torch.zeros(len(tableau.states), 1, dtype=torch.float64)
        noises[-1] = size
        return replace(tableau, noises=noises)

    answer = briefly(spoilt("ddim", noisy), "ddim")
    assert answer.verdict == verdict
    assert any("noises[0]" in f.detail and f.step == STEPS for f in answer.findings)


def test_a_step_of_lower_order_in_the_middle_is_named() -> None:
    """Row 4 of 2M replaced by DDIM's: whose row it is stands in the finding."""

    def lower(tableau: Tableau) -> Tableau:
        n = len(tableau.outputs)
        euler = tabulate("ddim", grid(n))
        outputs = tableau.outputs.clone()
        outputs[4] = 0
        outputs[4, : euler.outputs.shape[1]] = euler.outputs[4]
        return replace(tableau, outputs=outputs)

    answer = briefly(spoilt("dpm-solver++-2m", lower), "dpm-solver++-2m")
    assert answer.verdict == "different-formula"
    (finding,) = [f for f in answer.findings if f.step == 5]
    assert "ddim" in finding.detail


@pytest.mark.parametrize("prediction", ["data", "noise"])
def test_a_last_step_and_a_start_of_other_orders_are_named(prediction: str) -> None:
    """Assert both, also where states are in the rows of another prediction, and that a last step of 1 + 1e-6 is off."""
    on, record, start = grid(STEPS), resolve("exp-adams-3"), resolve("dpm-solver++-2m")
    own = plan(record, on)
    first = [*own[:-1], with_history(record, 0)]
    other = [start if m is not None and m.name == "exp-adams-2" else m for m in own]
    for methods, words in ((first, "last step of first order"), (other, "started by dpm-solver++-2m")):
        table = assemble(record, methods, on)
        outputs = table.outputs.clone()
        outputs[-1, 0] *= 1 + 1e-6
        for made, conforms in ((table, True), (replace(table, outputs=outputs), False)):
            found = trace(of_tableau(made, prediction), prediction, torch.float64)
            variants = {ref.ending: ref.table for ref in candidates(found, "vp", ("exp-adams-3",))}
            assert (max(d.error for d in deviations(found.table, variants[words])) < 1e-13) == conforms


@pytest.mark.parametrize(("name", "lost"), [("ddim-eta?eta=1", []), ("ddim", [2])])
def test_a_step_that_its_noise_shortens_may_lose_digits(name: str, lost: list[int]) -> None:
    """Assert that 2e-13 is rounding where a level is a difference of squares, not elsewhere, and 1e-6 never."""
    table = tabulate(name, grid_of("ve", [point("ve", 1.0, sigma) for sigma in (80.0, 8.0, 0.8, 0.02)]))
    for size, off in ((0.0, []), (2e-13, lost), (1e-6, [2])):
        outputs = table.outputs.clone()
        outputs[-1, 0] *= 1 + size
        found = read(of_tableau(replace(table, outputs=outputs), "data"))
        assert compared(found, next(candidates(found, "ve", (name,))), "ve").off == off


def test_a_step_that_does_not_chain_has_no_order() -> None:
    """Assert it of DDIM with a fifth step that leads further than to its grid point."""

    def further(n: int) -> Run:
        lam = torch.linspace(-3, 3, n + 1, dtype=torch.float64)
        lam[5] += 0.1 / n
        moved = grid_of("vp", [point("vp", math.cos(t), math.sin(t)) for t in PROCESSES["vp"].time(lam).tolist()])
        return of_tableau(replace(tabulate("ddim", moved), points=tabulate("ddim", grid(n)).points))

    answer = verdict(further, "ddim")
    assert (5, "grid") in [(f.step, f.kind) for f in answer.findings]
    assert answer.local_orders[4] is None
    assert None not in answer.local_orders[:4]
    assert None not in verdict(plain("ddim"), "ddim").local_orders


def test_an_evaluation_elsewhere_is_found_with_its_step() -> None:
    """Assert step and words for Heun's third evaluation, where DDIM begins its third step, and the other way round."""
    heun = trace(plain("edm-heun")(STEPS), "noise")
    lam = float(grid(STEPS).columns.lam[1])
    step, detail = where_it_evaluates(heun, "vp", "ddim")
    assert step == 3
    assert detail == (
        f"step 3: evaluation 3 is at lambda = {lam:.6g}, in the step to grid point 1; "
        "that of ddim is in the step to grid point 2"
    )
    assert where_it_evaluates(read(plain("ddim")(STEPS)), "vp", "edm-heun")[0] == 2


def test_the_clocks_of_points() -> None:
    """Assert t, lambda, rho and rho^2 where sigma/alpha = 4/3, and rho^2 = 0 without noise."""
    at = [Point(0.6, 0.8, 0.3), Point(1.0, 0.0, 0.1)]
    expected = {"t": (0.3, 0.1), "lam": (math.log(0.75), math.inf), "rho": (4 / 3, 0.0), "rho2": (16 / 9, 0.0)}
    for clock, values in expected.items():
        assert clock_at(clock, at).tolist() == pytest.approx(values, rel=1e-15)


def test_clipping_is_not_linear() -> None:
    def make(n: int) -> Run:
        inner = of_tableau(tabulate("ddim", grid(n)))

        def run(start: Tensor, model: Model, draw: Draw) -> Finish:
            return inner(start, lambda x, at, to: model(x, at, to).clamp(-1, 1), draw)

        return run

    answer = judge(TargetInfo("ours", "vp", "ddim", nonlinear=("clip=true",)), runs_of(make), STEPS)
    assert answer.verdict == "not-linear"
    assert answer.exit_code == 2
    assert "clip=true" in answer.findings[0].detail


def test_longer_runs_that_depend_on_the_values_are_left_out() -> None:
    runs = runs_of(plain("ddim"))
    for key in [key for key in runs if key[0] != STEPS]:
        runs[key] = replace(runs[key], vectors=runs[key].vectors[:, :1], superposition=(math.inf,))
    answer = judge(TargetInfo("ours", "vp", "ddim", None), runs, STEPS)
    assert (answer.verdict, answer.observed_order, list(answer.growth)) == ("roundoff", None, [STEPS])
    bent = {(STEPS, float64): replace(runs[STEPS, float64], superposition=(math.inf,)) for float64 in (False, True)}
    answer = judge(TargetInfo("ours", "vp", "ddim", None), bent, STEPS)
    assert (answer.verdict, answer.exit_code) == ("not-linear", 2)


def test_values_that_are_not_finite_are_located() -> None:
    def spoil(tableau: Tableau) -> Tableau:
        outputs = tableau.outputs.clone()
        outputs[5] = math.nan
        return replace(tableau, outputs=outputs)

    runs = {(STEPS, float64): read(spoilt("ddim", spoil)(STEPS)) for float64 in (False, True)}
    answer = judge(TargetInfo("ours", "vp", "ddim", None), runs, STEPS)
    assert answer.verdict == "non-finite"
    assert (answer.findings[0].kind, answer.findings[0].step) == ("non-finite", 6)


def test_a_run_that_failed_is_an_error() -> None:
    runs = {(STEPS, False): Failure("error", "ValueError: no", 3), (STEPS, True): read(plain("ddim")(STEPS))}
    answer = judge(TargetInfo("ours", "vp", "ddim", None), runs, STEPS)
    assert (answer.verdict, answer.exit_code) == ("error", 2)
    assert answer.findings[0].step == 3
