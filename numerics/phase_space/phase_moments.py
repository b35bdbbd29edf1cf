"""Mean and covariance of samplers of phase space on Gaussian data, exactly: every step is affine there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError, of_type, runnable
from ..grids import Grid
from ..noise import NoiseSource
from ..targets.conditioned import covariances
from .phase_mixture import PhaseMixture
from .phase_process import clock_of
from .splitting_records import Splitting, parts_of, splitting
from .splitting_run import split

Run = Callable[[Tensor, NoiseSource], Tensor]  # states [n, 2 d] and noise -> states [n, 2 d]


class Moments(NamedTuple):
    """Mean [2 d] and covariance [2 d, 2 d] of (x, m)."""

    mean: Tensor
    covariance: Tensor


def exact_moments(law: PhaseMixture, b: float) -> Moments:
    """Those of the law at b, for a mixture of one component.  Raises InputError on more."""
    of_type("law", law, PhaseMixture, "a PhaseMixture")
    if law.mixture.components != 1:
        raise InputError("law", f"{law.mixture.components} components", "one: a step is affine on Gaussian data only")
    at = law.at(b)
    return Moments(at.means[0], covariances(at.parts)[0])


def affine_moments(run: Run, start: Moments, draws: int) -> Moments:
    """The moments at the end of a run that is affine in the state and in its noises, of which it asks `draws`.

    The run is evaluated at zero and at the unit vectors of the state and of every noise: y = c + J z + sum N_k w_k, so
    that the mean is c + J mean and the covariance J C J^T + sum N_k N_k^T.
    """
    runnable("run", run, "a function of (states [n, 2 d], noise)")
    width = len(start.mean)
    z = torch.zeros(1 + width * (1 + draws), width, dtype=torch.float64)
    z[1 : 1 + width] = torch.eye(width, dtype=torch.float64)

    def unit(like: Tensor, draw: int) -> Tensor:
        noise, first = torch.zeros_like(like), 1 + width * (1 + draw)
        noise[first : first + width] = torch.eye(width, dtype=like.dtype)
        return noise

    end = run(z, unit)
    columns = end[1:] - end[0]  # the columns of J and of the N_k, as rows
    jacobian, noises = columns[:width].T, columns[width:]
    return Moments(end[0] + jacobian @ start.mean, jacobian @ start.covariance @ jacobian.T + noises.T @ noises)


def split_moments(law: PhaseMixture, clock: Grid | Iterable[float], name: str | Splitting) -> Moments:
    """The moments of a splitting integrator at the end, from the exact law at the start, step by step.

    law: of one component.  Raises InputError as split does, and on a mixture of more components.
    """
    levels, chosen = clock_of(clock), splitting(name)
    parts = parts_of(law.space, chosen.stochastic)
    draws = sum(bool(parts[substep.part].noise.any()) for substep in chosen.substeps)
    found = exact_moments(law, levels[0])
    for b, to in pairwise(levels):

        def step(z: Tensor, noise: NoiseSource, over: tuple[float, float] = (b, to)) -> Tensor:
            return split(law.space, law, z, over, chosen, noise)

        found = affine_moments(step, found, draws)
    return found
