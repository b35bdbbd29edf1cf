"""Read a sampler back: run it on basis vectors and return its table, for ours and external ones alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from .denoisers import convert
from .errors import DependsError, SamplingError
from .external_run import Calls, Draw, Finish, Model, Remark, Run, Timesteps, of_another_run
from .noise_draws import canonical, noise_basis
from .points import Point
from .row_lags import added, lags, padded_to_one, passed_on
from .sample import sample
from .schedules import Schedule
from .tableau import Tableau

SCALE = 3.0  # of the random vectors of the superposition test: well beyond the range to which samplers clip
# By dtype, over the largest value: deviations from superposition above it are no rounding.
LINEAR = {torch.float64: 1e-7, torch.float32: 1e-2, torch.bfloat16: 0.3, torch.float16: 0.1}
NEAR = 256.0  # eps, relative to the larger one: vectors this close are one vector, computed in two ways
BATCH = (1, 1, 1)  # precedes the axis of basis vectors: some samplers require images


@dataclass(frozen=True, eq=False)
class Trace:
    """A run as linear images of start, outputs and noises: every vector has 1 + nfe + draws components.

    dtype: in which it was run.
    vectors [V, 1 + nfe + draws], float64: the start, the states at which the model is evaluated, in order, the sample.
    points: the point of each vector.  step: index of the grid point that each leads to.  evaluated: true for all but
    the sample, and but the start unless the model is evaluated there.
    grid, numbers, timesteps, remarks: as in Finish.
    superposition [V]: how far every vector of a run on random inputs is from this image, over the largest entry.
    mutated: tensors that the run wrote into: "start", "output 3", …  spans: of every draw, as in Draw.
    inside: a narrower dtype in which the code computes; None where there is none, or none was looked for.
    uncertainty [V]: the error of every row, over its largest contribution, where the rows were solved from a recorded
    run; empty where they were read on basis vectors.
    schedule: the one whose time the points have, where a file states it; None: the time is that of the process.
    channel: the output that each evaluation asks for, where the model has several at one state; () where it has one.
    apart: the columns of the outputs by channel, {name: [V, nfe]}, where evaluations at one state are merged; their sum
    stands in `vectors`, for equal outputs. See repeated_evaluations.py.
    """

    prediction: str
    dtype: torch.dtype
    vectors: Tensor
    points: tuple[Point, ...]
    step: tuple[int, ...]
    evaluated: tuple[bool, ...]
    grid: tuple[Point, ...]
    numbers: Mapping[str, tuple[float, ...]]
    superposition: tuple[float, ...]
    mutated: tuple[str, ...]
    timesteps: Timesteps | None = None
    remarks: tuple[Remark, ...] = ()
    spans: tuple[tuple[float, float] | None, ...] = ()
    uncertainty: tuple[float, ...] = ()
    inside: torch.dtype | None = None
    schedule: Schedule | None = None
    channel: tuple[str, ...] = ()
    apart: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def precision(self) -> torch.dtype:
        """The dtype whose rounding its vectors may show: float32 inside counts, a half does not."""
        return torch.float32 if self.inside is torch.float32 else self.dtype

    @property
    def nfe(self) -> int:
        """Number of function evaluations."""
        return sum(self.evaluated)

    @cached_property
    def table(self) -> Tableau:
        """The table of the run: v_i = c v_b + sum_j w_j d_j + sum_l n_l z_l, with v_b the last vector that leads to an
        earlier grid point than v_i.

        c is the share of the start in v_i over its share in v_b. The noises are in canonical form: one z a vector, in
        the row where it is drawn with a coefficient >= 0; the law is the same.
        Two samplers of one law have one table, however they compute it. With outputs by channel, in `apart`, it has
        a column for each of them.
        """
        v, count, nfe = self.vectors, len(self.vectors), self.nfe
        rounding = torch.finfo(self.precision).eps
        before, share = self._passed_on
        states = torch.zeros(count - 1, count, dtype=torch.float64)
        states[torch.arange(count - 1), before] = share

        def rest(columns: Tensor) -> Tensor:
            """What a row adds to the shares that it keeps; what cancels leaves rounding only."""
            left, noise = added(columns, *self._passed_on, rounding)
            return torch.where(left.abs() <= noise, 0.0, left)

        def of_outputs(columns: Tensor) -> Tensor:
            """Outputs in the columns of the vectors at which they were evaluated."""
            outputs = torch.zeros(count - 1, count, dtype=torch.float64)
            outputs[:, torch.tensor(self.evaluated)] = columns
            return lags(outputs, 1)

        # The rest is of outputs and noises.
        left = rest(v)
        outputs, *channels = padded_to_one(
            [of_outputs(left[:, 1 : 1 + nfe]), *(of_outputs(rest(columns)) for columns in self.apart.values())]
        )
        # Noises: the Cholesky factor of their covariance.
        noises = torch.zeros(count - 1, count, dtype=torch.float64)
        drawn = left[:, 1 + nfe :]
        if drawn.any():
            noises[:, 1:] = canonical(drawn, rounding)
        return Tableau(
            method="read back",
            prediction=self.prediction,
            points=self.points,
            step=self.step,
            evaluated=self.evaluated,
            given=1,
            states=lags(states, 1),
            outputs=outputs,
            noises=lags(noises, 0),
            channels=dict(zip(self.apart, channels, strict=True)),
        )

    @cached_property
    def cut(self) -> list[float]:
        """For every row, the largest entry of an output that would be treated as rounding, where one was."""
        left, noise = added(self.vectors[:, 1 : 1 + self.nfe], *self._passed_on, torch.finfo(self.precision).eps)
        taken = (left != 0) & (left.abs() <= noise)
        return list(map(float, torch.where(taken, noise, 0.0).amax(1)))

    @cached_property
    def _passed_on(self) -> tuple[Tensor, Tensor]:
        precision = torch.finfo(self.precision)
        return passed_on(self.vectors[:, 0], self.vectors[:, 1 + self.nfe :], self.step, precision.tiny / precision.eps)


class _Recorder:
    """Answers one run with given outputs and noises, and records its evaluations and draws."""

    def __init__(self, outputs: Tensor | None, noises: Callable[[int, tuple[float, float] | None], Tensor]) -> None:
        self.outputs, self.noises = outputs, noises
        self.states: list[Tensor] = []
        self.points: list[Point] = []
        self.to: list[int] = []
        self.channels: list[str] = []
        self.spans: list[tuple[float, float] | None] = []
        self.given: list[tuple[Tensor, Tensor]] = []

    @property
    def channel(self) -> tuple[str, ...]:
        """As in Trace."""
        return tuple(self.channels) if any(self.channels) else ()

    def model(self, x: Tensor, at: Point, to: int, channel: str = "") -> Tensor:
        k = len(self.states)
        self.channels.append(channel)
        self.states.append(x.detach().clone())
        self.points.append(at)
        self.to.append(to)
        if self.outputs is None:
            answer = torch.zeros_like(x)
        elif k < len(self.outputs):
            answer = self.outputs[k].to(x.dtype).expand_as(x).clone()
        else:
            raise DependsError(f"evaluation {k + 1}: one more than before")
        self.given.append((answer, answer.clone()))
        return answer

    def draw(self, like: Tensor, span: tuple[float, float] | None = None) -> Tensor:
        z, shape = self.noises(len(self.spans), span), list(like.shape)
        if z.ndim > 1 and z.numel() != like.numel():
            raise DependsError(f"a draw of noise of shape {shape}, which is not the state's")
        if z.ndim == 1 and z.shape != like.shape[-1:]:  # on basis vectors, which lie along the last axis
            raise SamplingError(f"a draw of noise of shape {shape}, which is not that of the state, {[*BATCH, len(z)]}")
        self.spans.append(span)
        return z.to(like.dtype).reshape(like.shape if z.ndim > 1 else z.shape).expand_as(like).clone()

    def check(self, calls: Calls) -> None:
        """Raises DependsError unless the run made as many calls."""
        if len(self.states) != calls.nfe:
            raise DependsError(f"{len(self.states)} evaluations, {calls.nfe} before")
        if len(self.spans) != len(calls.spans):
            raise DependsError(f"{len(self.spans)} draws of noise shaped like the state, {len(calls.spans)} before")


def trace(
    run: Run,
    prediction: str,
    dtype: torch.dtype = torch.float64,
    expected: Calls | None = None,
    at_once: bool = False,
) -> Trace:
    """Run a sampler on basis vectors of a dtype, and once more on random ones.

    prediction: what its model returns. Every run must end in the shape and dtype in which it started, with finite
    values or not. Where a run evaluates or draws otherwise than on zeros, superposition is infinite, and the vectors
    are those on zeros.
    expected: the calls that it will make, which saves the run on zeros that counts them; where it makes others, they
    are counted after all.  at_once: basis vectors and random ones in one run on a batch of two.
    Raises SamplingError where a run ends otherwise or never evaluates its model; the sampler's own pass through.
    """
    if expected is not None:
        with suppress(DependsError):
            return (_read_at_once if at_once else _read)(run, prediction, expected, dtype)
    generator, start = torch.Generator().manual_seed(0), torch.zeros(*BATCH, 1, dtype=dtype)
    first = _Recorder(None, lambda k, span: torch.randn((), generator=generator))
    finish = _finished(run, start, first)
    if not first.states:
        raise SamplingError("it never evaluates its model: there is no output to read a coefficient of")
    counted = Calls(len(first.states), tuple(first.spans))
    for read in (_read_at_once, _read) if at_once else (_read,):
        with suppress(DependsError):
            return read(run, prediction, counted, dtype)
    found = _as_trace(prediction, start, first, finish)
    return replace(found, superposition=(math.inf,) * len(found.vectors))


def _read(run: Run, prediction: str, calls: Calls, dtype: torch.dtype) -> Trace:
    """As trace, for known calls: a run on basis vectors and one on random ones."""
    found = _image(run, prediction, calls, dtype)
    return replace(found, superposition=superposition(run, found))


def _read_at_once(run: Run, prediction: str, calls: Calls, dtype: torch.dtype) -> Trace:
    """As trace, for known calls, from one run on a batch of two: basis vectors and random ones."""
    path, draws = noise_basis(calls.spans)
    size = 1 + calls.nfe + draws
    basis, random = torch.eye(size, dtype=torch.float64), random_inputs(size)
    both = torch.stack([basis, random], dim=1).to(dtype).view(size, 2, *BATCH[1:], size)
    recorder = _Recorder(both[1 : 1 + calls.nfe], _along(both[1 + calls.nfe :], path, calls.spans))
    start = both[0].clone()
    finish = _finished(run, start, recorder)
    recorder.check(calls)
    on_random = torch.stack([state[1].double() for state in (*recorder.states, finish.sample)]).flatten(1)
    recorder.states = [state[:1] for state in recorder.states]
    found = _as_trace(prediction, both[0, 0], recorder, finish._replace(sample=finish.sample[:1]))
    mutated = found.mutated if torch.equal(start, both[0]) else ("start", *found.mutated)
    return replace(found, superposition=_gaps(on_random, found, random), mutated=mutated)


def image(tableau: Tableau, prediction: str | None = None, grid: tuple[Point, ...] | None = None) -> Trace:
    """The trace of one of our tables, for a model of another prediction too. It is linear: one run suffices.

    grid: of the trace, else the points at which the table ends its steps.  Raises InputError as of_tableau's run does.
    """
    run = of_tableau(tableau, prediction, grid)
    nfe = tableau.nfe * max(1, len(tableau.channels))
    return _image(run, prediction or tableau.prediction, Calls(nfe, (None,) * sum(tableau.drawn)), torch.float64)


def _image(run: Run, prediction: str, calls: Calls, dtype: torch.dtype) -> Trace:
    """The trace of a run on basis vectors, from its evaluations and draws; superposition is left at 0."""
    path, draws = noise_basis(calls.spans)
    size = 1 + calls.nfe + draws
    basis = torch.eye(size, dtype=dtype)
    start = basis[0].expand(*BATCH, size).clone()
    recorder = _Recorder(basis[1 : 1 + calls.nfe], _along(basis[1 + calls.nfe :], path, calls.spans))
    finish = _finished(run, start, recorder)
    recorder.check(calls)
    found = _as_trace(prediction, basis[0], recorder, finish)
    return found if torch.equal(start, basis[0].expand_as(start)) else replace(found, mutated=("start", *found.mutated))


def _as_trace(prediction: str, start: Tensor, recorder: _Recorder, finish: Finish) -> Trace:
    """A recorded run as a trace."""
    mutated = tuple(f"output {k + 1}" for k, (now, was) in enumerate(recorder.given) if not torch.equal(now, was))
    first, vectors = start.reshape(-1).double(), [v.reshape(-1).double() for v in (*recorder.states, finish.sample)]
    points, to = [*recorder.points, finish.grid[-1]], [*recorder.to, len(finish.grid) - 1]
    evaluated = [True] * len(recorder.states)
    if evaluated and same_vector(vectors[0], first, start.dtype):
        vectors[0] = first  # its rounding shows in the rows that use it
    else:
        vectors.insert(0, first)
        points.insert(0, finish.grid[0])
        to.insert(0, 0)
        evaluated.insert(0, False)
    stacked = torch.stack(vectors)
    return Trace(
        prediction,
        start.dtype,
        stacked,
        tuple(points),
        tuple(to),
        (*evaluated, False),
        finish.grid,
        finish.numbers,
        (0.0,) * len(stacked),
        mutated,
        finish.timesteps,
        finish.remarks,
        spans=tuple(recorder.spans),
        channel=recorder.channel,
    )


def same_vector(one: Tensor, other: Tensor, dtype: torch.dtype) -> bool:
    """Whether two vectors are equal but for rounding in a dtype."""
    return bool((one - other).abs().max() <= NEAR * torch.finfo(dtype).eps * other.abs().max())


def _along(
    vectors: Tensor, path: Tensor, spans: Sequence[tuple[float, float] | None]
) -> Callable[[int, tuple[float, float] | None], Tensor]:
    """Draws made from independent ones; they must be over the spans, in order."""

    def noise(k: int, span: tuple[float, float] | None) -> Tensor:
        if k >= len(path) or span != spans[k]:
            raise DependsError(f"draw {k + 1}: not as in a run before")
        pieces = path[k].nonzero()[:, 0]  # one, unless it is an increment of the path
        return (path[k, pieces].to(vectors.dtype) @ vectors[pieces].flatten(1)).view(vectors.shape[1:])

    return noise


def superposition(run: Run, image: Trace, scale: float = SCALE) -> tuple[float, ...]:
    """How far every vector of a run on random inputs is from their image, over the largest entry.

    scale: the standard deviation of the inputs.  Raises DependsError and SamplingError as respond does.
    """
    width = image.vectors.shape[1]  # as wide as the run on basis vectors: cached tensors of that run still fit
    random = random_inputs(width, scale)
    return _gaps(respond(run, image, random.view(width, *BATCH, width)).flatten(1), image, random)


def random_inputs(width: int, scale: float = SCALE) -> Tensor:
    """Normal inputs of a run, [width, width] float64, the same in every run."""
    return scale * torch.randn(width, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _gaps(found: Tensor, image: Trace, random: Tensor) -> tuple[float, ...]:
    """How far every vector of a run on random inputs is from its image, over the largest entry."""
    expected = image.vectors @ random
    gaps = (found - expected[-len(found) :]).abs().amax(dim=1) / expected.abs().max()
    return tuple([0.0] * (len(expected) - len(found)) + gaps.tolist())


def respond(run: Run, found: Trace, inputs: Tensor) -> Tensor:
    """Run on given inputs [1 + nfe + draws, *shape] (start, outputs, noises), in the dtype of the trace.

    Returns the states at which the model is evaluated and the sample, [nfe + 1, *shape], float64.
    Raises DependsError where it evaluates or draws otherwise than in the trace, SamplingError as trace does.
    """
    given, nfe = inputs.to(found.dtype), found.nfe
    recorder = _Recorder(given[1 : 1 + nfe], _along(given[1 + nfe :], noise_basis(found.spans)[0], found.spans))
    finish = _finished(run, given[0].clone(), recorder)
    recorder.check(Calls(nfe, found.spans))
    if recorder.channel != found.channel:
        raise DependsError("evaluations of other outputs than before")
    return torch.stack([v.double() for v in (*recorder.states, finish.sample)])


def is_image(result: Tensor, found: Trace, inputs: Tensor) -> bool:
    """Whether what respond returned on inputs [c, samples, …] is their image, every sample relative to its own size."""
    expected = torch.tensordot(found.vectors, inputs, dims=1)
    gap, size = (t.abs().transpose(0, 1).flatten(1).amax(dim=1) for t in (result - expected[-len(result) :], expected))
    return bool((gap <= LINEAR[found.precision] * size).all())


def _finished(run: Run, start: Tensor, recorder: _Recorder) -> Finish:
    """The end of a run, with shapes, dtype and device checked."""
    finish = run(start, recorder.model, recorder.draw)
    x = finish.sample
    if not isinstance(x, Tensor) or x.shape != start.shape:
        shape = list(x.shape) if isinstance(x, Tensor) else f"{type(x).__name__}, not with the sample"
        raise SamplingError(f"ends with {shape}; it was given {list(start.shape)}{of_another_run(x, start)}")
    if x.dtype != start.dtype or x.device != start.device:
        raise SamplingError(f"ends in {x.dtype} on {x.device}; it was given {start.dtype} on {start.device}")
    for k, state in enumerate(recorder.states):
        if state.shape != start.shape:
            raise SamplingError(f"evaluation {k + 1}: a state of shape {list(state.shape)}, not {list(start.shape)}")
    return finish


def of_tableau(tableau: Tableau, prediction: str | None = None, grid: tuple[Point, ...] | None = None) -> Run:
    """One of our tables as a run, for a model that returns a prediction of your choice.

    Raises InputError from the run where a conversion needs derivatives that a point does not have.
    """
    asked = prediction or tableau.prediction
    ends = {step: point for step, point in zip(tableau.step, tableau.points, strict=True)}

    def run(start: Tensor, model: Model, draw: Draw) -> Finish:
        evaluated = iter([i for i, made in enumerate(tableau.evaluated) if made])

        def denoise(x: Tensor, at: Point, wanted: str) -> Tensor:
            to = tableau.step[next(evaluated)]
            if not tableau.channels:
                return convert(x, model(x, at, to), at, asked, wanted)
            return torch.stack([convert(x, model(x, at, to, name), at, asked, wanted) for name in tableau.channels])

        last = sample(denoise, start, tableau, noise=lambda like, k: draw(like), dtype=start.dtype)
        return Finish(last, grid or tuple(ends[n] for n in sorted(ends)))

    return run
