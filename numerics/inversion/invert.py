"""A run backwards: from the last vectors of a table to those that it starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..denoisers import Denoiser
from ..errors import InputError, SamplingError, of_type, runnable
from ..generated.prediction_functions import CONVERT
from ..sample import run_table
from ..table_rows import KnownVectors
from ..tableau import Tableau
from .backward_steps import Backward, amplification, backward_steps, ends
from .fixed_point import LIMIT, FixedPoint, fixed_point


@dataclass(frozen=True)
class Inversion:
    """What an inversion found.

    start: the vectors that `sample` takes to return to the sample, as many as the table is given.
    evaluations: of the model.  iterations: evaluations of every implicit step, in the order in which they were solved;
    an exact inverse has none.  residual: the largest of |g(z) - z| that a solver left.
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
    v_u = (v_i - b eps(v_u))/a, each sample by itself, from v_u = v_i a first guess (AIDI).
    denoise, tableau, dtype: as in `sample`.  x0: the sample; or a sequence of as many vectors as the table is given,
    where a further step would read several: both states of BDIA, earlier first, both chains of EDICT.
    solver: "anderson" with a memory, "average" (of two points) or "plain".  tolerance: of the fixed points, relative to
    max(1, |v|); None: 450 eps of the dtype, 1e-13 in float64.  limit: of the evaluations for a step.
    Returns an Inversion; `sample(denoise, inversion.start, tableau)` returns to x0.
    Raises InputError on a table without an inverse, naming the row and why, and on other numbers of vectors;
    SamplingError, with the step and the residual, where a solver does not converge.
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
        if vector.shape != last[0].shape or vector.ndim < 2:
            raise InputError(f"x0[{i}]", tuple(vector.shape), "one shape, with a batch first")
        if not bool(torch.isfinite(vector).all()):
            raise InputError(f"x0[{i}]", "a non-finite value", "finite values only")
    run = KnownVectors(denoise, tableau, {i: v.to(dtype) for i, v in zip(known, last, strict=True)})
    relative = 450 * torch.finfo(dtype).eps if tolerance is None else tolerance
    solved: list[FixedPoint] = []
    for step in steps:
        if step.kind == "implicit":
            solved.append(_solve(run, step, solver, memory, relative, limit))
        else:
            _take(run, step)
    return Inversion(
        start=tuple(run.vectors[i] for i in range(tableau.given)),
        evaluations=run.evaluations,
        iterations=tuple(s.evaluations for s in solved),
        residual=max((s.residual for s in solved), default=0.0),
        amplification=amplification(steps),
    )


def _take(known: KnownVectors, step: Backward) -> None:
    """Find a vector by its row, or exactly from a later one."""
    row = step.row
    terms = known.applied(row, step.finds)
    known.vectors[step.finds] = (
        terms if step.kind == "forward" else (known.vectors[row.vector] - terms) / row.states[step.finds]
    )


def _solve(known: KnownVectors, step: Backward, solver: str, memory: int, tolerance: float, limit: int) -> FixedPoint:
    """Find a vector as a fixed point: c v + w d(v) = a v + b eps(v), d = A v + B eps."""
    row, u, tableau = step.row, step.finds, known.tableau
    at, prediction, weight = tableau.points[u], tableau.prediction_at(u), row.outputs[u]
    kept, gain = (0.0, 1.0) if prediction == "noise" else CONVERT["noise", prediction](*at[:2], *at[3:])
    a, b = row.states[u] + weight * kept, weight * gain
    if a == 0:
        raise InputError("tableau", f"row {row.number}", "no inverse: in the noise prediction it keeps no state")
    goal = known.vectors[row.vector] - known.applied(row, u)
    found = fixed_point(
        lambda v: (goal - b * known.evaluated(v, u, "noise")) / a, goal, solver, memory, tolerance, limit
    )
    if not found.converged:
        raise SamplingError(
            f"step {tableau.step[row.vector]}: the inverse did not converge in {limit} evaluations by {solver}: "
            f"residual {found.residual:.2g}, above {tolerance:.2g}"
        )
    known.vectors[u] = found.z
    return found


@dataclass(frozen=True)
class RoundTrip:
    """A run and its inverse.  x0: the last vectors of the run.  error: max |start found - start|.

    roundoff: eps of the dtype times the amplification: of exact inverses, where it exceeds a few roundings.
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
    vector = run_table(denoise, start, tableau, dtype=dtype)
    x0 = tuple(vector(i).clone() for i in ends(tableau))
    found = invert(denoise, x0, tableau, dtype=dtype)
    given = [start] if isinstance(start, Tensor) else list(start)
    error = max(float((one - other.to(dtype)).abs().max()) for one, other in zip(found.start, given, strict=True))
    return RoundTrip(x0, found, error, torch.finfo(dtype).eps * found.amplification)
