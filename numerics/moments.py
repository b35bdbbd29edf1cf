"""Moments of a smooth weight over a step: integrals of drho/dt, the weight of the noise prediction in the clock t."""

from __future__ import annotations

from math import ceil

import numpy as np
import torch
from torch import Tensor

from .grids import Grid

POWERS = {f"m{k}": k for k in range(5)}
NODES = 16  # of the Gauss-Legendre rule, on each panel
PANEL = 0.5  # width in lambda: the nearest singularity of t(lambda) is three times as far away


def moments(grid: Grid, steps: Tensor, b: Tensor | float, wanted: set[str]) -> dict[str, Tensor]:
    """The moments of drho/dt over every given step, by name: float64 [n], 1e-13 relative.

    m_k: the integral of s^k drho, s = (t - t_n)/(t_{n+1} - t_n).  rate_moment, with a rate b, of all steps or
    of each: the integral of e^{b (t - t_{n+1})} drho.  Gauss-Legendre quadrature in t on panels of equal width in
    lambda. A step that ends at infinite lambda has m_0 alone, and NaN for the others.  Raises InputError on a discrete
    process.
    """
    # The steps with both ends at finite lambda; on the others the one-node weight.
    c, schedule = grid.columns, grid.required_schedule
    first, last, t, end = c.lam[steps], c.lam[steps + 1], c.t[steps], c.t[steps + 1]
    finite = first.isfinite() & last.isfinite()
    rho = c.rho[steps + 1] - c.rho[steps]
    found = {name: torch.where(finite, torch.nan, rho) for name in wanted & {*POWERS, "rate_moment"}}
    if not bool(finite.any()):
        return found
    # Panels of equal width in lambda, their edges in t.
    first, last, t, end = (v[finite, None] for v in (first, last, t, end))
    panels = ceil(float((last - first).abs().max()) / PANEL)
    inner = schedule.time(first + (last - first) * torch.arange(1, panels, dtype=torch.float64) / panels)
    edges = torch.cat([t, inner, end], dim=1)  # in t: as fractions of a long step the last ones would be rounded to 1
    # Gauss-Legendre nodes in every panel, and the measure drho = rate dt at them.
    x, w = (torch.from_numpy(v) for v in np.polynomial.legendre.leggauss(NODES))
    width, fractions = edges.diff(dim=1)[..., None], (edges - t) / (end - t)
    time = edges[:, :-1, None] + width * (x + 1) / 2
    s = fractions[:, :-1, None] + fractions.diff(dim=1)[..., None] * (x + 1) / 2
    at = schedule.columns(time.flatten())
    rate = ((at.alpha * at.dsigma - at.sigma * at.dalpha) / at.alpha**2).view_as(s)
    measure = rate * width * w / 2
    # The integrals, panels and nodes summed.
    rates = torch.as_tensor(b, dtype=torch.float64).expand(len(steps))[finite, None, None]
    for name in found:
        factor = s ** POWERS[name] if name in POWERS else (rates * (end - t)[..., None] * (s - 1)).exp()
        found[name][finite] = (factor * measure).sum(dim=(1, 2))
    return found
