"""Random grids for property tests: rough, very uneven, with steps down to 1e-7 in lambda."""

from __future__ import annotations

import math

import torch
from hypothesis import strategies as st

from samplerproof.numerics.grids import Grid, from_times
from samplerproof.numerics.schedules import Schedule, schedule

SCHEDULES: tuple[Schedule, ...] = (
    schedule("vp-linear", beta_min=0.1, beta_max=20.0),
    schedule("cosine"),
    schedule("ve", sigma_min=1e-12, sigma_max=1e3),  # as wide as the longest grid below
    schedule("edm"),
    schedule("flow"),
)


@st.composite
def rough_grids(
    draw: st.DrawFn, schedules: tuple[Schedule, ...] = SCHEDULES, most: int = 9, shortest: float = 1e-7
) -> Grid:
    """A grid whose steps in lambda are drawn from [shortest, 3], log-uniformly."""
    chosen = draw(st.sampled_from(schedules))
    size = st.floats(math.log10(shortest), 0.5).map(lambda e: 10**e)
    steps = draw(st.lists(size, min_size=4, max_size=most))
    first = draw(st.floats(-4.0, -1.0))
    lam = torch.tensor([first, *steps], dtype=torch.float64).cumsum(0)
    return from_times(chosen, chosen.time(lam))
