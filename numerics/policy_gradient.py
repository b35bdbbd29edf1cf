"""The policy gradient of SFT-PG on a chain of Gaussian steps, against the exact gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .errors import InputError, of_type, positive, whole

Function = Callable[[Tensor], Tensor]
HERMITE = 64


@dataclass(frozen=True)
class GaussianChain:
    """x_{k+1} = gains[k] x_k + shifts[k] + stds[k] z_k from x_0 ~ N(0, 1), noisiest first: a sampler of K steps.

    Raises InputError on lists of different lengths, and a standard deviation that is not positive: without noise a step
    has no density, so that the policy gradient does not exist.
    """

    gains: tuple[float, ...]
    shifts: tuple[float, ...]
    stds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.gains) == len(self.shifts) == len(self.stds) > 0:
            raise InputError("shifts", self.shifts, f"as many numbers as gains, {len(self.gains)}, and stds")
        for k, std in enumerate(self.stds):
            positive(f"stds[{k}]", std)

    def after(self, k: int) -> tuple[float, float, float]:
        """(g, c, v): given x_k the end is N(g x_k + c, v)."""
        g, c, v = 1.0, 0.0, 0.0
        for gain, shift, std in zip(self.gains[k:], self.shifts[k:], self.stds[k:], strict=True):
            g, c, v = gain * g, gain * c + shift, gain**2 * v + std**2
        return g, c, v


class Estimate(NamedTuple):
    """An estimated gradient in the gains and shifts: [2, K], with its standard errors [2, K]."""

    mean: Tensor
    stderr: Tensor


def exact_gradient(chain: GaussianChain, f: Function) -> Tensor:
    """d E f(x_K)/d gains and d/d shifts: [2, K], from the law N(m, v) of the end, by Gauss-Hermite and autograd."""
    gains, shifts = (
        torch.tensor(values, dtype=torch.float64, requires_grad=True) for values in (chain.gains, chain.shifts)
    )
    mean, variance = torch.zeros(()), torch.ones(())
    for gain, shift, std in zip(gains, shifts, chain.stds, strict=True):
        mean, variance = gain * mean + shift, gain.square() * variance + std**2
    x, w = _hermite()
    expected = (w * f(mean + variance.sqrt() * x)).sum()
    return torch.stack(torch.autograd.grad(expected, (gains, shifts)))


def policy_gradient(
    chain: GaussianChain, f: Function, paths: int, generator: torch.Generator, *, baseline: bool = False
) -> Estimate:
    """The estimate E[(f(x_K) - V(x_k)) d log p(x_{k+1} | x_k)/d theta] of the same gradient, over random paths.

    d log p/d gain = z x_k/std and d log p/d shift = z/std.  baseline: V(x_k) = E[f(x_K) | x_k], exact, else V = 0.
    Raises InputError on fewer than two paths.  Fan and Lee 2023 (arXiv 2301.13362), as in the code, toy_exp/train.py.
    """
    of_type("chain", chain, GaussianChain, "a GaussianChain")
    if whole("paths", paths) < 2:
        raise InputError("paths", paths, "at least 2")
    x = torch.randn(paths, generator=generator, dtype=torch.float64)
    states, noises = [], []
    for gain, shift, std in zip(chain.gains, chain.shifts, chain.stds, strict=True):
        z = torch.randn(paths, generator=generator, dtype=torch.float64)
        states.append(x)
        noises.append(z)
        x = gain * x + shift + std * z
    end, terms = f(x), []
    for k, (state, z, std) in enumerate(zip(states, noises, chain.stds, strict=True)):
        gain_of_f = end - value(chain, f, k, state) if baseline else end
        terms.append(torch.stack([gain_of_f * z / std * state, gain_of_f * z / std]))
    every = torch.stack(terms, dim=1)
    return Estimate(every.mean(dim=2), every.std(dim=2) / math.sqrt(paths))


def value(chain: GaussianChain, f: Function, k: int, state: Tensor) -> Tensor:
    """V(x_k) = E[f(x_K) | x_k] for states [n]: [n]."""
    g, c, v = chain.after(k)
    x, w = _hermite()
    found = torch.zeros_like(state)
    for node, weight in zip(x.tolist(), w.tolist(), strict=True):
        found += weight * f(g * state + c + math.sqrt(v) * node)
    return found


def shortcut(mean: float, variance: float, stds: tuple[float, float]) -> GaussianChain:
    """A chain of two steps with these noises whose end is exactly N(mean, variance).

    Raises InputError where the last noise alone has more variance: then there is none.
    """
    rest = variance - stds[1] ** 2
    if rest < 0:
        raise InputError("stds[1]", stds[1], f"at most the standard deviation {math.sqrt(variance):.6g} of the target")
    return GaussianChain((1.0, math.sqrt(rest / (1 + stds[0] ** 2))), (0.0, mean), stds)


def _hermite() -> tuple[Tensor, Tensor]:
    """Nodes and weights of the mean over N(0, 1)."""
    x, w = np.polynomial.hermite_e.hermegauss(HERMITE)
    return torch.as_tensor(x), torch.as_tensor(w / w.sum())
