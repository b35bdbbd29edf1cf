"""The memory of a run: three ways to make a vector from a row agree, and each takes what it must and no more."""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from shapes import by_shape
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import samplerproof as sp
from samplerproof.numerics import sample as loop
from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.errors import InputError, SamplingError
from samplerproof.numerics.run_memory import Chains, Memory, Products
from samplerproof.numerics.sample import run_table, sample
from samplerproof.numerics.tableau import Tableau

PLANE = sp.GaussianMixture([0.5, 0.5], [[1.5, 0.0], [-1.0, 1.0]], stds=[0.5, 0.4])
GRID = sp.grid(sp.schedule("vp-linear"), "uniform-lambda", 9, t_min=1e-3, t_max=1.0)

ONE_VECTOR = [name for name in METHODS if sp.tabulate(name, GRID).states.shape[1] == 1]  # others are made by chains


def made_by(kind: Callable[..., Memory], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "memory_of", lambda tableau, like, recorded, compiled: kind(tableau, like, recorded))


def starts(table: Tableau, *shape: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, dtype=torch.float64, generator=generator) for _ in range(table.given)]


def ends(table: Tableau, monkeypatch: pytest.MonkeyPatch, denoise: object = PLANE) -> list[Tensor]:
    found = []
    for kind in (Products, Chains):
        with monkeypatch.context() as patch:
            made_by(kind, patch)
            found.append(sample(denoise, starts(table, 7, 2), table, noise=sp.seeded(0)))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("start", ["ramp", "exact"])
@pytest.mark.parametrize("name", by_shape(ONE_VECTOR))
def test_products_are_chains_to_rounding(name: str, start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert the same end to 1e-12, and another one once a coefficient of any lag is off by a millionth."""
    table = sp.tabulate(name, GRID, start=start)
    products, chains = ends(table, monkeypatch)
    assert torch.allclose(products, chains, rtol=0, atol=1e-12)
    for part in ("states", "outputs"):
        used = getattr(table, part).nonzero().tolist()
        if not used:  # the states of consistency
            continue
        row, lag = used[-1]
        coefficients = getattr(table, part).clone()
        coefficients[row, lag] *= 1 + 1e-6
        for other in ends(replace(table, **{part: coefficients}), monkeypatch):
            assert not torch.allclose(other, chains, rtol=0, atol=1e-12)


def test_products_are_chains_where_a_model_has_two_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    table = sp.tabulate("exp-adams-3", GRID)
    one = table.outputs * torch.linspace(-0.5, 2, table.outputs.numel()).reshape(table.outputs.shape)
    table = replace(table, channels={"with": one, "without": table.outputs - one})

    def both(x: Tensor, at: object, prediction: str) -> Tensor:
        return torch.stack([x.tanh(), (2 * x).sin()])

    products, chains = ends(table, monkeypatch, both)
    assert torch.allclose(products, chains, rtol=0, atol=1e-13)
    swapped = replace(table, channels=dict(zip(table.channels, reversed(table.channels.values()), strict=True)))
    assert not torch.allclose(ends(swapped, monkeypatch, both)[0], chains, rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", [Products, Chains])
@pytest.mark.parametrize("at", range(1, 9))
def test_a_value_that_is_not_finite_is_named_with_its_step(
    kind: type[Memory], at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert the step of the first, though vectors are not looked at after every step, also where the model fails."""
    made_by(kind, monkeypatch)
    for fails, name in itertools.product((False, True), ("ddim", "dpm-solver++-2m", "exp-adams-4")):
        table = sp.tabulate(name, GRID)
        calls = 0

        def denoise(x: Tensor, point: object, prediction: str, fails: bool = fails) -> Tensor:
            nonlocal calls
            calls += 1
            if fails and not bool(torch.isfinite(x).all()):
                raise ZeroDivisionError
            d = x.clone()
            if calls == at:
                d.view(-1)[3] = math.inf
            return d

        with pytest.raises(SamplingError, match=rf"^step {at - 1} .*non-finite"):
            sample(denoise, starts(table, 4, 2), table)
        assert calls <= at + 3  # the rows see four outputs


def returned(way: str) -> Callable[..., Tensor]:
    """A model that returns new tensors, one buffer again and again, or what it was given, as it is or as a view."""
    buffer = torch.empty(7, 2, dtype=torch.float64)

    def denoise(x: Tensor, at: object, prediction: str) -> Tensor:
        if way in ("given", "view"):
            return (x if way == "given" else x[:]).mul_(0.9)
        return 0.9 * x if way == "new" else torch.mul(x, 0.9, out=buffer)

    return denoise


@pytest.mark.parametrize("way", ["buffer", "given", "view"])
@pytest.mark.parametrize("name", ["ddim", "dpm-solver++-2m", "edm-heun", "bdia-edm"])
def test_whatever_tensor_a_model_returns_its_values_count(name: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that writes into what it is given changes the vector too, so it is compared with one that copies then."""
    table = sp.tabulate(name, GRID)
    for kind in (Products, Chains) if name in ONE_VECTOR else (Chains,):
        made_by(kind, monkeypatch)
        found = sample(returned(way), starts(table, 7, 2), table)
        if way == "buffer":
            expected = sample(returned("new"), starts(table, 7, 2), table)
        else:
            expected = sample(lambda x, at, kind: x.mul_(0.9).clone(), starts(table, 7, 2), table)
        assert torch.equal(found, expected)


def test_coefficients_are_computed_once_for_a_table_and_a_dtype() -> None:
    table, like = sp.tabulate("dpm-solver++-2m", GRID), torch.ones(3)
    first, again, wide = (Products(table, x, False).weights for x in (like, like, like.double()))
    assert first is again
    assert wide[1].dtype == torch.float64
    other = Products(replace(table, outputs=2 * table.outputs), like, False).weights
    assert not torch.equal(other[1], first[1])
    assert pickle.loads(pickle.dumps(table)) == table


@pytest.mark.parametrize("size", [1000, 40_000])
def test_a_sample_keeps_no_buffer_alive(size: int) -> None:
    y = sample(lambda x, at, kind: x / 2, torch.ones(size), sp.tabulate("ddim", GRID))
    assert y.untyped_storage().nbytes() == 8 * size


def test_an_exception_of_a_model_on_finite_values_comes_out() -> None:
    def failing(x: Tensor, at: object, prediction: str) -> Tensor:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sample(failing, torch.ones(1, 1), sp.tabulate("ddim", GRID))


class Storages(TorchDispatchMode):
    """The storages of `size` numbers and more that are made, each once."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.made = size, {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = function(*args, **(kwargs or {}))
        for tensor in answer if isinstance(answer, (tuple, list)) else [answer]:
            if isinstance(tensor, Tensor) and (held := tensor.untyped_storage()).nbytes() >= 4 * self.size:
                self.made[held.data_ptr()] = held.nbytes()
        return answer


@pytest.mark.slow
@pytest.mark.parametrize("size", [1000, 40_000])
@pytest.mark.parametrize("name", ["ddim", "dpm-solver++-2m", "exp-adams-4", "edm-heun"])
def test_a_run_takes_its_history_and_small_ones_two_tensors_more(name: str, size: int) -> None:
    """Assert the bytes of all that a run makes."""
    table = sp.tabulate(name, GRID)
    x, d = torch.ones(size), torch.ones(size)
    with Storages(size) as storages:
        run_table(lambda y, at, kind: d, x, table, dtype=torch.float32, checked=False)
    given = {t.untyped_storage().data_ptr() for t in (x, d)}
    made = [n for place, n in storages.made.items() if place not in given]
    history = table.outputs.shape[1] + table.states.shape[1] - 1
    assert sum(made) == 4 * size * (history + (2 if name in ONE_VECTOR and size == 1000 else 0))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, when it compiles
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    "name", ["ddim", "exp-adams-3", "bdia-edm", "ddpm", "unipc-2", "edm-churn", "li-accelerated-sde"]
)
def test_compiled_it_is_the_same_to_rounding(name: str, dtype: torch.dtype) -> None:
    table = sp.tabulate(name, GRID)
    x = starts(table, 50, 2)
    plain, compiled = (sample(PLANE, x, table, noise=sp.seeded(0), dtype=dtype, compiled=c) for c in (False, True))
    assert not torch.equal(plain, torch.zeros_like(plain))
    assert torch.allclose(plain, compiled, rtol=0, atol=64 * torch.finfo(dtype).eps * float(x[0].abs().max()))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_it_is_the_same_where_a_model_has_two_outputs() -> None:
    table = sp.tabulate("exp-adams-3", GRID)
    one = table.outputs * torch.linspace(-0.5, 2, table.outputs.numel()).reshape(table.outputs.shape)
    table = replace(table, channels={"with": one, "without": table.outputs - one})
    x, denoise = starts(table, 50, 2), lambda x, at, kind: torch.stack([x.tanh(), (2 * x).sin()])
    plain, compiled = (sample(denoise, x, table, compiled=c) for c in (False, True))
    assert torch.allclose(plain, compiled, rtol=0, atol=1e-13)


@pytest.mark.slow
def test_where_nothing_can_be_compiled_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> None:
        raise RuntimeError("no compiler\nand more")

    monkeypatch.setattr("samplerproof.numerics.run_memory._kernel", fails)
    with pytest.raises(InputError, match=r"compiled: got True; False where torch.compile fails: no compiler$"):
        sample(PLANE, torch.ones(2, 2), sp.tabulate("ddim", GRID), compiled=True)
