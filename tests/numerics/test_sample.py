"""The loop: exact on what can be done by hand, indifferent to shape, batch and device, clear when a run breaks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kinds import DETERMINISTIC
from shapes import by_shape
from strategies import rough_grids
from torch import Tensor

from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.coefficients import plan
from samplerproof.numerics.conformance.judge.rescaled import same_on_every_process
from samplerproof.numerics.denoisers import Counting, adapt
from samplerproof.numerics.errors import InputError, SamplingError
from samplerproof.numerics.grids import Grid, from_times, grid
from samplerproof.numerics.noise import seeded
from samplerproof.numerics.points import Point
from samplerproof.numerics.sample import check_output, sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
GRID = grid(VP, "uniform-lambda", 12, t_min=0.01, t_max=1.0)
MIXTURE = GaussianMixture([0.5, 0.3, 0.2], [[1.5, 0.0], [-1.0, 1.0], [0.0, -1.5]], stds=[0.5, 0.4, 0.6])


def starts(tableau_given: int, *shape: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, dtype=torch.float64, generator=generator) for _ in range(tableau_given)]


@pytest.mark.parametrize("name", [n for n, m in DETERMINISTIC.items() if m.frame in ("data", "noise", "noise-rho")])
def test_a_point_mass_is_reached_exactly(name: str) -> None:
    """For x_0 = c the data and noise predictions do not change along the flow: every such method is exact."""
    c = torch.tensor([1.0, -2.0], dtype=torch.float64)
    denoise = adapt(lambda x, at: c.expand_as(x), prediction="data")
    (x,) = starts(1, 5, 2)
    first, last = GRID.points[0], GRID.points[-1]
    epsilon = (x - first.alpha * c) / first.sigma
    got = sample(denoise, x, tabulate(name, GRID))
    assert torch.allclose(got, last.alpha * c + last.sigma * epsilon, rtol=0, atol=1e-12)


@pytest.mark.check
@pytest.mark.parametrize("q", [2, 3, 4])
@pytest.mark.parametrize("prefix", ["exp-adams", "exp-adams-noise"])
def test_polynomials_in_lambda_below_the_order_are_integrated_exactly(prefix: str, q: int) -> None:
    """F(lambda) of degree q - 1, the same for every x, from exact start values; degree q is not integrated exactly."""
    record, lam = METHODS[f"{prefix}-{q}"], GRID.columns.lam
    where = {p.t: float(v) for p, v in zip(GRID.points, lam, strict=True)}
    tableau = tabulate(record.name, GRID, start="exact")
    scale = GRID.columns.sigma if record.frame == "data" else GRID.columns.alpha

    def error(degree: int) -> float:
        def denoise(x: Tensor, at: Point, prediction: str) -> Tensor:
            return torch.full_like(x, where[at.t] ** degree)

        def exact(n: int) -> float:
            """x_n = m_n * integral of c e^{kappa l} l^degree from lambda_0, by Gauss-Legendre on each step."""
            nodes, weights = np.polynomial.legendre.leggauss(30)
            total, c, kappa = 0.0, *((1.0, 1.0) if record.frame == "data" else (-1.0, -1.0))
            for a, b in zip(lam[:n].tolist(), lam[1 : n + 1].tolist(), strict=True):
                u = (a + b) / 2 + (b - a) / 2 * nodes
                total += (b - a) / 2 * float((weights * c * np.exp(kappa * u) * u**degree).sum())
            return float(scale[n]) * total

        given = [torch.full((1,), exact(n), dtype=torch.float64) for n in range(tableau.given)]
        return abs(float(sample(denoise, given, tableau)) / exact(GRID.steps) - 1)

    assert all(error(degree) < 1e-12 for degree in range(q))
    assert error(q) > 1e-7


@pytest.mark.parametrize("name", by_shape(METHODS))
def test_batches_can_be_split_and_permuted(name: str) -> None:
    tableau = tabulate(name, GRID)
    x, *draws = starts(1 + sum(tableau.drawn), 40, 2)

    def run(part: slice | Tensor) -> Tensor:
        return sample(MIXTURE, x[part], tableau, noise=lambda like, draw: draws[draw][part])

    whole = run(slice(None))
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(torch.cat([run(slice(13)), run(slice(13, None))]), whole, rtol=0, atol=1e-12)
    assert torch.allclose(run(order), whole[order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", by_shape(METHODS))
def test_nfe_is_counted_and_evaluations_are_made_where_the_tableau_says(name: str) -> None:
    tableau = tabulate(name, GRID)
    counting = Counting(MIXTURE)
    sample(counting, starts(1, 3, 2)[0], tableau, noise=seeded(0))
    assert counting.calls == tableau.nfe
    assert counting.points == [p for p, evaluated in zip(tableau.points, tableau.evaluated, strict=True) if evaluated]
    taken = plan(METHODS[name], GRID)
    assert tableau.nfe == sum(1 if method is None else method.nfe_per_step for method in taken)


def ends_of(name: str, lam: Tensor, seed: int) -> list[Tensor]:
    """x/alpha at the end of a run in VP, VE and flow, on one grid in lambda, from one x/sqrt(alpha^2 + sigma^2)."""
    ends = []
    for s in (VP, schedule("edm"), schedule("flow")):
        g = from_times(s, s.time(lam))
        x = starts(1, 6, 2, seed=seed)[0] * math.hypot(g.points[0].alpha, g.points[0].sigma)
        ends.append(sample(MIXTURE, x, tabulate(name, g), noise=seeded(seed)) / g.points[-1].alpha)
    return ends


NOT_INVARIANT = [name for name, record in METHODS.items() if not same_on_every_process(record)]


@pytest.mark.parametrize("name", by_shape(n for n in METHODS if n not in NOT_INVARIANT))
@given(g=rough_grids(schedules=(VP,), shortest=0.03), seed=st.integers(0, 99))
def test_vp_ve_and_flow_give_one_sampler_up_to_scale(name: str, g: Grid, seed: int) -> None:
    vp, ve, flow = ends_of(name, g.columns.lam, seed)
    # Steps differ by the rounding of lambda; uneven grids of high-order methods amplify it by their weights.
    weights = tabulate(name, from_times(schedule("edm"), schedule("edm").time(g.columns.lam))).outputs
    slack = 1e-12 * float(weights.abs().max(dim=1).values.clamp(min=1).prod()) * (1 + float(vp.abs().max()))
    assert float((ve - vp).abs().max()) <= slack
    assert float((flow - vp).abs().max()) <= slack


@pytest.mark.parametrize("name", NOT_INVARIANT)
def test_what_is_not_invariant(name: str) -> None:
    vp, ve, _ = ends_of(name, GRID.columns.lam, seed=0)
    assert float((ve - vp).abs().max()) > 1e-6


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", [(2,), (3, 2), (2, 3, 4, 2)])
def test_any_shape_and_dtype(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    (x,) = starts(1, *shape)
    got = sample(MIXTURE, x, tabulate("edm-heun", GRID), dtype=dtype)
    assert got.shape == shape
    assert got.dtype == dtype
    exact = sample(MIXTURE, x, tabulate("edm-heun", GRID))
    assert torch.allclose(got.double(), exact, atol=1e-12 if dtype == torch.float64 else 1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", by_shape(METHODS))
def test_the_same_on_a_cuda_device(name: str) -> None:
    (x,) = starts(1, 100, 2)
    got = sample(MIXTURE, x.cuda(), tabulate(name, GRID), noise=seeded(0))
    assert got.is_cuda
    assert torch.allclose(got.cpu(), sample(MIXTURE, x, tabulate(name, GRID), noise=seeded(0)), rtol=0, atol=1e-11)


def test_a_network_with_trainable_parameters_is_a_denoiser() -> None:
    network = torch.nn.Linear(2, 2, dtype=torch.float32)
    denoise = adapt(lambda x, at: network(x), prediction="noise", dtype=torch.float32)
    got = sample(denoise, starts(1, 5, 2)[0], tabulate("dpm-solver++-2m", GRID))
    assert got.dtype == torch.float64
    assert not got.requires_grad


def test_the_start_is_not_changed_and_the_result_is_not_a_view() -> None:
    (x,) = starts(1, 4, 2)
    before = x.clone()
    first = sample(MIXTURE, x, tabulate("ddim", GRID))
    again = sample(MIXTURE, x, tabulate("ddim", GRID))
    first.zero_()
    assert torch.equal(x, before)
    assert float(again.abs().max()) > 0


def broken(at_call: int, value: object) -> object:
    calls = 0

    def denoise(x: Tensor, at: Point, prediction: str) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == at_call:
            return value(x)  # type: ignore[operator, no-any-return]
        return torch.zeros_like(x)

    return denoise


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (lambda x: x * math.nan, "non-finite"),
        (lambda x: torch.where(torch.arange(4)[:, None] == 2, math.inf, x), "non-finite"),
        (lambda x: x[:2], r"shape \(2, 2\), not \(4, 2\)"),
        (lambda x: x.tolist(), "returned list, not a tensor"),
    ],
)
def test_a_broken_denoiser_is_named_with_its_step(value: object, says: str) -> None:
    with pytest.raises(SamplingError, match=rf"^step 4 .*{says}"):
        sample(broken(5, value), starts(1, 4, 2)[0], tabulate("ddim", GRID))  # type: ignore[arg-type]


def test_an_output_that_is_checked_alone_is_named_with_its_step() -> None:
    """Assert the words for what an inversion asks of a model: shape and values, and none for a right output."""
    table, right = tabulate("ddim", GRID), torch.ones(4, 2)
    check_output(right, right.shape, table, 3)
    for wrong, says in ((right[:2], r"shape \(2, 2\), not \(4, 2\)"), (right * math.nan, "a non-finite value")):
        with pytest.raises(SamplingError, match=rf"^step 3 \(t = {GRID.points[3].t:g}\): the denoiser returned {says}"):
            check_output(wrong, right.shape, table, 3)


def test_an_overflowing_sum_of_finite_values_is_no_fault() -> None:
    huge = broken(12, lambda x: torch.full_like(x, 1e308))
    sample(huge, starts(1, 4, 2)[0], tabulate("ddim", GRID))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "0 vectors"),
        (starts(2, 3, 2), "2 vectors"),
        (torch.full((3, 2), math.nan), "non-finite"),
    ],
)
def test_bad_start_values(given: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        sample(MIXTURE, given, tabulate("ddim", GRID))  # type: ignore[arg-type]


def test_start_values_of_two_shapes() -> None:
    with pytest.raises(InputError, match=r"start\[1\]"):
        sample(MIXTURE, [torch.zeros(3, 2), torch.zeros(4, 2)], tabulate("exp-adams-2", GRID, start="exact"))


def test_an_output_that_makes_a_model_raise_is_named_where_values_are_checked() -> None:
    """Assert the step of the output that is not finite, and the model's own exception where no value is looked at."""

    def denoise(x: Tensor, at: Point, prediction: str) -> Tensor:
        if not math.isfinite(float(x.sum())):
            raise ZeroDivisionError("not finite")
        return x * (math.nan if at == GRID.points[2] else 0.5)

    table, (x,) = tabulate("exp-adams-3", GRID), starts(1, 4, 2)
    with pytest.raises(SamplingError, match=r"^step 2 .*non-finite value"):
        sample(denoise, x, table)
    with pytest.raises(ZeroDivisionError):
        sample(denoise, x, table, checked=False)


def test_several_start_values_are_checked_or_not() -> None:
    """Assert the same bits from exact start values, checked or not, and the place of an output at one of them."""
    table = tabulate("exp-adams-3", GRID, start="exact")
    given, denoise = starts(3, 4, 2), adapt(lambda x, at: x.tanh(), prediction="data")
    assert torch.equal(sample(denoise, given, table), sample(denoise, given, table, checked=False))
    with pytest.raises(SamplingError, match=r"^step 1 .*non-finite value"):
        sample(broken(2, lambda x: x * math.nan), given, table)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["ddim", "unipc-2", "edm-heun", "ddpm"])
def test_unchecked_it_looks_at_no_value(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that the same bits come out though no tensor may be read, as in a CUDA graph; checked, one is read."""

    def no(*_: object) -> None:
        raise AssertionError("a value was read")

    tableau, (x,) = tabulate(name, GRID), starts(1, 5, 2)
    numbers = torch.randn(tableau.nfe + 1, 5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def run(checked: bool) -> Tensor:
        return sample(
            adapt(lambda x, at: x.tanh(), prediction="data"),
            x,
            tableau,
            noise=lambda like, draw: numbers[draw],
            checked=checked,
        )

    wanted = run(True)
    for reading in ("item", "__bool__", "__float__"):
        monkeypatch.setattr(torch.Tensor, reading, no)
    monkeypatch.setattr(torch, "equal", no)
    got = run(False)
    with pytest.raises(AssertionError, match="a value was read"):
        run(True)
    monkeypatch.undo()
    assert torch.equal(got, wanted)
    assert bool(sample(lambda x, at, kind: x * math.nan, x, tabulate("ddim", GRID), checked=False).isnan().all())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["ddim", "unipc-2"])
def test_it_is_captured_in_a_cuda_graph(name: str) -> None:
    """Assert that a replayed graph ends where the loop does, from other start values than it was captured with."""
    tableau, (x,) = tabulate(name, GRID), starts(1, 5, 2)
    denoise, static = adapt(lambda x, at: x.tanh(), prediction="data"), torch.zeros_like(x, device="cuda")
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        sample(denoise, static, tableau, checked=False)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = sample(denoise, static, tableau, checked=False)
    static.copy_(x)
    graph.replay()
    assert torch.equal(out, sample(denoise, x.to("cuda"), tableau))


def test_what_a_denoiser_raises_comes_out() -> None:
    """Assert that an exception of a denoiser is not taken for the end of the run, whatever it is."""

    def exhausted(x: Tensor, at: Point, prediction: str) -> Tensor:
        return next(iter(()))

    with pytest.raises(StopIteration):
        sample(exhausted, torch.ones(1, 1), tabulate("ddim", GRID))
