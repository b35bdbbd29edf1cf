"""What a fitted solver is fitted to: the states of a teacher at the points of the solver's run."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..denoisers import DENOISER, Denoiser
from ..errors import InputError, of_type, runnable
from ..points import Point, same_level
from ..tableau import Tableau
from ..targets.flow import exact_flow
from ..targets.mixture import GaussianMixture
from ..targets.reference import reference_flow
from .fitted_rows import run_vectors

Target = Callable[[Point], Tensor]


def exact_target(mixture: GaussianMixture, start: Tensor, first: Point) -> Target:
    """The exact flow of samples [n, d] from the point `first` to any other: the teacher without an error.

    In one dimension by quantiles, else by DOP853, from the last point asked for if that is noisier.
    """
    of_type("mixture", mixture, GaussianMixture, "a GaussianMixture")
    if mixture.dim == 1:
        return lambda point: exact_flow(mixture, start, first, point)[0]
    last, state = first, start

    def target(point: Point) -> Tensor:
        nonlocal last, state
        if point.lam < last.lam:
            last, state = first, start
        if point != last:
            last, state = point, reference_flow(mixture, state, last, [point])[0]
        return state

    return target


@torch.no_grad()
def teacher_target(denoise: Denoiser, start: Tensor, tableau: Tableau) -> Target:
    """The states at the grid points of another run of the model, such as one of ten times the steps.

    tableau: of the teacher; its grid has every point of the student's run, so that both are compared at the same level.
    The target raises InputError at a level that the teacher has not.

    >>> import samplerproof as sp
    >>> mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
    >>> student, finer = (sp.grid(sp.schedule("vp-linear"), "uniform-t", n, t_min=1e-3, t_max=1.0) for n in (5, 50))
    >>> x = sp.metrics.nodes((mixture, student.points[0]), 101)
    >>> target = sp.techniques.teacher_target(mixture, x, sp.tabulate("ddim", finer))
    >>> target(student.points[1]).shape
    torch.Size([101, 1])
    """
    runnable("denoise", denoise, DENOISER)
    of_type("tableau", tableau, Tableau, "a table, as sp.tabulate(name, grid) makes it")
    vectors = run_vectors(denoise, start, tableau)
    states = {step: i for i, step in enumerate(tableau.step)}  # the last vector of a step
    known = [(tableau.points[i], vectors[i]) for i in states.values()]

    def target(point: Point) -> Tensor:
        for at, state in known:
            if same_level(at.lam, point.lam):
                return state * _scale(at, point)
        raise InputError("tableau", f"no level sigma/alpha = {point.rho:.6g}", "a teacher with every level of the run")

    return target


def _scale(at: Point, point: Point) -> float:
    """The factor between two states at one level, 1 for one process."""
    return math.hypot(point.alpha, point.sigma) / math.hypot(at.alpha, at.sigma)
