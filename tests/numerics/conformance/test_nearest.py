"""What a sampler is that is no record: the nearest one in words, values of parameters, strengths by step, own draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import samplerproof as sp
from samplerproof.numerics.conformance.adapters.step_protocol import of_adapter
from samplerproof.numerics.conformance.judge.noise_strengths import strengths
from samplerproof.numerics.readback import image, trace
from samplerproof.numerics.testing import verdict_here

Denoise = Callable[[Tensor, Tensor], Tensor]
generator = np.random.default_rng(0)


def two_step(denoise: Denoise, x: Tensor, sigmas: Tensor, half: float = 0.5, stale: bool = False) -> Tensor:
    """DPM-Solver++(2M); stale: the first output is never replaced."""
    lam, before = -sigmas.log(), None
    for n, s in enumerate(sigmas[:-1]):
        h, now = lam[n + 1] - lam[n], denoise(x, s)
        both = now if before is None else now + half * h / (lam[n] - lam[n - 1]) * (now - before)
        x = sigmas[n + 1] / s * x - torch.expm1(-h) * both
        before = now if before is None or not stale else before
    return x


def ancestral(
    denoise: Denoise, x: Tensor, sigmas: Tensor, eta: float = 0.5, times: float = 1.0, source: str = "like"
) -> Tensor:
    """Euler's ancestral sampler that draws by itself."""
    for s, t in pairwise(sigmas):
        up = eta * t * (1 - t * t / (s * s)).sqrt()
        x = x + ((t * t - up * up).sqrt() - s) * (x - denoise(x, s)) / s + times * up * DRAWS[source](x)
    return x


DRAWS: dict[str, Callable[[Tensor], Tensor]] = {
    "like": torch.randn_like,
    "in_place": lambda x: torch.empty_like(x).normal_(),
    "normal": lambda x: torch.normal(0.0, 1.0, size=x.shape, dtype=x.dtype),
    "numpy": lambda x: torch.as_tensor(np.random.randn(*x.shape)).to(x.dtype),  # noqa: NPY002 (as samplers do)
    "generator": lambda x: torch.as_tensor(np.random.default_rng().normal(size=x.shape)).to(x.dtype),
    "seeded": lambda x: torch.as_tensor(np.random.default_rng(0).normal(size=x.shape)).to(x.dtype),
    "seeded_torch": lambda x: torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype),
    "made_before": lambda x: torch.as_tensor(generator.standard_normal(x.shape)).to(x.dtype),
}


def judged(sampler: Any, against: str | None = None, **options: Any) -> Any:
    return verdict_here(sampler, against, 8, options, zero=False)


@pytest.mark.slow
def test_a_stale_output_is_named() -> None:
    """Assert the record, the steps on which they agree, the rule, and that it does not converge."""
    answer = judged(two_step, stale=True)
    assert answer.nearest == "dpm-solver++-2m on steps 1 and 2; then it reads the output of step 1 for ever"
    assert any("it does not converge" in finding.detail for finding in answer.findings)


@pytest.mark.slow
def test_a_wrong_factor_is_named() -> None:
    """Assert the entry in words and the factor; and nothing of the kind where the sampler is right."""
    answer = judged(two_step, "dpm-solver++-2m", half=0.6)
    assert "outputs[1], the output one evaluation ago, is 1.2 times what it should be in every row" in answer.nearest
    assert judged(two_step, "dpm-solver++-2m").nearest == "dpm-solver++-2m"


@pytest.mark.slow
def test_a_value_of_a_parameter_is_found() -> None:
    """Assert the rational value of the record, and that another strength of noise has none."""
    assert judged(ancestral).matches == ["ddim-eta?eta=1/2"]
    assert judged(ancestral, times=1.000001).matches == []


def alternating(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Callable[..., Tensor]) -> Tensor:
    """To the data, then fresh noise, in every second step to a lower level first."""
    for n, (s, t) in enumerate(pairwise(sigmas)):
        d, low = denoise(x, s), t * (n % 2) / 2
        x = d + low / s * (x - d) + (t * t - low * low).sqrt() * noise(x)
    return x


@pytest.mark.slow
def test_the_strengths_of_noise_and_their_law_are_named() -> None:
    """Assert the family, its eta by step, and that it does not converge in law."""
    answer = judged(alternating)
    assert answer.nearest.startswith("ddim-eta with eta_i = ")
    assert any("eta grows with N, so the law of the sample does not converge" in f.detail for f in answer.findings)


def test_strengths_are_read_from_steps_of_ddims_family_only() -> None:
    """Assert eta of every step; and none without noise, with older outputs, or where rows are off by a thousandth."""
    on = sp.Grid.from_sigmas([20.0, 5.0, 1.0, 0.2, 0.01])
    half = sp.tabulate("ddim-eta?eta=1/2", on)
    for table, eta in ((half, 0.5), (sp.tabulate("ddim-eta", on), 1.0)):
        found = strengths(image(table))
        assert found is not None
        assert found[0] == pytest.approx([eta] * 4, abs=1e-12)
        assert found[1] < 1e-12
    off = replace(half, outputs=half.outputs * 1.001)
    for table in (sp.tabulate("ddim", on), sp.tabulate("sde-dpm-solver++-2m", on), off):
        assert strengths(image(table)) is None


@pytest.mark.slow
@pytest.mark.parametrize("source", DRAWS)
def test_own_draws_are_intercepted(source: str) -> None:
    """Assert it of every source but a generator made before, where the parameter `noise` is named; and that one seeded
    anew in every step, which gives the same noise again, is another formula, as is one that is off by 1e-6 in noise of
    torch or of numpy.
    """
    answer = judged(ancestral, "ddim-eta?eta=1/2", source=source)
    if source.startswith("seeded"):
        assert (answer.verdict, answer.exit_code) == ("different-formula", 1)
        return
    if source == "made_before":
        assert answer.exit_code != 0
        assert any("noise(x, sigma_from, sigma_to)" in finding.detail for finding in answer.findings)
        return
    assert (answer.verdict, answer.exit_code) == ("roundoff", 0)
    if source in ("like", "numpy"):
        assert judged(ancestral, "ddim-eta?eta=1/2", source=source, times=1.000001).exit_code == 1


class Renoised:
    """To the data, then noise, a step at a time."""

    process, prediction = "ve", "data"

    def __init__(self, source: str) -> None:
        self.source, self.at = source, ()

    def levels(self, levels: Any) -> Any:
        self.at = levels
        return levels

    def step(self, n: int, x: Tensor, model: Any, noise: Any) -> Tensor:
        return model(x, self.at[n]) + self.at[n + 1].sigma * DRAWS[self.source](x)


@pytest.mark.parametrize(("source", "draws"), [("seeded", 1), ("seeded_torch", 1), ("like", 6), ("numpy", 6)])
def test_a_generator_seeded_anew_in_every_step_of_a_class_gives_the_same_noise(source: str, draws: int) -> None:
    """Assert the number of noises that a run of six steps depends on."""
    sampler = of_adapter(lambda: Renoised(source), "renoised")
    found = trace(sampler.on(6), sampler.prediction)
    assert found.vectors.shape[1] - 1 - found.nfe == draws
