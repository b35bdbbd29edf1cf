"""Tables read backwards: what is exact, what is solved, what is refused, and the figures of the papers' methods."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

import samplerproof as sp
from samplerproof.book.techniques import inversion
from samplerproof.book.techniques.on_the_line import M1, PLANE, exact_starts, trajectory, uniform_lambda, uniform_t
from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.inversion.backward_steps import amplification, backward_steps, blocks, ends
from samplerproof.numerics.inversion.edict import edict
from samplerproof.numerics.inversion.fixed_point import fixed_point
from samplerproof.numerics.inversion.invert import invert, round_trip
from samplerproof.numerics.inversion.reversed_grid import reversed_grid
from samplerproof.numerics.tableau import Tableau

STEPS = 12


def start(table: Tableau, mixture: sp.GaussianMixture = M1, count: int = 50) -> list[torch.Tensor]:
    x = mixture.sample(count, table.points[0], torch.Generator().manual_seed(0))
    return exact_starts(mixture, table, x)


@pytest.mark.parametrize("name", ["bdia-ddim?gamma=1", "bdia-ddim?gamma=9/10", "bdia-edm?gamma=1", "edict"])
def test_two_states_are_inverted_exactly_for_any_model(name: str) -> None:
    """Assert that a round trip is at rounding without a solved equation, also for a model that is no score."""
    at = uniform_t(STEPS)
    table = edict(at) if name == "edict" else sp.tabulate(name, at, "exact")
    trip = round_trip(M1, start(table), table)
    assert trip.inversion.exact
    assert trip.error < 1e-13

    def model(x: torch.Tensor, at: object, prediction: str) -> torch.Tensor:
        return torch.sin(x / 9)

    assert round_trip(model, start(table), table).error < 1e-11
    # Planted: the table that is inverted differs from the one that was run by 1e-6 in its last row.
    states = table.states.clone()
    states[-1] *= 1 + 1e-6
    back = invert(M1, trip.x0, replace(table, states=states))
    assert max(float((a - b).abs().max()) for a, b in zip(back.start, start(table), strict=True)) > 1e-8


@pytest.mark.parametrize(("share", "steps"), [("1/2", 20), ("1/2", 40), ("9/10", 60)])
def test_rounding_grows_by_the_inverse_share(share: str, steps: int) -> None:
    """Assert that BDIA's round trip is 2.2e-16 gamma^-(N-1) within a factor 3, from either side."""
    trip = inversion.bdia_round_trip(steps, share)
    growth = {"1/2": 2.0, "9/10": 10 / 9}[share]
    assert trip.inversion.amplification == pytest.approx(growth ** (steps - 1))
    assert trip.roundoff / 3 < trip.error < 3 * trip.roundoff


def test_edict_has_its_published_round_trip_and_amplification() -> None:
    at = uniform_t(STEPS)
    assert amplification(backward_steps(edict(at, 0.7))) == pytest.approx(0.7 ** (-2 * STEPS))
    assert inversion.edict_round_trip(100, 0.93).error < 1e-13
    lost = inversion.edict_round_trip(100, 0.7)
    assert 1 < lost.error < lost.roundoff


def test_edict_is_ddim_in_its_constant() -> None:
    """Assert the ratio of its error to DDIM's at 160 steps, and the errors at 10 and 20 steps."""
    ddim = trajectory(sp.tabulate("ddim", uniform_t(160)), M1, uniform_t(160))
    assert inversion.edict_errors(160, 0.93)[0] / ddim == pytest.approx(0.961, abs=0.01)
    assert inversion.edict_errors(10, 0.93)[0] == pytest.approx(0.859, rel=0.02)
    assert inversion.edict_errors(20, 0.93)[0] == pytest.approx(0.109, rel=0.02)
    # Planted: the second chain told the new level is another method, already at 20 steps.
    at = uniform_t(20)
    table = edict(at)
    told = [
        i for i in range(2, len(table.points)) if table.evaluated[i] and table.points[i] != at.points[table.step[i]]
    ]
    points = [at.points[table.step[i]] if i in told else point for i, point in enumerate(table.points)]
    wrong = replace(table, points=tuple(points))
    assert abs(trajectory(wrong, M1, at) / trajectory(table, M1, at) - 1) > 0.1


@pytest.mark.slow
def test_bdia_over_heun_gains_nothing_and_over_euler_a_third() -> None:
    assert inversion.heun_ratio(320, "1/2") == pytest.approx(0.9965, abs=0.002)
    assert inversion.heun_ratio(320, "1") == pytest.approx(0.994, abs=0.003)
    at = sp.grid(sp.schedule("edm"), "uniform-lambda", 320, t_min=0.05, t_max=20.0)
    ratio = trajectory(sp.tabulate("bdia-ddim", at), M1, at) / trajectory(sp.tabulate("ddim", at), M1, at)
    assert ratio == pytest.approx(0.3262, abs=0.005)


CASES = [("M1", M1, make, n) for make in (uniform_t, uniform_lambda) for n in (5, 10, 20, 50)]
CASES += [("plane", PLANE, make, n) for make in (uniform_t, uniform_lambda) for n in (5, 10, 20, 50)]


@pytest.mark.parametrize(
    ("mixture", "make", "steps"),
    [
        pytest.param(*case, id=f"{name}-{case[1].__name__}-{case[2]}", marks=() if case[2] == 10 else pytest.mark.slow)
        for name, *case in CASES
    ],
)
def test_anderson_converges_in_twenty_evaluations(mixture: sp.GaussianMixture, make: object, steps: int) -> None:
    """Assert that every step of DDIM is inverted to 1e-13, and the sample is returned to."""
    at = make(steps)  # type: ignore[operator]
    table = sp.tabulate("ddim", at)
    x0 = sp.sample(mixture, start(table, mixture, 200), table)
    found = sp.invert(mixture, x0, table, tolerance=1e-13)
    assert max(found.iterations) <= 20
    assert not found.exact
    assert float((sp.sample(mixture, found.start, table) - x0).abs().max()) < 1e-12


@pytest.mark.parametrize(("mixture", "steps"), [(M1, 10), (PLANE, 5), (PLANE, 10)])
def test_plain_iteration_fails_where_the_slope_is_above_one(mixture: sp.GaussianMixture, steps: int) -> None:
    table = sp.tabulate("ddim", uniform_t(steps))
    x0 = sp.sample(mixture, start(table, mixture, 200), table)
    step = rf"step {steps}: the inverse did not converge in 200 evaluations by plain: residual \S+, above 1e-13"
    with pytest.raises(sp.SamplingError, match=step):
        sp.invert(mixture, x0, table, solver="plain", tolerance=1e-13)


@pytest.mark.parametrize("name", ["ddim", "dpm-solver++-2m"])
def test_no_larger_residual_is_left_than_the_tolerance(name: str) -> None:
    """Assert it for tolerances just below a residual that is left, of vectors below 1, and that it is close."""
    table, x0 = sp.tabulate(name, uniform_lambda(4)), torch.full((1, 1), 0.1, dtype=torch.float64)
    tolerance = 1e-4
    for _ in range(3):
        left = sp.invert(M1, x0, table, solver="plain", tolerance=tolerance).residual
        assert tolerance / 30 < left <= tolerance
        tolerance = 0.75 * left


def test_guided_models_are_inverted_too() -> None:
    """Assert that guidance of scale 7.5 keeps Anderson below nine evaluations at 20 steps."""
    one = sp.GaussianMixture([1.0], [0.9], stds=[0.35])
    denoise, table = sp.guided(one, M1, 7.5), sp.tabulate("ddim", uniform_t(20))
    x0 = sp.sample(denoise, start(table), table)
    assert max(sp.invert(denoise, x0, table).iterations) <= 8


def test_anderson_ends_on_an_affine_map_after_d_plus_one_values() -> None:
    slope = torch.tensor([[3.0, 1.0], [0.0, -2.0]], dtype=torch.float64)
    z = torch.randn(7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = fixed_point(lambda x: x @ slope + 1, z, memory=2, tolerance=1e-12)
    assert found.converged
    assert found.evaluations == 4  # the third value gives the fixed point, the fourth confirms it
    assert not fixed_point(lambda x: x @ slope + 1, z, "plain", limit=50).converged


@pytest.mark.slow
def test_inversion_on_the_reversed_grid_has_the_orders_of_its_methods() -> None:
    """Assert slopes 2 and 1 and the factor between 2M and DDIM, and that the leading error is known beforehand."""
    for name, order, within in (("dpm-solver++-2m", 2, 0.15), ("ddim", 1, 0.1)):
        errors = [inversion.latent_error(name, n) for n in (40, 80, 160)]
        for coarse, fine in itertools.pairwise(errors):
            assert torch.tensor(coarse / fine).log2().item() == pytest.approx(order, abs=within)
    assert inversion.measure_dpm_inversion().number >= 20


@pytest.mark.parametrize(("name", "errors"), [("dpm-solver++-2m", (3.4e-2, 9.6e-5)), ("ddim", (0.443, 0.031))])
def test_inversion_on_the_reversed_grid_in_the_plane(name: str, errors: tuple[float, float]) -> None:
    """Assert the error of the latent at 10 and 160 steps, to the digits of the figures."""
    for steps, expected in zip((10, 160), errors, strict=True):
        at = uniform_lambda(steps)
        z = PLANE.sample(400, at.points[0], torch.Generator().manual_seed(0))
        x0 = sp.sample(PLANE, z, sp.tabulate(name, at))
        back = sp.sample(PLANE, x0, sp.tabulate(name, reversed_grid(at)))
        assert sp.metrics.trajectory(back, z) == pytest.approx(expected, rel=0.05)


SLOW = [pytest.param(name, 80, marks=pytest.mark.slow) for name in ("ddim", "dpm-solver++-2m")]


@pytest.mark.parametrize(("name", "steps"), [("ddim", 20), *SLOW])
def test_the_error_on_a_reversed_grid_is_predicted(name: str, steps: int) -> None:
    at, back = uniform_lambda(steps), reversed_grid(uniform_lambda(steps))
    z = M1.sample(400, at.points[0], torch.Generator().manual_seed(0))
    x0, _ = sp.exact_flow(M1, z, at.points[0], at.points[-1])
    measured = sp.metrics.trajectory(sp.sample(M1, x0, sp.tabulate(name, back)), z)
    assert measured == pytest.approx(sp.predict_error(name, M1, back, start="ramp").at("trajectory", steps), rel=0.05)


def test_the_end_vectors_are_those_of_a_further_step() -> None:
    at = uniform_t(5)
    assert ends(sp.tabulate("bdia-ddim", at, "exact")) == [4, 5]
    assert ends(edict(at)) == [20, 21]
    table = sp.tabulate("bdia-edm", at, "exact")
    assert [table.points[i] for i in ends(table)] == list(at.points[4:])
    assert [step.kind for step in backward_steps(sp.tabulate("ddim", at))] == ["implicit"] * 5


REFUSED = {
    "dpm-solver++-2m": r"'row 0 \(step 2\)'; .* it reads the model at v_0, which no row carries",
    "ddpm": r"'row 0'; ddpm has no inverse: the row draws noise",
    "bdia-ddim?gamma=0": r"bdia-ddim\?gamma=0 has no inverse: it carries no unknown state",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_without_an_inverse_is_refused_by_its_row(name: str) -> None:
    start = "exact" if name.startswith(("bdia", "dpm")) else "ramp"
    table = sp.tabulate(name, uniform_t(5), start)
    x = torch.zeros(2, 1, dtype=torch.float64)
    with pytest.raises(sp.InputError, match=REFUSED[name]):
        sp.invert(M1, [x] * table.given, table)


WHOLE = ("edm-heun", "dpm-solver++-2m", "exp-adams-3", "unipc-2")


@pytest.mark.parametrize("name", WHOLE)
def test_whole_steps_are_inverted_to_rounding(name: str) -> None:
    """Assert the start, and that its error is the one predicted; another table, and one sweep, have another start."""
    table = sp.tabulate(name, uniform_lambda(8))
    x = start(table, M1, 20)[0]
    trip = round_trip(M1, x, table)
    assert trip.error < 1e-12
    assert 0.5 < trip.error / trip.roundoff < 2
    assert not trip.inversion.exact
    states = table.states.clone()
    states[-1] *= 1 + 1e-6  # planted
    assert float((sp.invert(M1, trip.x0, replace(table, states=states)).start[0] - x).abs().max()) > 1e-7
    with pytest.raises(sp.SamplingError, match=r"the inverse did not converge in 1 sweeps by anderson: residual"):
        sp.invert(M1, trip.x0, table, limit=1)


def test_whole_steps_of_a_model_that_is_no_score_are_inverted() -> None:
    """Assert it in float32 too, and for samples of a picture's shape."""

    model = sp.adapt(lambda x, at: torch.sin(x.mean(dim=(1, 2), keepdim=True) + x / 9) / 2, "noise")
    for dtype, least in ((torch.float64, 1e-11), (torch.float32, 2e-3)):
        for name in ("edm-heun", "dpm-solver++-2m"):
            table = sp.tabulate(name, uniform_lambda(8))
            x = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0), dtype=dtype)
            assert round_trip(model, x, table, dtype=dtype).error < least


def test_heun_is_solved_step_by_step_and_2m_as_one() -> None:
    heun, multistep = (backward_steps(sp.tabulate(name, uniform_t(5))) for name in WHOLE[:2])
    assert [len(block) for block in blocks(heun)] == [2] * 5
    assert [len(block) for block in blocks(multistep)] == [5]
    assert [len(block) for block in blocks(backward_steps(edict(uniform_t(5))))] == [1] * 20


def test_a_map_that_folds_has_another_start() -> None:
    """Assert that the run from it ends at the same sample, in the plane in 5 steps of 2M."""
    table = sp.tabulate("dpm-solver++-2m", uniform_t(5))
    trip = round_trip(PLANE, start(table, PLANE, 100)[0], table)
    assert trip.error > 0.1
    assert float((sp.sample(PLANE, trip.inversion.start, table) - trip.x0[0]).abs().max()) < 1e-11


def test_steps_that_cannot_be_solved_together_are_named() -> None:
    table = sp.tabulate("exp-adams-3", uniform_t(5))
    x0 = sp.sample(PLANE, start(table, PLANE, 100)[0], table)
    with pytest.raises(sp.SamplingError, match=r"^steps 1 to 5: the inverse did not converge in 30 sweeps by anderson"):
        sp.invert(PLANE, x0, table, limit=30)


@pytest.mark.slow  # all tables
def test_the_tables_of_the_catalogue_that_have_an_inverse() -> None:
    """Assert that every method without noise has one: two exact, four by equations of one vector, others of several."""
    kinds: dict[str, set[str]] = {"exact": set(), "implicit": set(), "whole": set()}
    for name, record in METHODS.items():
        if not record.stochastic:
            steps = backward_steps(
                sp.tabulate(name, uniform_t(6), start="exact" if name.startswith("bdia") else "ramp")
            )
            whole, solved = any(step.later for step in steps), any(step.kind == "implicit" for step in steps)
            kinds["whole" if whole else "implicit" if solved else "exact"].add(name)
    assert kinds["exact"] == {"bdia-ddim", "bdia-edm"}
    assert kinds["implicit"] == {"ddim", "lambda-ddim", "li-ddim", "flow-euler"}
    assert {"edm-heun", "dpm-solver++-2m", "pndm", "unipc-3"} < kinds["whole"]
    assert all(f"`{name}`" in inversion.AIDI.known for which in ("exact", "implicit") for name in kinds[which])


@pytest.mark.parametrize("name", ["ddim", "flow-euler", "dpm-solver++-2m"])
def test_a_start_of_pure_noise_is_inverted(name: str) -> None:
    """Assert it at alpha = 0, where the noise is the state and the step is solved in the data prediction."""
    at = sp.grid(sp.schedule("flow"), "uniform-t", 5, t_min=0.01, t_max=1.0)
    table = sp.tabulate(name, at)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    assert round_trip(M1, x, table).error < 1e-11


def test_bad_input_is_one_line() -> None:
    at, x = uniform_t(5), torch.zeros(2, 1, dtype=torch.float64)
    table = sp.tabulate("ddim", at)
    with pytest.raises(sp.InputError, match=r"^p: got 0; a number in \(0, 1\]"):
        edict(at, 0)
    with pytest.raises(sp.InputError, match=r"^x0: got '1 vectors'; 2, those that a further step would read"):
        sp.invert(M1, x, edict(at))
    with pytest.raises(sp.InputError, match=r"^solver: got 'newton'; one of anderson, average, plain"):
        sp.invert(M1, x, table, solver="newton")
    with pytest.raises(sp.InputError, match=r"^memory: got 0; at least 1"):
        sp.invert(M1, x, table, memory=0)
    with pytest.raises(sp.InputError, match=r"^limit: got 0; at least 1"):
        sp.invert(M1, x, table, limit=0)
    with pytest.raises(sp.InputError, match=r"^x0\[0\]: got \(0, 1\); one shape, with a batch first"):
        sp.invert(M1, x[:0], table)
    with pytest.raises(sp.InputError, match=r"^dtype: got torch.int32; a floating point dtype"):
        sp.invert(M1, x, table, dtype=torch.int32)
    with pytest.raises(sp.InputError, match=r"^grid: got 'sigma = 0 at an end'"):
        reversed_grid(sp.Grid.from_sigmas([1.0, 0.5, 0.0]))
    with pytest.raises(sp.InputError, match=r"^gamma: got|^method: got"):
        sp.tabulate("bdia-edm?gamma=2", at)
