"""Published levels and optimal ones: their lists, how they are interpolated, and in which sense they are best."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from grid_levels import CLOSE, STEPS, VP, off, ours

from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grid_kinds.gits_levels import COEFFICIENTS
from samplerproof.numerics.grids import Grid, from_times, grid
from samplerproof.numerics.sample import sample
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture


def interpolated(levels: list[float], steps: int) -> list[float]:
    """np.interp of log sigma, which the authors use, with 0 in place of the last."""
    places = np.linspace(0, 1, steps + 1)
    logs = np.interp(places, np.linspace(0, 1, len(levels)), np.log(levels[::-1]))
    return [*np.exp(logs)[::-1][:-1].tolist(), 0.0]


def test_published_levels_are_those_of_diffusers() -> None:
    """Assert the ten steps of Align Your Steps as diffusers keeps them, whose last level is 0."""
    diffusers = pytest.importorskip("diffusers")
    for key in ("StableDiffusion", "StableDiffusionXL", "StableDiffusionVideo"):
        theirs = diffusers.schedulers.scheduling_utils.AysSchedules[f"{key}Sigmas"]
        assert ours(f"diffusers:AysSchedules.{key}Sigmas", 10) == theirs


@pytest.mark.parametrize(
    ("name", "steps"),
    [("ays-sd1", 10), ("ays-sdxl-comfyui", 10), ("ays-svd", 10), ("oss-flux", 10), ("oss-wan", 20), ("oss-chroma", 40)],
)
def test_published_levels_are_interpolated_as_their_authors_do(name: str, steps: int) -> None:
    """Assert log-linear interpolation at other numbers of steps, and the published list at its own."""
    published = ours(name, steps)
    for other in STEPS:
        assert off(ours(f"{name}?zero=1", other), interpolated(published, other)) < 1e-9


def test_gits_has_a_list_for_every_number_of_steps_to_20() -> None:
    """Assert the lists of every coefficient, lists that its file has, and that more steps are interpolated."""
    for coefficient in COEFFICIENTS:
        lists = [ours("gits", steps, coeff=coefficient / 100) for steps in range(2, 21)]
        assert [len(levels) - 1 for levels in lists] == list(range(2, 21))
        assert {(levels[0], levels[-1]) for levels in lists} == {(14.61464119, 0.02916753)}
        assert off(ours("comfyui:GITSScheduler", 50, coeff=coefficient / 100), interpolated(lists[-1], 50)) < 1e-9
    assert ours("gits", 3) == [14.61464119, 1.56271636, 0.52423614, 0.02916753]
    assert ours("gits?coeff=0.8", 4) == [14.61464119, 11.54541874, 7.49001646, 3.07277966, 0.02916753]
    assert ours("gits?coeff=3/2", 20)[1:4] == [2.45070267, 1.41535246, 0.95350921]
    for steps, coefficient, message in ((1, 1.2, "at least 2 on gits"), (5, 1.22, "published lists: 0.8, 0.85")):
        with pytest.raises(InputError, match=message):
            ours("gits", steps, coeff=coefficient)


def test_the_tangent_law_is_best_on_a_gaussian() -> None:
    """Assert the error of DDIM on N(0, c^2) by its factor prod cos(theta_n - theta_{n+1}) and by the sampler's own law,
    that no level can be moved for the better, and that c = 1 is kl-optimal.
    """
    ends, c = {"sigma_min": 0.02, "sigma_max": 20.0}, 0.7
    assert off(ours("tangent", 8, **ends), ours("kl-optimal", 8, **ends)) < CLOSE
    made = grid(VP, "tangent", 8, scale=c, **ends)
    mixture = GaussianMixture([1.0], [0.0], [c])

    def factor(found: Grid) -> float:
        """Standard deviation at the end, over the exact one; the start is exact."""
        first, last = found.points[0], found.points[-1]
        exact = [math.sqrt(p.alpha**2 * c**2 + p.sigma**2) for p in (first, last)]
        return (
            float(sample(mixture, torch.tensor([[exact[0]]], dtype=torch.float64), tabulate("ddim", found))) / exact[1]
        )

    theta = [math.atan(p.sigma / p.alpha / c) for p in made.points]
    product = math.prod(math.cos(a - b) for a, b in pairwise(theta))
    assert factor(made) == pytest.approx(product, rel=1e-12)
    for n in range(1, 8):
        for change in (-1e-3, 1e-3):
            t = made.columns.t.clone()
            t[n] *= 1 + change
            assert factor(from_times(VP, t)) < product
