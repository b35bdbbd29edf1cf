"""The error of one run without a reference: the embedded table, its calibration, and what is refused."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import samplerproof as sp
from samplerproof.numerics.advice.recording import Recording, record
from samplerproof.numerics.error_bars import ErrorBar, calibrated, embedded_difference
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.points import Point
from samplerproof.numerics.tableau import Tableau

EDM = sp.schedule("edm")
BEGIN, END = EDM.point(8.0), EDM.point(0.1)
MIXTURE = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])


def table_of(method: str, steps: int) -> Tableau:
    return sp.tabulate(method, sp.grid(EDM, "karras", steps, sigma_min=0.1, sigma_max=8.0))


def recorded(law: sp.GaussianMixture, count: int, seed: int = 0) -> Recording:
    start = 8 * torch.randn(count, law.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return record(law, EDM, BEGIN, END, start, 120)


def size(off: Tensor) -> Tensor:
    return off.flatten(1).norm(dim=1) / math.sqrt(off[0].numel())


def share(estimate: Tensor, error: Tensor) -> float:
    return float(((estimate / error).log().abs() <= math.log(1.5)).double().mean())


@pytest.mark.parametrize("method", ["ddim", "dpm-solver++-2m", "exp-adams-3", "unipc-2"])
def test_the_second_table_finds_the_error_on_a_gaussian_law_and_not_without_feedback(method: str) -> None:
    """Assert the size of the error, on samples whose numbers have the law's deviation; a changed output misses it."""
    law = sp.GaussianMixture([1.0], [[0.0] * 256], stds=[0.7])
    fine, table = recorded(law, 3), table_of(method, 48)
    y, error = sp.sample(law, fine.states[0], table, error=True)
    assert torch.equal(y, sp.sample(law, fine.states[0], table))
    torch.testing.assert_close(error, size(y - fine.states[-1]), rtol=0.15, atol=0)
    outputs = list[Tensor]()

    def listening(x: Tensor, at: Point, prediction: str) -> Tensor:
        outputs.append(law(x, at, "data"))
        return law(x, at, prediction)

    sp.sample(listening, fine.states[0], table)
    data = torch.stack(outputs)
    torch.testing.assert_close(size(embedded_difference(table, data)), error, rtol=1e-10, atol=0)
    data[-1] *= 0.5  # one output, and with it the slope
    assert (size(embedded_difference(table, data)) / error - 1).abs().min() > 0.3


@pytest.mark.parametrize("method", ["dpm-solver++-2m", "exp-adams-3", "edm-heun"])
def test_a_calibrated_bar_is_right_on_a_mixture_where_one_size_for_all_is_not(method: str) -> None:
    """Assert the share of fresh samples within a factor 1.5, above what a constant reaches, without an evaluation."""
    table, fresh, asked = table_of(method, 10), recorded(MIXTURE, 96, seed=1), 0
    bar = calibrated(MIXTURE, table, recorded(MIXTURE, 32))

    def counted(x: Tensor, at: Point, prediction: str) -> Tensor:
        nonlocal asked
        asked += 1
        return MIXTURE(x, at, prediction)

    y, error = sp.sample(counted, fresh.states[0], table, error=bar)
    true = size(y - fresh.states[-1])
    assert asked == table.nfe
    assert share(error, true) > 0.75
    constant = max(share(true.quantile(q).expand_as(true), true) for q in (0.2, 0.35, 0.5, 0.65, 0.8))
    assert share(error, true) > constant + 0.1
    assert bar.within > 0.7
    off = bar.weights.clone()
    off[::2] *= -1
    assert share(sp.sample(MIXTURE, fresh.states[0], table, error=replace(bar, weights=off))[1], true) < 0.4


def test_a_calibrated_bar_is_exact_where_errors_are_one_combination_of_outputs() -> None:
    """Assert a part in a hundred on a Gaussian law in two dimensions, and one in twenty missed when planted."""
    law = sp.GaussianMixture([1.0], [[0.4, -0.3]], stds=[0.7])
    table, fresh = table_of("dpm-solver++-2m", 6), recorded(law, 8, seed=1)
    bar = calibrated(law, table, recorded(law, 16))
    y, error = sp.sample(law, fresh.states[0], table, error=bar)
    true = size(y - fresh.states[-1])
    torch.testing.assert_close(error, true, rtol=0.02, atol=0)
    other = sp.sample(law, fresh.states[0], table, error=replace(bar, factor=1.05 * bar.factor))[1]
    assert not torch.allclose(other, true, rtol=0.02, atol=0)


def test_what_has_no_error_bar_is_refused_in_one_line() -> None:
    """Assert the field of every bad input."""
    x, table = torch.zeros(2, 1, dtype=torch.float64), table_of("ddim", 6)
    bar = ErrorBar("0" * 64, torch.zeros(5, dtype=torch.float64), 1.0, 1.0)

    def run(table: Tableau, error: object = True) -> Callable[[], object]:
        return lambda: sp.sample(MIXTURE, x, table, error=error)  # type: ignore[call-overload]

    few = recorded(MIXTURE, 3)
    zero = sp.tabulate("ddim", sp.Grid.from_sigmas([10.0, 3.0, 1.0, 0.3, 0.0]))
    for call, message in (
        (run(table_of("ddpm", 6)), r"^table: .*without noise"),
        (run(table_of("ddim", 2)), r"^error: .*at least 3"),
        (run(zero), r"^error: .*finite lambda"),
        (run(table, bar), r"^error: .*another table"),
        (run(table, 0.5), r"^error: .*calibrated"),
        (lambda: calibrated(MIXTURE, table, few), r"^recording: .*at least 4"),
        (lambda: calibrated(MIXTURE, zero, few), r"^error: .*finite lambda"),
        (
            lambda: calibrated(MIXTURE, sp.tabulate("ddim", sp.Grid.from_sigmas([9.0, 3, 1, 0.1])), few),
            r"^table: lambda",
        ),
    ):
        with pytest.raises(InputError, match=message) as fault:
            call()
        assert "\n" not in str(fault.value)
