"""Techniques around samplers, by the names of their papers; `samplerproof reproduce --seeds` has the verdicts.

Inversion: `edict(grid, p)` is the table of EDICT, `reversed_grid(grid)` a grid from clean to noisy for DDIM inversion
and DPM-Solver inversion, `round_trip(denoise, start, tableau)` a run and its inverse with the measured error and the
one that rounding predicts; `sp.invert` is the inverse of any table that has one.

>>> import torch
>>> import samplerproof as sp
>>> mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
>>> grid = sp.grid(sp.schedule("vp-linear"), "uniform-t", 20, t_min=1e-3, t_max=1.0)
>>> z = torch.tensor([[-1.0], [0.5]], dtype=torch.float64)
>>> trip = sp.techniques.round_trip(mixture, [z, z], sp.techniques.edict(grid, p=0.93))
>>> trip.error < 1e-12, trip.inversion.exact
(True, True)
"""

from __future__ import annotations

from .numerics.inversion.edict import edict
from .numerics.inversion.invert import round_trip
from .numerics.inversion.reversed_grid import ReversedGrid, reversed_grid

__all__ = ["ReversedGrid", "edict", "reversed_grid", "round_trip"]
