"""Moments of a smooth weight over a step: integrals of drho/dt, the weight of the noise prediction in the clock t."""

from __future__ import annotations

from math import ceil

import numpy as np
import torch
from torch import Tensor

from .errors import InputError
from .grids import Grid

POWERS = {f"m{k}": k for k in range(5)}
NODES = 16  # of Gauss and Legendre's rule, on each panel
PANEL = 0.5  # its width in lambda: from there on the nearest singularity of t(lambda) is three times as far


def moments(grid: Grid, steps: Tensor, b: Tensor | None, wanted: set[str]) -> dict[str, Tensor]:
    """m_k, the integral of s^k drho over the step, s = (t - t_n)/(t_{n+1} - t_n), and with a rate b `rate_moment`, the
    integral of e^{b (t - t_{n+1})} drho: of every given step, float64 [n], 1e-13 relative.

    Gauss and Legendre's rule in t on panels equally wide in lambda. A step whose end is at infinite lambda is taken
    by its one-node weight m_0 alone, the others NaN.  Raises InputError on a discrete process.
    """
    if grid.schedule is None:
        raise InputError("grid", "a discrete process", "no points between its levels, which this method needs")
    c, schedule = grid.columns, grid.schedule
    first, last, t, end = c.lam[steps], c.lam[steps + 1], c.t[steps], c.t[steps + 1]
    finite = first.isfinite() & last.isfinite()
    rho = c.rho[steps + 1] - c.rho[steps]
    found = {name: torch.where(finite, torch.nan, rho) for name in wanted & {*POWERS, "rate_moment"}}
    if not bool(finite.any()):
        return found
    first, last, t, end = (v[finite, None] for v in (first, last, t, end))
    panels = ceil(float((last - first).max()) / PANEL)
    inner = schedule.time(first + (last - first) * torch.arange(1, panels, dtype=torch.float64) / panels)
    edges = torch.cat([t, inner, end], dim=1)  # in t: as fractions of a long step the last ones would be rounded to 1
    x, w = (torch.from_numpy(v) for v in np.polynomial.legendre.leggauss(NODES))
    width, fractions = edges.diff(dim=1)[..., None], (edges - t) / (end - t)
    time = edges[:, :-1, None] + width * (x + 1) / 2
    s = fractions[:, :-1, None] + fractions.diff(dim=1)[..., None] * (x + 1) / 2
    at = schedule.columns(time.flatten())
    rate = ((at.alpha * at.dsigma - at.sigma * at.dalpha) / at.alpha**2).view_as(s)
    measure = rate * width * w / 2
    for name in found:
        if name in POWERS:
            factor = s ** POWERS[name]
        else:
            assert b is not None
            factor = (b * (end - t)[..., None] * (s - 1)).exp()
        found[name][finite] = (factor * measure).sum(dim=(1, 2))
    return found
