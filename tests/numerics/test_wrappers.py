"""Guidance, thresholding and clipping: what they are, in every prediction, and what they break."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from samplerproof.numerics.denoisers import Denoiser, convert
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.generated.prediction_functions import PREDICTIONS
from samplerproof.numerics.grids import grid
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture
from samplerproof.numerics.wrappers import clipped, guided, thresholded, with_score_error

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
AT = VP.point(0.4)
COND = GaussianMixture([0.7, 0.3], [-1.5, 1.0], stds=[0.3, 0.2])
UNCOND = GaussianMixture([0.4, 0.6], [-1.0, 1.0], stds=[0.8, 0.9])
GENERATOR = torch.Generator().manual_seed(0)
SHAPES = [(5, 1), (3, 2, 4, 4)]
DTYPES = [torch.float64, torch.float32]


def noisy(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return 3 * torch.randn(shape, generator=GENERATOR, dtype=torch.float64).to(dtype)


def pointwise(law: GaussianMixture) -> Denoiser:
    """The mixture on every number of a tensor of any shape."""
    return lambda x, at, prediction: law(x[..., None], at, prediction)[..., 0]


def answering(data: Tensor) -> Denoiser:
    """A denoiser whose data prediction is the given one."""
    return lambda x, at, prediction: convert(x, data, at, "data", prediction)


def close(a: Tensor, b: Tensor) -> bool:
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    return torch.allclose(a, b, rtol=1e3 * torch.finfo(a.dtype).eps, atol=1e3 * torch.finfo(a.dtype).eps)


WRAPPERS: dict[str, Callable[[Denoiser], Denoiser]] = {
    "guided": lambda d: guided(d, pointwise(UNCOND), 3.5),
    "thresholded": thresholded,
    "clipped": lambda d: clipped(d, -0.7, 0.4),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_all_predictions_agree(
    wrap: Callable[[Denoiser], Denoiser], shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    """Assert that each prediction, made into data, is the data prediction, and that it was changed."""
    x, wrapped = noisy(shape, dtype), wrap(pointwise(COND))
    data = wrapped(x, AT, "data")
    for prediction in PREDICTIONS:
        assert close(convert(x, wrapped(x, AT, prediction), AT, prediction, "data"), data)
        assert not close(wrapped(x, AT, prediction), pointwise(COND)(x, AT, prediction))


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_guidance_is_the_formula_in_the_prediction_that_was_asked_for(prediction: str) -> None:
    x = noisy((6, 1), torch.float64)
    c, u = COND(x, AT, prediction), UNCOND(x, AT, prediction)
    assert close(guided(COND, UNCOND, 7.5)(x, AT, prediction), u + 7.5 * (c - u))
    assert torch.equal(guided(COND, UNCOND, 1)(x, AT, prediction), c)
    assert torch.equal(guided(COND, UNCOND, 0)(x, AT, prediction), u)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_thresholding_changes_only_what_is_too_large_and_ends_inside(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    x, data = noisy(shape, dtype), noisy(shape, dtype)
    small = data / data.abs().max()
    assert torch.equal(thresholded(answering(small))(x, AT, "data"), small)
    changed = thresholded(answering(data))(x, AT, "data")
    assert float(changed.abs().max()) <= 1 < float(data.abs().max())
    beyond = thresholded(answering(small * 1.001))(x, AT, "data")
    assert float(beyond.abs().max()) <= 1
    assert not torch.equal(beyond, small * 1.001)


@pytest.mark.parametrize("q", [0.0, 0.3, 0.995, 1.0])
@pytest.mark.parametrize("shape", [(4, 1), (4, 7), (3, 2, 5, 5)], ids=str)
def test_each_sample_has_the_quantile_of_torch(q: float, shape: tuple[int, ...]) -> None:
    data = noisy(shape, torch.float64)
    s = torch.quantile(data.abs().flatten(1), q, dim=1).clamp(min=0.1).reshape(-1, *[1] * (len(shape) - 1))
    expected = data.clamp(-s, s) / s
    assert torch.allclose(thresholded(answering(data), q, 0.1)(data, AT, "data"), expected, rtol=1e-14, atol=0)
    # one sample is no other's business
    alone = thresholded(answering(data[:1]), q, 0.1)(data[:1], AT, "data")
    assert torch.allclose(alone, expected[:1], rtol=1e-14, atol=0)


def test_a_ceiling_other_than_one_scales_as_in_the_code_of_dpm_solver() -> None:
    data = torch.tensor([[0.5, -1.5]])
    assert torch.equal(thresholded(answering(data), ceiling=2.0)(data, AT, "data"), data / 2)


def test_samples_too_large_for_torch_quantile() -> None:
    data = torch.zeros(1, 2**24 + 1)
    data[0, :100_000] = 3.0  # 0.6 % of them
    with pytest.raises(RuntimeError, match="too large"):
        torch.quantile(data, 0.995)
    assert float(thresholded(answering(data))(data, AT, "data").max()) == 1.0


@pytest.mark.parametrize("wrap", [thresholded, lambda d: clipped(d, -1, 1)], ids=["thresholded", "clipped"])
def test_clipping_breaks_superposition(wrap: Callable[[Denoiser], Denoiser]) -> None:
    """A linear denoiser stays so within bounds, and not beyond."""
    linear = wrap(lambda x, at, prediction: convert(x, 0.5 * x, at, "data", prediction))
    small, large = torch.tensor([[0.4, -0.2]]), torch.tensor([[1.8, -0.3]])
    for a, b, holds in ((small, small, True), (large, small, False)):
        assert close(linear(a + b, AT, "data"), linear(a, AT, "data") + linear(b, AT, "data")) is holds


BROAD = GaussianMixture([0.7, 0.3], [1.0, 0.8], stds=[1.2, 1.0])  # most trajectories leave [-1, 1] on their way


def ends(denoise: Denoiser, method: str, steps: int) -> Tensor:
    x = torch.linspace(-2.5, 2.5, 101, dtype=torch.float64)[:, None]
    return sample(denoise, x, tabulate(method, grid(VP, "uniform-lambda", steps, t_min=1e-2, t_max=0.9)))


def order(denoise: Denoiser, method: str, truth: Tensor) -> float:
    """From 40 to 160 steps, root mean square over the trajectories."""
    first, last = (float((ends(denoise, method, n) - truth).square().mean().sqrt()) for n in (40, 160))
    return math.log2(first / last) / 2


def test_the_corner_of_thresholding_costs_orders_above_two() -> None:
    """Crossing it costs O(h^2), once: no more than 2M loses anyway, but 3S falls from three to about two."""
    for denoise, third in ((BROAD, 2.9), (thresholded(BROAD), 2.1)):
        truth = ends(denoise, "dpm-solver++-3s", 800)
        assert order(denoise, "dpm-solver++-2m", truth) == pytest.approx(2.0, abs=0.1)
        assert order(denoise, "dpm-solver++-3s", truth) == pytest.approx(third, abs=0.25)


def test_against_the_flow_without_it_thresholding_does_not_converge() -> None:
    """It is another flow: compared with the exact one, the error of 2M stays where it is."""
    truth = ends(BROAD, "dpm-solver++-3s", 800)
    assert order(BROAD, "dpm-solver++-2m", truth) == pytest.approx(2.0, abs=0.1)
    assert order(thresholded(BROAD), "dpm-solver++-2m", truth) == pytest.approx(0.0, abs=0.05)


def test_guidance_keeps_the_order() -> None:
    both = guided(COND, UNCOND, 2.0)
    assert order(both, "dpm-solver++-2m", ends(both, "dpm-solver++-3s", 400)) == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: guided(COND, UNCOND, math.inf), "scale: got inf"),
        (lambda: guided(COND, UNCOND, math.nan), "scale: got nan"),
        (lambda: thresholded(COND, quantile=1.5), "quantile: got 1.5"),
        (lambda: thresholded(COND, quantile=math.nan), "quantile: got nan"),
        (lambda: thresholded(COND, ceiling=0.0), "ceiling: got 0.0"),
        (lambda: thresholded(COND, ceiling=math.inf), "ceiling: got inf"),
        (lambda: clipped(COND, 1.0, 1.0), "low: got 1.0"),
        (lambda: clipped(COND, math.nan, 1.0), "low: got nan"),
        (lambda: thresholded(answering(torch.zeros(3)))(torch.zeros(3), AT, "data"), "a batch first"),
        (lambda: thresholded(answering(torch.zeros(2, 0)))(torch.zeros(2, 0), AT, "data"), "not empty"),
    ],
)
def test_bad_input_is_refused(make: Callable[[], object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()


@pytest.mark.parametrize("prediction", ["data", "noise", "velocity"])
def test_a_score_error_is_the_same_in_every_prediction(prediction: str) -> None:
    mixture = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
    at = schedule("vp-linear", beta_min=0.1, beta_max=20.0).point(0.3)
    x = torch.linspace(-2.0, 2.0, 9, dtype=torch.float64)[:, None]
    off = with_score_error(mixture, 0.1, 3.0)
    assert torch.allclose(off(x, at, "score") - mixture(x, at, "score"), 0.1 * torch.sin(3 * x), atol=1e-14)
    through_score = convert(x, off(x, at, "score"), at, "score", prediction)
    assert torch.allclose(off(x, at, prediction), through_score, rtol=0, atol=1e-13)
    with pytest.raises(InputError, match="size: got nan; a finite number"):
        with_score_error(mixture, math.nan, 1.0)
