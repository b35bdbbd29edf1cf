"""How often a sampler will evaluate and draw, from runs of it that were read before."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

import torch

from ...errors import DependsError
from ...external_run import Calls, Run
from ...noise_draws import noise_basis
from ...readback import (
    BATCH,
    Trace,
    _along,
    _as_trace,
    _finished,
    _gaps,
    _image,
    _Recorder,
    calls_on_zeros,
    random_inputs,
    superposition,
    trace,
)

Key = tuple[int, int | None]  # steps, and the index of another grid


@dataclass
class ExpectedCalls:
    """The calls of runs that were read, by their grids.

    An expectation saves the run that counts the calls; a run that makes others is counted after all.
    """

    known: dict[Key, Calls] = field(default_factory=dict)

    def note(self, steps: int, grid: int | None, found: Trace) -> None:
        """Note the calls of a run."""
        self.known[steps, grid] = Calls(found.nfe, found.spans)

    def on(self, steps: int, grid: int | None) -> Calls | None:
        """What a run is expected to make: as in the other dtype, or on the line through two numbers of steps."""
        if (steps, grid) in self.known or grid is not None:
            return self.known.get((steps, grid))
        own = [(n, calls) for (n, k), calls in self.known.items() if k is None]
        if len(own) < 2 or any(span is not None for _, calls in own for span in calls.spans):
            return None  # the spans of increments are those of another grid
        (n, first), (m, second) = own[:2]
        nfe = _line(n, first.nfe, m, second.nfe, steps)
        draws = _line(n, len(first.spans), m, len(second.spans), steps)
        return None if nfe is None or draws is None else Calls(nfe, (None,) * draws)


def _line(n: int, a: int, m: int, b: int, steps: int) -> int | None:
    """The value at `steps` of the line through (n, a) and (m, b), where it is a whole number."""
    rise = (b - a) * (steps - n)
    return a + rise // (m - n) if rise % (m - n) == 0 and a + rise // (m - n) >= 0 else None


def expected_trace(run: Run, prediction: str, dtype: torch.dtype, expected: Calls | None, at_once: bool) -> Trace:
    """As trace, without the run that counts the calls where these are known; at_once: in one run."""
    for calls in (expected, None):
        with suppress(DependsError):
            if at_once:
                return _trace_at_once(run, prediction, calls or calls_on_zeros(run, dtype), dtype)
            if calls is not None:
                found = _image(run, prediction, *calls, dtype)
                return replace(found, superposition=superposition(run, found))
    return trace(run, prediction, dtype)


def _trace_at_once(run: Run, prediction: str, calls: Calls, dtype: torch.dtype) -> Trace:
    """As trace, from one run on a batch of two, basis vectors and random ones.

    Raises DependsError where the run makes other calls.
    """
    path, draws = noise_basis(calls.spans)
    size = 1 + calls.nfe + draws
    basis, random = torch.eye(size, dtype=torch.float64), random_inputs(size)
    both = torch.stack([basis, random], dim=1).to(dtype).view(size, 2, *BATCH[1:], size)
    recorder = _Recorder(both[1 : 1 + calls.nfe], _along(both[1 + calls.nfe :], path, calls.spans))
    start = both[0].clone()
    finish = _finished(run, start, recorder)
    if len(recorder.states) != calls.nfe or len(recorder.spans) != len(path):
        raise DependsError(f"{len(recorder.states)} evaluations, {calls.nfe} before")
    on_random = torch.stack([state[1].double() for state in (*recorder.states, finish.sample)]).flatten(1)
    recorder.states = [state[:1] for state in recorder.states]
    found = _as_trace(prediction, both[0, 0], recorder, finish._replace(sample=finish.sample[:1]))
    mutated = found.mutated if torch.equal(start, both[0]) else ("start", *found.mutated)
    return replace(found, superposition=_gaps(on_random, found, random), mutated=mutated)
