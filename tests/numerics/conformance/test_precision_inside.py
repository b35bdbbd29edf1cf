"""Code that computes in a narrower dtype than it is given: what float64 reaches, and what is said where it does not."""

from __future__ import annotations

import types
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from samplerproof.numerics.conformance.adapters.in_float64 import Precision, entered, in_float64
from samplerproof.numerics.conformance.report import Verdict
from samplerproof.numerics.testing import verdict_here

Denoise = Callable[[Tensor, Tensor], Tensor]
THIRD = torch.tensor(1 / 3, dtype=torch.float32)
library = types.ModuleType("a_narrow_library")
exec(
    """
import numpy as np, torch
from numpy import float32 as F
H = torch.float32
def step(x, d, s, t):
    ratio = float(np.asarray([float(t) / float(s)], dtype=F)[0])
    return (d.float() + torch.tensor(ratio, dtype=H) * (x - d).type(H)).to(x.dtype)
""",
    vars(library),
)


def through_library(denoise: Denoise, x: Tensor, sigmas: Tensor, off: float = 1.0) -> Tensor:
    """Casts, factories, names and constants in another module."""
    for s, t in pairwise(sigmas):
        x = library.step(x, off * denoise(x, s), s, t)
    return x


def by_constant(denoise: Denoise, x: Tensor, sigmas: Tensor, off: float = 1.0) -> Tensor:
    """A constant that was rounded to float32 when it was made."""
    for s, t in pairwise(sigmas):
        d = off * 3 * THIRD * denoise(x, s)
        x = d + t / s * (x - d)
    return x


def by_numpy(denoise: Denoise, x: Tensor, sigmas: Tensor, off: float = 1.0) -> Tensor:
    """A state that passes through numpy in single precision."""
    for s, t in pairwise(sigmas):
        d = denoise(x, s)
        moved = (off * d + t / s * (x - d)).numpy().astype("float32")
        x = torch.from_numpy(moved.astype("float64")).to(x.dtype)
    return x


def half(denoise: Denoise, x: Tensor, sigmas: Tensor, off: float = 1.0) -> Tensor:
    """A state in bfloat16."""
    for s, t in pairwise(sigmas):
        d = denoise(x, s)
        x = (off * d + t / s * (x - d)).to(torch.bfloat16).to(d.dtype)
    return x


def judged(sampler: object, off: float = 1.0) -> Verdict:
    return verdict_here(sampler, "ddim", 6, {"off": off}, zero=False)


INSIDE = {through_library: "", by_constant: "float32", by_numpy: "float32"}


@pytest.mark.parametrize(
    "sampler", [s if s is by_constant else pytest.param(s, marks=pytest.mark.slow) for s in INSIDE]
)
def test_narrow_code_is_the_record_and_a_fault_in_it_is_not(sampler: object) -> None:
    """Assert both sides, and that the dtype is named where float64 does not reach it, or the run as shipped rounds."""
    answer = judged(sampler)
    assert (answer.verdict, answer.matches, answer.exit_code) == ("roundoff", ["ddim"], 0)
    said = [f.detail for f in answer.findings if "inside" in f.detail]
    assert [f"it computes in {INSIDE[sampler]} inside" in line for line in said] == [True] * bool(INSIDE[sampler])  # type: ignore[index]
    assert judged(sampler, 1.000001).verdict == "different-formula"


@pytest.mark.slow
def test_a_state_in_half_precision_is_a_fault_and_named() -> None:
    answer = judged(half)
    assert (answer.verdict, answer.exit_code) == ("not-linear", 2)
    assert answer.findings[-1].detail == "it computes in bfloat16 inside"


def test_all_ways_to_float32_lead_to_float64() -> None:
    """Assert it of casts, factories, legacy types, numpy and other tensors; and that the rest is noted."""
    space = {"torch": torch, "np": np, "library": library}
    x, buffer = torch.ones(2, dtype=torch.float64) / 3, torch.ones(2)
    with in_float64(*entered(space)) as seen:
        found = [
            x.float(),
            x.to(torch.float32),
            x.to(dtype=torch.float),
            torch.zeros(2, dtype=torch.float32),
            torch.tensor([0.1]),
            eval("torch.FloatTensor([0.1])", space),
            torch.tensor(eval("np.float32(0.1)", space)),
        ]
        assert {v.dtype for v in found} == {torch.float64}
        assert seen.inside is None
        assert (x * THIRD).dtype is torch.float64
        assert seen.inside is torch.float32
        assert x.half().dtype is torch.float64  # widened again after it was rounded
        assert x.half()[0] == 0.333251953125
        assert seen.inside is torch.float16
        buffer.mul_(3)
    assert buffer.tolist() == [3.0, 3.0]  # itself, and not a copy
    assert library.H is torch.float32
    assert space["np"] is np
    with Precision(torch.float32) as as_shipped:
        x.to(torch.bfloat16)
    assert as_shipped.inside is torch.bfloat16
