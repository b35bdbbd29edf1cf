"""The loop that applies a tableau; it contains no coefficient."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, overload

import torch
from torch import Tensor

from .denoisers import Denoiser
from .errors import InputError, SamplingError, of_type, runnable
from .noise import NoiseSource
from .run_memory import memory_of
from .tableau import Tableau

if TYPE_CHECKING:
    from .error_bars import ErrorBar


class ModelFailed(Exception):
    """Thrown into a run whose model raised an exception: it raises SamplingError if earlier outputs are the reason."""


Running = Generator[tuple[int, Tensor], Any, Callable[[int], Tensor]]


@overload
def sample(
    denoise: Denoiser,
    start: Tensor | Sequence[Tensor],
    tableau: Tableau,
    *,
    noise: NoiseSource | None = None,
    dtype: torch.dtype = torch.float64,
    checked: bool = True,
    compiled: bool = False,
    error: Literal[False] = False,
) -> Tensor: ...


@overload
def sample(
    denoise: Denoiser,
    start: Tensor | Sequence[Tensor],
    tableau: Tableau,
    *,
    noise: NoiseSource | None = None,
    dtype: torch.dtype = torch.float64,
    checked: bool = True,
    compiled: bool = False,
    error: Literal[True] | ErrorBar,
) -> tuple[Tensor, Tensor]: ...


@torch.no_grad()
def sample(
    denoise: Denoiser,
    start: Tensor | Sequence[Tensor],
    tableau: Tableau,
    *,
    noise: NoiseSource | None = None,
    dtype: torch.dtype = torch.float64,
    checked: bool = True,
    compiled: bool = False,
    error: bool | ErrorBar = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Run a sampler: v_i = sum_k states[k] v_{i-1-k} + sum_j outputs[j] d_{i-1-j} + sum_l noises[l] z_{i-l}.

    denoise(x, at, prediction) -> d, shaped like x (any shape, device and dtype; d is cast to `dtype`): a mixture, or
    what `adapt` returns; where the table has `channels`, [channels, *shape of x], in their order.
    start: the sample at the noisy end, or a sequence of tableau.given tensors.
    tableau: the table of the sampler on a grid.  noise: the source that a stochastic sampler draws every z_i from, such
    as `seeded(0)`.  dtype: of states and history, whose buffers are allocated once; no gradient is recorded. The x that
    denoise is passed is one of them, valid until it returns.
    checked: False checks no value, so that the loop never waits for a device and can be captured in a CUDA graph;
    values that are not finite are then returned as they are. Checked, vectors are looked at before an output that
    they are made from is overwritten: a model may be called with a value that is not finite before its step is named.
    compiled: a row is one kernel of torch.compile, which reads and writes every number once; the first run of a shape
    takes some seconds more, and it equals the other to rounding. It pays on large tensors and on a device.
    error: True, or what numerics.error_bars.calibrated made of recorded trajectories: the answer is a pair then, with
    an estimate of the error of every sample, [len(start)], the root mean square over its numbers. It comes from a
    second table on the same outputs, which are kept for it, and takes no evaluation. True is right where steps are
    small; at 8 to 20 evaluations on a network only a calibrated one is (the book's page on advice has figures).
    Returns the last vector, [shape of start].
    Raises InputError on bad start values, where a stochastic sampler has no noise, and on an error of a table that has
    noise, fewer than three levels or a last one of sigma = 0; SamplingError, naming the step,
    when a denoiser or a source of noise returns another shape or a non-finite value, or noise repeats.

    >>> import torch
    >>> import samplerproof as sp
    >>> mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
    >>> grid = sp.grid(sp.schedule("edm"), "karras", 20, sigma_min=0.002, sigma_max=80, rho=7)
    >>> x = mixture.sample(10_000, grid.points[0], torch.Generator().manual_seed(0))
    >>> y = sp.sample(mixture, x, sp.tabulate("dpm-solver++-2m", grid))
    >>> round(float((y > 0).double().mean()), 1)
    0.6
    """
    kept = None
    if error is not False:
        from .error_bars import Outputs, check_embedded, error_of  # which runs tables itself

        of_type("tableau", tableau, Tableau, "a table, as sp.tabulate(name, grid) makes it")
        check_embedded(tableau, error)
        runnable("denoise", denoise, "a function (x, at, prediction), such as a mixture, or checkpoint.denoiser()")
        denoise = kept = Outputs(denoise)
    end = run_table(denoise, start, tableau, noise, dtype, checked, compiled=compiled)(len(tableau.points) - 1)
    if end._base is not None:
        end = end.clone()  # of a view, which would keep all that it is a part of
    return end if kept is None else (end, error_of(tableau, kept.data, end, error))


def run_table(
    denoise: Denoiser,
    start: Tensor | Sequence[Tensor],
    tableau: Tableau,
    noise: NoiseSource | None = None,
    dtype: torch.dtype = torch.float64,
    checked: bool = True,
    recorded: bool = False,
    compiled: bool = False,
) -> Callable[[int], Tensor]:
    """Run a sampler as `sample` does; returns a function of an index that is a view of this vector at the end.

    A row after the last one could read these: the last vectors, as far back as the states of a row reach.
    recorded: every vector and output is a tensor of its own, and no buffer, so that gradients can be recorded.
    """
    runnable("denoise", denoise, "a function (x, at, prediction), such as a mixture, or checkpoint.denoiser()")
    run = running(start, tableau, noise, dtype, checked, recorded, compiled)
    d: Tensor | None = None
    while True:
        try:
            i, x = run.send(d)
        except StopIteration as end:
            vectors: Callable[[int], Tensor] = end.value
            return vectors
        try:
            d = denoise(x, tableau.points[i], tableau.prediction_at(i))
        except Exception:
            with suppress(ModelFailed):
                run.throw(ModelFailed())
            raise


def running(
    start: Tensor | Sequence[Tensor],
    tableau: Tableau,
    noise: NoiseSource | None = None,
    dtype: torch.dtype = torch.float64,
    checked: bool = True,
    recorded: bool = False,
    compiled: bool = False,
) -> Running:
    """A run, as run_table does it, that stops wherever the model is asked: it yields the index i of a vector and the
    vector, a view into its buffers that may be written to, and is sent the prediction tableau.prediction_at(i) there;
    first None. Its value is what run_table returns.
    """
    of_type("tableau", tableau, Tableau, "a table, as sp.tabulate(name, grid) makes it")
    of_type("start", start, (Tensor, list, tuple), "a tensor, or a sequence of tensors")
    given = [start] if isinstance(start, Tensor) else list(start)
    _check_start(given, tableau, checked)
    like = given[0].new_empty((), dtype=dtype).expand(given[0].shape)  # which takes no memory
    memory = memory_of(tableau, like, recorded, compiled)
    expected, rows = torch.Size((*memory.several, *like.shape)), len(tableau.noises)
    spread = tableau.noises.tolist() if tableau.noises.shape[1] else [()] * rows
    draw = _drawing(tableau, noise, like, checked)
    looked, kept = 0, memory.kept  # every output before vector `looked` was looked at

    def look(behind: int) -> None:
        for k in range(looked, behind):
            if tableau.evaluated[k] and not _finite(memory.output(k)):
                raise SamplingError(f"{_place(tableau, k)}: the denoiser returned a non-finite value")

    last = tableau.given - 1 + rows
    for i in range(last):
        if i < tableau.given:
            memory.put(i, given[i])
        if tableau.evaluated[i]:
            try:
                d = yield i, memory.vector(i)
            except ModelFailed:
                if checked:  # an output that is not finite may be why
                    look(i)
                raise
            check_shape(d, expected, tableau, i)
            memory.keep(i, d)
        row = i + 1 - tableau.given
        if row < 0:
            if checked:
                look(i + 1)
                looked = i + 1
            continue
        new = memory.make(row)
        if spread[row]:
            for lag, c in reversed(list(enumerate(spread[row]))):
                if c != 0:
                    new.add_(draw(i + 1 - lag), alpha=c)
        # An output that is not finite makes the vectors so that are made from it: one look before it is overwritten.
        if checked and (i + 1 - looked >= kept or i + 1 == last):
            if not math.isfinite(memory.sum_of(i + 1)):
                look(i + 1)
            looked = i + 1
    return memory.vector


def _drawing(tableau: Tableau, noise: NoiseSource | None, like: Tensor, checked: bool) -> Callable[[int], Tensor]:
    """A function that returns z_i, drawn on the first request and cached while rows can still use it."""
    reach = tableau.noises.shape[1]
    if reach and noise is None:
        raise InputError("noise", None, f"{tableau.method} is stochastic: a source of noise, such as sp.seeded(0)")
    cached = like.new_empty((reach + 1 if reach else 0, *like.shape))
    held: list[int] = []  # the vectors whose noise was drawn, in the order of drawing

    def draw(i: int) -> Tensor:
        slot = cached[i % (reach + 1)]
        if i in held[-reach:]:
            return slot
        assert noise is not None
        z = noise(like, len(held))
        if z.shape != like.shape:
            step = tableau.step[i]
            raise SamplingError(f"step {step}: the noise has shape {tuple(z.shape)}, not {tuple(like.shape)}")
        if checked:
            compare(z, i)
        held.append(i)
        return slot.copy_(z)

    def compare(z: Tensor, i: int) -> None:
        step = tableau.step[i]
        if not _finite(z):
            raise SamplingError(f"step {step}: the noise is not finite")
        if held and held[-1] > i - reach - 1 and like.numel() and torch.equal(z, cached[held[-1] % (reach + 1)].to(z)):
            raise SamplingError(
                f"step {step}: the noise repeats that of step {tableau.step[held[-1]]}; draws are fresh"
            )

    return draw


def _check_start(given: list[Tensor], tableau: Tableau, checked: bool) -> None:
    if len(given) != tableau.given:
        raise InputError("start", f"{len(given)} vectors", f"{tableau.method} takes {tableau.given} here")
    for i, vector in enumerate(given):
        of_type(f"start[{i}]", vector, Tensor, "a tensor")
        if vector.shape != given[0].shape:
            raise InputError(f"start[{i}]", tuple(vector.shape), f"the shape of start[0], {tuple(given[0].shape)}")
        if checked and not _finite(vector):
            raise InputError(f"start[{i}]", "a non-finite value", "finite values only")


def check_output(d: Tensor, shape: torch.Size, tableau: Tableau, i: int) -> None:
    """Raise SamplingError, naming the step, where an output of a model has another shape or is not finite."""
    check_shape(d, shape, tableau, i)
    if not _finite(d):
        raise SamplingError(f"{_place(tableau, i)}: the denoiser returned a non-finite value")


def check_shape(d: Tensor, shape: torch.Size, tableau: Tableau, i: int) -> None:
    """Raise SamplingError, naming the step, where an output of a model is no tensor of this shape."""
    if not isinstance(d, Tensor):
        raise SamplingError(f"{_place(tableau, i)}: the denoiser returned {type(d).__name__}, not a tensor")
    if d.shape != shape:
        raise SamplingError(f"{_place(tableau, i)}: the denoiser returned shape {tuple(d.shape)}, not {tuple(shape)}")


def _finite(values: Tensor) -> bool:
    """Whether every value is finite; a sum is unless a term is not, or it overflows: only then look closely."""
    return math.isfinite(values.sum().item()) or bool(torch.isfinite(values).all())


def _place(tableau: Tableau, i: int) -> str:
    return f"step {tableau.step[i]} (t = {tableau.points[i].t:g})"
