"""A library of one sampler: DPM-Solver++(2M), as a function of a denoiser and noise levels."""

from __future__ import annotations

from itertools import pairwise

import torch


def sample_2m(denoise, x, sigmas):  # type: ignore[no-untyped-def]
    """denoise(x, sigma) is the data prediction at x = x0 + sigma eps; a last step to 0 is one of order 1."""
    before = None
    for s, t in pairwise(sigmas):
        h = (s / t).log()
        data = used = denoise(x, s)
        if before is not None and t > 0:
            earlier, level = before
            used = data + (data - earlier) * h / (2 * (level / s).log())
        x = t / s * x - torch.expm1(-h) * used
        before = data, s
    return x


def levels(steps: int) -> list[float]:
    """The levels of Karras et al. from 80 to 0.002."""
    return [(80 ** (1 / 7) + n / steps * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7 for n in range(steps + 1)]
