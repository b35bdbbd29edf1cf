"""A run backwards: from the last vectors of a table to those that it starts from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..denoisers import Denoiser
from ..errors import InputError, of_type, runnable
from ..sample import run_table
from ..table_rows import KnownVectors
from ..tableau import Tableau
from .backward_steps import amplification, backward_steps, blocks, ends
from .fixed_point import LIMIT
from .whole_steps import Solver, solve_block, solve_step, take


@dataclass(frozen=True)
class Inversion:
    """What an inversion found.

    start: the vectors that `sample` takes to return to the sample, as many as the table is given.
    evaluations: of the model.  iterations: evaluations for every equation, of an implicit step or of steps that are
    solved together, in the order in which they were solved; an exact inverse has none.  residual: the largest of
    |g(z) - z| that a solver left.
    amplification: what an exact inverse multiplies a rounding by (see backward_steps.py).
    """

    start: tuple[Tensor, ...]
    evaluations: int
    iterations: tuple[int, ...]
    residual: float
    amplification: float

    @property
    def exact(self) -> bool:
        """Whether no equation was solved: the inverse is that of the table, for any model."""
        return not self.iterations


@torch.no_grad()
def invert(
    denoise: Denoiser,
    x0: Tensor | Sequence[Tensor],
    tableau: Tableau,
    *,
    solver: str = "anderson",
    memory: int = 2,
    tolerance: float | None = None,
    limit: int = LIMIT,
    dtype: torch.dtype = torch.float64,
) -> Inversion:
    """The start from which a sampler returns x0: its rows backwards, v_u = (v_i - sum of the known terms)/c_u.

    A row that reads the model at v_u itself, as every step of DDIM, is solved as a fixed point in the noise prediction,
    v_u = (v_i - b eps(v_u))/a, each sample by itself, from v_u = v_i a first guess (AIDI). Where a row reads outputs at
    vectors that are found after v_u, as a step of Heun's method at its stage, or 2M at the past point, whole steps are
    solved together, of a multistep method the whole run (whole_steps.py). Where the map of a sampler folds, as 2M's may
    with few steps, there are several starts, of which one is found.
    denoise, tableau, dtype: as in `sample`.  x0: the sample; or a sequence of as many vectors as the table is given,
    where a further step would read several: both states of BDIA, earlier first, both chains of EDICT.
    solver: "anderson" with a memory, "average" (of two points) or "plain".  tolerance: of the fixed points, relative to
    max(1, |v|); None: 450 eps of the dtype, 1e-13 in float64.  limit: of the evaluations for a step, or of the sweeps
    for steps that are solved together.
    Returns an Inversion; `sample(denoise, inversion.start, tableau)` returns to x0.
    Raises InputError on a table without an inverse, naming the row and why, as one that draws noise or a multistep
    method with exact start values, and on other numbers of vectors; SamplingError, with the step and the residual,
    where a solver does not converge.
    Zhang et al. 2023 (BDIA), Wallace et al. 2023 (EDICT), Pan et al. 2023 (AIDI).

    >>> import torch
    >>> import samplerproof as sp
    >>> mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
    >>> grid = sp.grid(sp.schedule("vp-linear"), "uniform-t", 20, t_min=1e-3, t_max=1.0)
    >>> table = sp.tabulate("ddim", grid)
    >>> x0 = torch.tensor([[-1.0], [0.2], [1.1]])
    >>> found = sp.invert(mixture, x0, table)
    >>> bool((sp.sample(mixture, found.start, table) - x0).abs().max() < 1e-12), max(found.iterations) <= 8
    (True, True)
    """
    runnable("denoise", denoise, "a function (x, at, prediction), such as a mixture, or checkpoint.denoiser()")
    of_type("tableau", tableau, Tableau, "a table, as sp.tabulate(name, grid) makes it")
    of_type("x0", x0, (Tensor, list, tuple), "a tensor, or a sequence of tensors")
    last = [x0] if isinstance(x0, Tensor) else list(x0)
    steps, known = backward_steps(tableau), ends(tableau)
    if len(last) != len(known):
        raise InputError("x0", f"{len(last)} vectors", f"{len(known)}, those that a further step would read")
    for i, vector in enumerate(last):
        of_type(f"x0[{i}]", vector, Tensor, "a tensor")
        if vector.shape != last[0].shape or vector.ndim < 2 or vector.numel() == 0:
            raise InputError(f"x0[{i}]", tuple(vector.shape), "one shape, with a batch first, of one sample or more")
        if not bool(torch.isfinite(vector).all()):
            raise InputError(f"x0[{i}]", "a non-finite value", "finite values only")
    of_type("dtype", dtype, torch.dtype, "a dtype, such as torch.float64")
    if not dtype.is_floating_point:
        raise InputError("dtype", dtype, "a floating point dtype, such as torch.float64")
    run = KnownVectors(denoise, tableau, {i: v.to(dtype) for i, v in zip(known, last, strict=True)})
    relative = 450 * torch.finfo(dtype).eps if tolerance is None else tolerance
    how, iterations, residuals = Solver(solver, memory, relative, limit), [], [0.0]
    for block in blocks(steps):
        if block[0].kind != "implicit":
            take(run, block[0])
            continue
        before = run.evaluations
        residuals.append(solve_block(run, block, how) if block[0].later else solve_step(run, block[0], how))
        iterations.append(run.evaluations - before)
    return Inversion(
        start=tuple(run.vectors[i] for i in range(tableau.given)),
        evaluations=run.evaluations,
        iterations=tuple(iterations),
        residual=max(residuals),
        amplification=amplification(steps),
    )


@dataclass(frozen=True)
class RoundTrip:
    """A run and its inverse.  x0: the last vectors of the run.  error: max |start found - start|.

    roundoff: what rounding predicts for it. Of an exact inverse, eps of the dtype times the amplification, where that
    exceeds a few roundings. Of a solved one, the distance of x0 to the run from the start that was found, in every
    sample times the growth of a small change of x0 in the inverse.
    """

    x0: tuple[Tensor, ...]
    inversion: Inversion
    error: float
    roundoff: float


@torch.no_grad()
def round_trip(
    denoise: Denoiser, start: Tensor | Sequence[Tensor], tableau: Tableau, *, dtype: torch.dtype = torch.float64
) -> RoundTrip:
    """Run a sampler from `start` and invert it: the measured error of the start, and the one that rounding predicts.

    Arguments as in `sample`.  Raises InputError and SamplingError as `sample` and `invert` do.
    """
    backward_steps(tableau)
    x0 = _last(denoise, start, tableau, dtype)
    found = invert(denoise, x0, tableau, dtype=dtype)
    given = [start] if isinstance(start, Tensor) else list(start)
    error = max(float((one - other.to(dtype)).abs().max()) for one, other in zip(found.start, given, strict=True))
    roundoff = torch.finfo(dtype).eps * found.amplification
    if not found.exact:
        roundoff = _carried_back(denoise, x0, tableau, found)
    return RoundTrip(x0, found, error, roundoff)


def _last(
    denoise: Denoiser, start: Tensor | Sequence[Tensor], tableau: Tableau, dtype: torch.dtype
) -> tuple[Tensor, ...]:
    """The vectors that an inversion starts from, of a run."""
    vector = run_table(denoise, start, tableau, dtype=dtype)
    return tuple(vector(i).clone() for i in ends(tableau))


def _carried_back(denoise: Denoiser, x0: tuple[Tensor, ...], tableau: Tableau, found: Inversion) -> float:
    """The largest error of the start by what its run misses x0 by, each sample with the growth of a small change."""
    missed = [back - x for back, x in zip(_last(denoise, found.start, tableau, x0[0].dtype), x0, strict=True)]
    nudge = math.sqrt(torch.finfo(x0[0].dtype).eps)
    nudged = invert(denoise, [x + nudge for x in x0], tableau, dtype=x0[0].dtype)
    moved = [near - start for near, start in zip(nudged.start, found.start, strict=True)]
    largest: float = (_largest(missed) * _largest(moved)).max().item()
    return largest / nudge


def _largest(vectors: Sequence[Tensor]) -> Tensor:
    """The largest entry of every sample, [n], over vectors [n, ...]."""
    return torch.stack([v.abs().flatten(1).amax(dim=1) for v in vectors]).amax(dim=0)
