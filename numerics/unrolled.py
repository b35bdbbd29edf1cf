"""A run of a sampler through which gradients are recorded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .denoisers import Denoiser
from .noise import NoiseSource
from .sample import run_table
from .tableau import Tableau


def unrolled(
    denoise: Denoiser,
    start: Tensor | Sequence[Tensor],
    tableau: Tableau,
    *,
    noise: NoiseSource | None = None,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """The sample that `sample` returns, in every bit, with the graph of its gradients.

    denoise, start, tableau, noise, dtype: as in `sample`; denoise records gradients in what is to be differentiated,
    such as a network that `adapt` wraps (the denoiser of a checkpoint records none).  Every step keeps its tensors, so
    that memory grows in proportion to the number of evaluations.  Raises what `sample` raises.

    >>> import torch
    >>> import samplerproof as sp
    >>> from samplerproof.numerics.unrolled import unrolled
    >>> gain = torch.ones((), dtype=torch.float64, requires_grad=True)
    >>> denoise = sp.adapt(lambda x, at: gain * x / (1 + at.sigma**2), "data")
    >>> table = sp.tabulate("ddim", sp.Grid.from_sigmas([1.0, 0.5, 0.0]))
    >>> unrolled(denoise, torch.ones(1, 1, dtype=torch.float64), table).sum().backward()
    >>> round(gain.grad.item(), 3)  # of x (1/2 + g/4) 4 g/5
    0.8
    """
    return run_table(denoise, start, tableau, noise, dtype, recorded=True)(len(tableau.points) - 1)
