"""Read a sampler back: basis vectors in, its table out. Ours and a stranger's in the same way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from .denoisers import Denoiser, convert
from .errors import DependsError, SamplingError
from .noise import NoiseSource
from .noise_draws import canonical, noise_basis
from .points import Point, Told
from .sample import sample
from .tableau import Tableau

SCALE = 3.0  # of the random vectors of the superposition test: well beyond the range to which samplers clip
NEAR = 256.0  # eps, of the larger one: vectors as near are one vector, computed in two ways
BATCH = (1, 1, 1)  # what precedes the axis of basis vectors: some samplers want images


class Model(Protocol):
    """model(x, at, to) -> the prediction at the state x, shaped like x.

    at: where x lies.  to: the grid point on the way to which x was made, 0 for the start.
    """

    def __call__(self, x: Tensor, at: Point, to: int, /) -> Tensor: ...


class Draw(Protocol):
    """draw(like, span) -> standard normal noise shaped like `like`.

    span: None for noise of its own, or an interval (from, to) of Brownian time: the increment of the one path of the
    run over it, divided by sqrt|to - from|.
    """

    def __call__(self, like: Tensor, span: tuple[float, float] | None = None, /) -> Tensor: ...


class Finish(NamedTuple):
    """What a run ends with: the sample, and the points of the grid that it stepped over, [N + 1].

    numbers: what parameters of its formula were in every step, by their symbols in the catalogue.
    told: None where a model is told the level itself.  remarks: kind and text of what an adapter has to say of it.
    """

    sample: Tensor
    grid: tuple[Point, ...]
    numbers: Mapping[str, tuple[float, ...]] = {}
    told: Told | None = None
    remarks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Stranger:
    """A sampler on its grid, known only by running it.

    run(start, model, draw): every run starts afresh.  prediction: of the model that it asks.
    """

    name: str
    prediction: str
    run: Callable[[Tensor, Model, Draw], Finish]


@dataclass(frozen=True)
class Trace:
    """What a run computes, as linear images of start, outputs and noises: [1 + nfe + draws] components a vector.

    dtype: what it was run in.
    vectors [V, 1 + nfe + draws], float64: the start, the states at which the model is asked, in order, and the sample.
    points: where each lies.  step: the grid point on the way to which each was made.  evaluated: all but the sample,
    and the start unless the model was asked there.  grid, numbers, told, remarks: as of Finish.
    superposition [V]: how far every vector of a run on random ones is from this image of them, over the largest entry.
    mutated: what the run wrote into: "start", "output 3", …  spans: of every draw, as of Draw.
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
    told: Told | None = None
    remarks: tuple[tuple[str, str], ...] = ()
    spans: tuple[tuple[float, float] | None, ...] = ()

    @property
    def nfe(self) -> int:
        """Number of function evaluations."""
        return sum(self.evaluated)


class _Recorder:
    """Answers one run with given outputs and noises, and remembers what was asked."""

    def __init__(self, outputs: Tensor | None, noises: Callable[[int, tuple[float, float] | None], Tensor]) -> None:
        self.outputs, self.noises = outputs, noises
        self.states: list[Tensor] = []
        self.points: list[Point] = []
        self.to: list[int] = []
        self.spans: list[tuple[float, float] | None] = []
        self.given: list[tuple[Tensor, Tensor]] = []

    def model(self, x: Tensor, at: Point, to: int) -> Tensor:
        k = len(self.states)
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
        z = self.noises(len(self.spans), span)
        self.spans.append(span)
        return z.to(like.dtype).expand_as(like).clone()


def trace(stranger: Stranger, dtype: torch.dtype = torch.float64) -> Trace:
    """Run a sampler on basis vectors of a dtype, and once more on random ones.

    Every run must end in the shape and dtype in which it started, on finite values or not. Where one asks or draws
    otherwise than on zeros, superposition is infinite, and the vectors are those on zeros.
    Raises SamplingError where a run does not end so, or never asks its model; what the sampler itself raises passes
    through.
    """
    generator, start = torch.Generator().manual_seed(0), torch.zeros(*BATCH, 1, dtype=dtype)
    first = _Recorder(None, lambda k, span: torch.randn(1, generator=generator))
    finish = _go(stranger, start, first)
    if not first.states:
        raise SamplingError("it never asks its model: there is no output to read a coefficient of")
    try:
        found = _image(stranger, len(first.states), first.spans, dtype)
        return replace(found, superposition=_superposition(stranger, found))
    except DependsError:
        found = _as_trace(stranger, start, first, finish)
        return replace(found, superposition=(math.inf,) * len(found.vectors))


def image(tableau: Tableau, prediction: str | None = None, grid: tuple[Point, ...] | None = None) -> Trace:
    """The trace of one of our tables, for a model of another prediction too: it is linear, so one run tells all.

    grid: of the trace, else the points at which the table ends its steps.  Raises InputError as of_tableau's run does.
    """
    return _image(of_tableau(tableau, prediction, grid), tableau.nfe, [None] * sum(tableau.drawn), torch.float64)


def _image(stranger: Stranger, nfe: int, spans: Sequence[tuple[float, float] | None], dtype: torch.dtype) -> Trace:
    """The trace of a run on basis vectors, from its evaluations and draws; superposition is left at 0."""
    path, draws = noise_basis(spans)
    size = 1 + nfe + draws
    basis = torch.eye(size, dtype=dtype)
    outputs, noises = basis[1 : 1 + nfe], basis[1 + nfe :]
    start = basis[0].expand(*BATCH, size).clone()
    recorder = _Recorder(outputs, _along(noises, path, spans))
    finish = _go(stranger, start, recorder)
    if len(recorder.states) != nfe or len(recorder.spans) != len(path):
        raise DependsError(f"{len(recorder.states)} evaluations, {nfe} before")
    found = _as_trace(stranger, basis[0], recorder, finish)
    return found if torch.equal(start, basis[0].expand_as(start)) else replace(found, mutated=("start", *found.mutated))


def _as_trace(stranger: Stranger, start: Tensor, recorder: _Recorder, finish: Finish) -> Trace:
    """What a run from there went through."""
    mutated = tuple(f"output {k + 1}" for k, (now, was) in enumerate(recorder.given) if not torch.equal(now, was))
    first, vectors = start.reshape(-1).double(), [v.reshape(-1).double() for v in (*recorder.states, finish.sample)]
    points, to = [*recorder.points, finish.grid[-1]], [*recorder.to, len(finish.grid) - 1]
    evaluated = [True] * len(recorder.states)
    if evaluated and same_vector(vectors[0], first, start.dtype):
        vectors[0] = first  # what it is off by is that of the rows made from it
    else:
        vectors.insert(0, first)
        points.insert(0, finish.grid[0])
        to.insert(0, 0)
        evaluated.insert(0, False)
    stacked = torch.stack(vectors)
    return Trace(
        stranger.prediction,
        start.dtype,
        stacked,
        tuple(points),
        tuple(to),
        (*evaluated, False),
        finish.grid,
        finish.numbers,
        (0.0,) * len(stacked),
        mutated,
        finish.told,
        finish.remarks,
        spans=tuple(recorder.spans),
    )


def same_vector(one: Tensor, other: Tensor, dtype: torch.dtype) -> bool:
    """Whether two vectors are one but for rounding in a dtype."""
    return bool((one - other).abs().max() <= NEAR * torch.finfo(dtype).eps * other.abs().max())


def _along(
    vectors: Tensor, path: Tensor, spans: Sequence[tuple[float, float] | None]
) -> Callable[[int, tuple[float, float] | None], Tensor]:
    """Draws made from independent ones; they must be those of the spans, in order."""

    def noise(k: int, span: tuple[float, float] | None) -> Tensor:
        if k >= len(path) or span != spans[k]:
            raise DependsError(f"draw {k + 1}: not as in a run before")
        return (path[k].to(vectors.dtype) @ vectors.flatten(1)).view(vectors.shape[1:])

    return noise


def _superposition(stranger: Stranger, image: Trace) -> tuple[float, ...]:
    """How far every vector of a run on random ones is from what their basis predicts, over the largest entry."""
    width = image.vectors.shape[1]  # as wide as the run on basis vectors: what a sampler keeps of that still fits
    random = SCALE * torch.randn(width, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = respond(stranger, image, random.view(width, *BATCH, width)).flatten(1)
    expected = image.vectors @ random
    gaps = (found - expected[-len(found) :]).abs().amax(dim=1) / expected.abs().max()
    return tuple([0.0] * (len(expected) - len(found)) + gaps.tolist())


def respond(stranger: Stranger, found: Trace, inputs: Tensor) -> Tensor:
    """What a run makes of given inputs [1 + nfe + draws, *shape] (start, outputs, noises), in the dtype of its trace:
    the states at which the model is asked and the sample, [nfe + 1, *shape], float64.

    Raises DependsError where it asks or draws otherwise than in the trace, SamplingError as trace does.
    """
    given, nfe = inputs.to(found.dtype), found.nfe
    recorder = _Recorder(given[1 : 1 + nfe], _along(given[1 + nfe :], noise_basis(found.spans)[0], found.spans))
    finish = _go(stranger, given[0].clone(), recorder)
    if len(recorder.states) != nfe or len(recorder.spans) != len(found.spans):
        raise DependsError(f"{len(recorder.states)} evaluations, {nfe} before")
    return torch.stack([v.double() for v in (*recorder.states, finish.sample)])


def of_another_run(x: object, like: Tensor) -> str:
    """What is added to a message on a wrong shape that comes of a sum with a tensor of another, larger run."""
    kept = (
        isinstance(x, Tensor)
        and x.ndim == like.ndim
        and all(b in (a, 1) for a, b in zip(x.shape, like.shape, strict=True))
    )
    return ", and something of an earlier run, it seems" if kept else ""


def _go(stranger: Stranger, start: Tensor, recorder: _Recorder) -> Finish:
    finish = stranger.run(start, recorder.model, recorder.draw)
    x = finish.sample
    if not isinstance(x, Tensor) or x.shape != start.shape:
        shape = list(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise SamplingError(f"ends with {shape}; it was given {list(start.shape)}{of_another_run(x, start)}")
    if x.dtype != start.dtype or x.device != start.device:
        raise SamplingError(f"ends in {x.dtype} on {x.device}; it was given {start.dtype} on {start.device}")
    for k, state in enumerate(recorder.states):
        if state.shape != start.shape:
            raise SamplingError(f"evaluation {k + 1}: a state of shape {list(state.shape)}, not {list(start.shape)}")
    return finish


def table(found: Trace, name: str = "read back") -> Tableau:
    """The table of a trace: v_i = c v_b + sum_j w_j d_j + sum_l n_l z_l, with v_b the last vector made for an earlier
    grid point than v_i.

    c is what is left in v_i of the start, over what is left of it in v_b. The noises are those of any run in canonical
    form: one z for every vector, in the row where it is drawn with a coefficient >= 0; the law is the same.
    Two samplers of one law have one table, however they compute it.
    """
    v, (count, _), nfe = found.vectors, found.vectors.shape, found.nfe
    rounding = torch.finfo(found.dtype).eps
    made = torch.tensor([i for i, asked in enumerate(found.evaluated) if asked])
    row = torch.arange(count - 1)
    before = torch.tensor([_before(found.step, i) for i in range(1, count)])
    share = torch.where(v[before, 0] != 0, v[1:, 0] / v[before, 0], 0.0)
    states = torch.zeros(count - 1, count, dtype=torch.float64)
    states[row, before] = share
    kept = share[:, None] * v[before]
    left = v[1:] - kept
    residue = 4 * rounding * (v[1:].abs() + kept.abs())  # what cancels leaves nothing but this
    left[left.abs() <= residue] = 0
    outputs = torch.zeros(count - 1, count, dtype=torch.float64)
    outputs[:, made] = left[:, 1 : 1 + nfe]
    noises = torch.zeros(count - 1, count, dtype=torch.float64)
    drawn = left[:, 1 + nfe :]
    if drawn.any():
        noises[:, 1:] = canonical(drawn, rounding)
    return Tableau(
        method=name,
        prediction=found.prediction,
        points=found.points,
        step=found.step,
        evaluated=found.evaluated,
        given=1,
        states=_lags(states, 1),
        outputs=_lags(outputs, 1),
        noises=_lags(noises, 0),
    )


def _before(step: Sequence[int], i: int) -> int:
    """The last vector before i that was made for an earlier grid point."""
    return next(j for j in reversed(range(i)) if step[j] < step[i] or j == 0)


def _lags(absolute: Tensor, first: int) -> Tensor:
    """Rows over vectors [R, V] as rows over lags: row i sees vector i + 1 - first at lag 0."""
    rows, count = absolute.shape
    source = torch.arange(rows)[:, None] + 1 - first - torch.arange(count)
    table = torch.where(source >= 0, absolute.gather(1, source.clamp(min=0)), 0.0)
    width = int((table != 0).any(dim=0).nonzero().max()) + 1 if bool(table.any()) else 0
    return table[:, : max(width, 1 if first else width)]


def of_tableau(tableau: Tableau, prediction: str | None = None, grid: tuple[Point, ...] | None = None) -> Stranger:
    """One of our tables as a sampler that is known only by running it, asking for a prediction of your choice.

    Raises InputError from the run where a conversion needs what a point does not have.
    """
    asked = prediction or tableau.prediction
    ends = {step: point for step, point in zip(tableau.step, tableau.points, strict=True)}

    def run(start: Tensor, model: Model, draw: Draw) -> Finish:
        evaluated = iter([i for i, made in enumerate(tableau.evaluated) if made])

        def denoise(x: Tensor, at: Point, wanted: str) -> Tensor:
            return convert(x, model(x, at, tableau.step[next(evaluated)]), at, asked, wanted)

        last = sample(denoise, start, tableau, noise=lambda like, k: draw(like), dtype=start.dtype)
        return Finish(last, grid or tuple(ends[n] for n in sorted(ends)))

    return Stranger(tableau.method, asked, run)


def _answering(vectors: Tensor) -> Denoiser:
    """A denoiser that ignores its input and answers with one vector after another."""
    answers = iter(vectors)

    def denoise(x: Tensor, at: Point, prediction: str) -> Tensor:
        answer: Tensor = next(answers)
        return answer

    return denoise


def _drawing(vectors: Tensor) -> NoiseSource:
    """A source of noise that gives one vector after another."""
    return lambda like, draw: vectors[draw]


def read_rows(tableau: Tableau) -> tuple[Tensor, Tensor, Tensor]:
    """The coefficients of every row, as the loop applies them: (states [R, K], outputs [R, J], noises [R, L]), float64.

    Each row is run alone on basis vectors: the states, outputs and noises that it can see are orthogonal unit vectors,
    so the components of the new vector are the row. What comes back must equal the tableau bit for bit.
    """
    states, outputs = torch.empty_like(tableau.states), torch.empty_like(tableau.outputs)
    noises = torch.zeros_like(tableau.noises)
    for i in range(len(states)):
        row = tableau.row(i)
        lags = noises[i].shape[0] - 1 - row.noises[0].flip(0).nonzero()[:, 0]  # in the order of drawing, oldest first
        basis = torch.eye(2 * row.given + len(lags), dtype=torch.float64)
        given, made, drawn = torch.split(basis, [row.given, row.given, len(lags)])
        new = sample(_answering(made), list(given), row, noise=_drawing(drawn))
        states[i] = new[: row.given].flip(0)[: states.shape[1]]
        outputs[i] = new[row.given : 2 * row.given].flip(0)[: outputs.shape[1]]
        noises[i, lags] = new[2 * row.given :]
    return states, outputs, noises


def read_run(tableau: Tableau) -> Tensor:
    """The whole run as one affine map: v_last = sum_i c_i v_i(given) + sum_j c_j d_j + sum_k c_k z_k, float64.

    c [given + nfe + draws]: the outputs in the order in which they are made, the noises in that of drawing.
    """
    basis = torch.eye(tableau.given + tableau.nfe + sum(tableau.drawn), dtype=torch.float64)
    given, made, drawn = torch.split(basis, [tableau.given, tableau.nfe, sum(tableau.drawn)])
    return sample(_answering(made), list(given), tableau, noise=_drawing(drawn))
