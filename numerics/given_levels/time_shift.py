"""Time-Shift: DDIM that continues from the level whose noise variance is nearest to the variance of the sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..ddim_step import ddim_step
from ..denoisers import DENOISER, Denoiser
from ..errors import InputError, of_type, runnable, whole
from ..grids import Grid
from ..points import Point


@dataclass
class Shifts:
    """How a run of `time_shifted` was shifted: mean[k] is the mean shift after step k, in levels towards noise."""

    mean: list[float] = field(default_factory=list)


@torch.no_grad()
def time_shifted(
    denoise: Denoiser,
    start: Tensor,
    levels: Grid,
    visited: Sequence[int],
    *,
    window: int,
    cutoff: int = 0,
    constant: Mapping[int, int] | None = None,
    shifts: Shifts | None = None,
) -> Tensor:
    """DDIM over the levels `visited`, each sample continuing from its own level t_s near the one that it has reached.

        t_s = argmin over |k - n| <= window/2 of |var(x) - sigma_k^2|,  x' = alpha' x0hat + sigma' epshat at (x, t_s)

    levels: a grid of all T + 1 levels, of which level k is k steps from the clean end.  visited: levels, from noisy to
    clean, as multiples of a stride.  start [n, ...]: samples at the first of them.  window: its width w; 0 is DDIM.
    cutoff: t_c; only levels n > t_c are shifted, and the last one never. var(x) is that of the entries of one sample,
    by their number less one.  constant: level n -> the shift there, the same for every sample, in place of the rule.
    shifts: is filled with the shifts of the run.
    Raises InputError on levels out of order or not in the grid, a window or cutoff below 0, samples of one entry.
    Li et al. 2024 (arXiv 2305.15583), algorithm 3 as recalled; the released code takes the variance before the step.
    """
    runnable("denoise", denoise, DENOISER)
    of_type("levels", levels, Grid, "a grid of all levels")
    for name, value in (("window", window), ("cutoff", cutoff)):
        if whole(name, value) < 0:
            raise InputError(name, value, "0 or more")
    path, top = [whole(f"visited[{k}]", n) for k, n in enumerate(visited)], levels.steps
    if len(path) < 2 or path[0] > top or path[-1] < 0 or path != sorted(set(path), reverse=True):
        raise InputError("visited", path, f"at least two levels from {top} to 0, strictly falling")
    if start.ndim < 2 or start[0].numel() < 2:
        raise InputError("start", list(start.shape), "a batch first, and at least two entries a sample")
    points = levels.points[::-1]
    x, at = start, torch.full((len(start),), path[0])
    for number, n in enumerate(path[1:], start=1):
        x = _step(denoise, x, at, points, points[n])
        at = torch.full((len(x),), n)
        if n > cutoff and number < len(path) - 1:
            at = _nearest(x, n, points, window) if constant is None else (at + constant.get(n, 0)).clamp(0, top)
        if shifts is not None:
            shifts.mean.append(float((at - n).double().mean()))
    return x


def _nearest(x: Tensor, n: int, points: tuple[Point, ...], window: int) -> Tensor:
    """For every sample the level in the window whose noise variance is nearest to the variance of its entries."""
    low, high = max(n - window // 2, 1), min(n + window // 2, len(points) - 1)
    noise = torch.tensor([points[k].sigma ** 2 for k in range(low, high + 1)], dtype=torch.float64)
    variance = x.flatten(1).to(torch.float64).var(dim=1)
    return low + (variance[:, None] - noise).abs().argmin(dim=1)


def _step(denoise: Denoiser, x: Tensor, at: Tensor, points: tuple[Point, ...], to: Point) -> Tensor:
    """A step of DDIM from the level of every sample: one evaluation for each level that occurs."""
    new = torch.empty_like(x)
    for k in sorted(set(at.tolist())):
        here, place = at == k, points[k]
        new[here] = ddim_step(x[here], denoise(x[here], place, "noise"), place, to)
    return new
