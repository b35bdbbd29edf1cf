"""One number a step fitted to a teacher: D-DDIM, D-ODE solvers over any table, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import samplerproof as sp
from samplerproof.book.techniques.distilled_solvers import distilled, edm_errors, teacher_share
from samplerproof.book.techniques.line_errors import M2, line_errors, start_law
from samplerproof.book.techniques.on_the_line import M1, PLANE, uniform_lambda, uniform_t
from samplerproof.numerics.fitted_solvers.fit import corrected, fit_one_parameter

UNIFORM_T_10 = (1.322, 1.497, 1.190, 1.034, 0.905, 0.805, 0.725, 0.580, 0.438)


def _as_released(at: sp.Grid, x: Tensor, weights: Tensor, shift: float = 0.0) -> tuple[list[float], Tensor]:
    """lambda and the end of D-DDIM on noise predictions by the code's own way: lstsq on flattened, weighted samples."""
    found, before = list[float](), None
    start = x
    for n, (old, new) in enumerate(zip(at.points, at.points[1:], strict=False)):
        noise = M1(x, old, "noise")
        plain = new.alpha * (x - old.sigma * noise) / old.alpha + new.sigma * noise
        if before is not None:
            target, _ = sp.exact_flow(M1, start, at.points[0], new)
            root = weights.sqrt()[:, None]
            a, b = ((noise - before) * root).flatten()[:, None], ((target - plain) * root).flatten()
            number = float(torch.linalg.lstsq(a, b).solution)
            found.append(number / (new.alpha * (new.sigma / new.alpha - old.sigma / old.alpha)) + shift)
            plain = plain + number * (noise - before)
        before, x = noise, plain
        assert n < at.steps
    return found, x


def test_the_numbers_of_ten_steps() -> None:
    """Assert lambda, to 0.005, and that it and the run are those of the released way by lstsq, and no shifted ones."""
    at = uniform_t(10)
    fitted = distilled(at, points=1001)
    numbers = [number - 1 for number in fitted.numbers if number is not None]
    assert fitted.numbers[0] is None
    assert numbers == pytest.approx(UNIFORM_T_10, abs=0.005)
    x, weights = start_law(M1, at, 1001)
    theirs, end = _as_released(at, x, weights)
    assert numbers == pytest.approx(theirs, rel=1e-9)
    assert numbers != pytest.approx(_as_released(at, x, weights, shift=1e-6)[0], rel=1e-9)
    assert float((sp.sample(M1, x, fitted.tableau) - end).abs().max()) < 1e-12
    assert all(after <= before for before, after in filter(None, fitted.distances))


@pytest.mark.parametrize(
    ("make", "steps", "distances", "variations"),
    [
        (uniform_t, 10, (0.1383, 0.0582), (0.1241, 0.1088)),
        (uniform_lambda, 20, (0.0728, 0.0085), (0.0500, 0.0124)),
        pytest.param(uniform_t, 5, (0.2851, 0.1222), (0.2377, 0.2513), marks=pytest.mark.slow),
        pytest.param(uniform_t, 20, (0.0710, 0.0140), (0.0619, 0.0122), marks=pytest.mark.slow),
        pytest.param(uniform_t, 40, (0.0362, 0.0042), (0.0312, 0.0027), marks=pytest.mark.slow),
        pytest.param(uniform_lambda, 10, (0.1438, 0.0240), (0.1018, 0.0334), marks=pytest.mark.slow),
        pytest.param(uniform_lambda, 80, (0.0184, 0.0007), (0.0123, 0.0010), marks=pytest.mark.slow),
    ],
)
def test_errors_with_an_exact_teacher(
    make: Callable[[int], sp.Grid], steps: int, distances: tuple[float, float], variations: tuple[float, float]
) -> None:
    """Assert the errors without numbers and with them, distance and TV, to 2 % or to the digits of the figure."""
    at = make(steps)
    fitted = distilled(at, points=1001)
    found = [line_errors(M1, at, table, points=1001) for table in ("ddim", fitted.tableau)]
    assert [error for _, error in found] == pytest.approx(distances, rel=0.02, abs=6e-5)
    assert [error for error, _ in found] == pytest.approx(variations, rel=0.02, abs=6e-5)


def test_numbers_of_one_target_serve_another() -> None:
    """Assert the error on M2 with the numbers of M1, and DDIM's."""
    at = uniform_lambda(20)
    found = [line_errors(M2, at, table, points=501)[1] for table in ("ddim", distilled(at, points=301).tableau)]
    assert found == pytest.approx((0.1091, 0.0140), rel=0.02)


def test_lambda_tends_to_that_of_order_two() -> None:
    """Assert that an exact teacher takes lambda to h/(2 h_prev), nearer with more steps, and the second to 1."""
    gaps = []
    for steps in (20, 40):
        at = uniform_lambda(steps)
        h = at.columns.rho.diff()
        wanted = h[1:] / (2 * h[:-1])
        numbers = torch.tensor([number - 1 for number in distilled(at, points=101).numbers if number is not None])
        gaps.append(float((numbers[2:] / wanted[2:] - 1).abs().max()))
        assert float(numbers[0]) == pytest.approx(1, abs=1.5 / steps)
    assert gaps[1] < 0.7 * gaps[0]


@pytest.mark.slow
@pytest.mark.parametrize(("count", "ratio"), [(2, 0.4955), (4, 0.2427), (10, 0.0916)])
def test_a_teacher_with_an_error_passes_it_on(count: int, ratio: float) -> None:
    """Assert that S times the steps of DDIM leave 1/S of DDIM's error, to 10 %, and the figure to 2 %."""
    found = teacher_share(160, count)
    assert found == pytest.approx(ratio, rel=0.02)
    assert found == pytest.approx(1 / count, rel=0.1)


@pytest.mark.slow
def test_targets_of_the_released_edm_code_are_beside_the_levels() -> None:
    """Assert the errors on EDM's grid: plain, as released, and with nested levels, two to three times smaller."""
    for levels, expected in ((10, (0.2255, 0.1180, 0.0522)), (18, (0.1237, 0.0677, 0.0234))):
        assert edm_errors(levels) == pytest.approx(expected, rel=0.03)


def test_a_correction_over_any_table() -> None:
    """Assert that D-ODE over Heun on EDM's grid is nearer to the flow, and over DDIM in the plane too."""
    heun = sp.grid(sp.schedule("edm"), "karras", 6, sigma_min=0.02, sigma_max=80.0)
    x, weights = start_law(M1, heun, 201)
    y = PLANE.sample(20, uniform_t(6).points[0], torch.Generator().manual_seed(0))
    for mixture, at, name, start, share in ((M1, heun, "edm-heun", x, weights), (PLANE, uniform_t(6), "ddim", y, None)):
        target, table = sp.techniques.exact_target(mixture, start, at.points[0]), sp.tabulate(name, at)
        fitted = sp.techniques.d_ode(table, mixture, start, target, weights=share)
        assert [number is None for number in fitted.numbers] == [True] + [False] * (len(fitted.numbers) - 1)
        errors = [
            sp.metrics.trajectory(sp.sample(mixture, start, made), target(at.points[-1]), share)
            for made in (table, fitted.tableau)
        ]
        assert errors[1] < 0.6 * errors[0]
        assert corrected(table, {}).isclose(table, rtol=0, atol=0)


def test_any_affine_parameter_is_fitted_inside_its_domain() -> None:
    """Assert that BDIA's share is fitted, and no further than 1."""
    at = uniform_t(10)
    x, weights = start_law(M1, at, 201)
    target = sp.techniques.exact_target(M1, x, at.points[0])
    fitted = fit_one_parameter("bdia-ddim", M1, at, x, target, weights=weights)
    numbers = [number for number in fitted.numbers if number is not None]
    assert len(numbers) == 9
    assert 0 <= min(numbers) <= max(numbers) <= 1


def test_bad_input_is_one_line() -> None:
    at = uniform_t(5)
    x = torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
    target = sp.techniques.exact_target(M1, x, at.points[0])
    refused = sp.InputError

    def fit(name: str = "d-ddim", model: object = M1, start: object = x, **more: object) -> None:
        sp.fit_one_parameter(name, model, at, start, target, **more)  # type: ignore[arg-type]

    with pytest.raises(refused, match=r"^start: got 'step 2: what the number multiplies vanishes'; samples on which"):
        fit(model=lambda x, at, prediction: torch.ones_like(x))
    for wrong, got in (
        (x[:3], r"\[3, 1\]'; samples shaped"),
        (x * math.nan, "a non-finite"),
        ([1.0], "list'; samples"),
    ):
        with pytest.raises(refused, match=rf"^target: got 'step 2: {got}"):
            sp.fit_one_parameter("d-ddim", M1, at, x, lambda point, wrong=wrong: wrong)  # type: ignore[misc]
    with pytest.raises(refused, match=r"^name: got 'ddim'; a method without noise that has one parameter"):
        fit("ddim")
    with pytest.raises(refused, match=r"^name: got 'ddim-eta'; a method without noise"):
        fit("ddim-eta")
    with pytest.raises(refused, match=r"^name: got 'lambda-ddim'; a method whose step is affine in its parameter"):
        fit("lambda-ddim")
    with pytest.raises(refused, match=r"^weights: got \[2\]; the shape \[5\]"):
        fit(weights=torch.ones(2))
    with pytest.raises(refused, match=r"^weights: got 'a negative one"):
        fit(weights=-torch.ones(5))
    with pytest.raises(refused, match=r"^start: got \[5, 1\]; finite samples"):
        fit(start=x * math.nan)
    teacher = sp.techniques.teacher_target(M1, x, sp.tabulate("ddim", uniform_t(7)))
    with pytest.raises(refused, match=r"^tableau: got 'no level sigma/alpha = .*'; a teacher with every level"):
        sp.techniques.d_ode(sp.tabulate("ddim", at), M1, x, teacher)
    with pytest.raises(refused, match=r"^tableau: got 'ddpm'; a table without noise"):
        sp.techniques.d_ode(sp.tabulate("ddpm", at), M1, x, target)
    with pytest.raises(sp.SamplingError, match="step 0"):
        fit(model=lambda x, at, prediction: x[:1])
