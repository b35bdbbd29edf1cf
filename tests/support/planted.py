"""Samplers as one writes them in torch, right as they stand, and what puts one fault into their text."""

from __future__ import annotations

import inspect
import math
import re
import textwrap
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from samplerproof.numerics.conformance.adapters.callables import function, on_levels
from samplerproof.numerics.conformance.adapters.external_sampler import ExternalSampler
from samplerproof.numerics.conformance.adapters.in_float64 import in_float64
from samplerproof.numerics.conformance.forward_processes import point
from samplerproof.numerics.conformance.judge.references import Reference
from samplerproof.numerics.conformance.process import child
from samplerproof.numerics.conformance.process.checked_values import checked
from samplerproof.numerics.conformance.process.collect import ChildResults, JobResult
from samplerproof.numerics.conformance.process.expected_calls import ExpectedCalls
from samplerproof.numerics.conformance.process.launch import Job
from samplerproof.numerics.conformance.report import Step, TargetInfo, Verdict
from samplerproof.numerics.conformance.verify import _with_state, judged
from samplerproof.numerics.external_run import Draw, Finish, Model, Run
from samplerproof.numerics.readback import Trace

Denoise = Callable[[Tensor, Tensor], Tensor]
STEPS = 8
kept: list[Tensor] = []


def spoilt(call: Callable[..., Any], old: str, new: str) -> Callable[..., Any]:
    """The function with `old`, which is there once, replaced by `new`; it lives where the function lives."""
    text = textwrap.dedent(inspect.getsource(call))
    assert text.count(old) == 1, f"{text.count(old)} times in {call.__name__}: {old}"
    made: dict[str, Any] = {}
    exec(
        compile("from __future__ import annotations\n" + text.replace(old, new), __file__, "exec"),
        call.__globals__,
        made,
    )
    return made[call.__name__]  # type: ignore[no-any-return]


# --- variance exploding, functions of a denoiser and sigmas


def euler(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """DDIM."""
    for s, t in pairwise(sigmas):
        d = (x - denoise(x, s)) / s
        x = x + (t - s) * d
    return x


def heun(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Heun's method in sigma."""
    for s, t in pairwise(sigmas):
        d = (x - denoise(x, s)) / s
        there = x + (t - s) * d
        e = (there - denoise(there, t)) / t
        x = x + (t - s) * (d + e) / 2
    return x


def two_m(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """DPM-Solver++(2M)."""
    lam, outputs = -sigmas.log(), []
    for n in range(len(sigmas) - 1):
        h = lam[n + 1] - lam[n]
        outputs.append(denoise(x, sigmas[n]))
        d = outputs[-1]
        if len(outputs) > 1 and sigmas[n + 1] > 0:
            r = (lam[n] - lam[n - 1]) / h
            d = d + (outputs[-1] - outputs[-2]) / (2 * r)
        x = sigmas[n + 1] / sigmas[n] * x - torch.expm1(-h) * d
    return x


def adams(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Exponential Adams of order 2, in data predictions."""
    before, last = x, sigmas[0]
    for n, (s, t) in enumerate(pairwise(sigmas)):
        h = (s / t).log()
        now = denoise(x, s)
        x = t / s * x - torch.expm1(-h) * now
        if n > 0:
            x = x + (torch.expm1(-h) / h + 1) * h / (last / s).log() * (now - before)
        before, last = now, s
    return x


def two_s(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """DPM-Solver++(2S), the stage in the middle of the step in lambda."""
    for s, t in pairwise(sigmas):
        h = (s / t).log()
        middle = s * torch.exp(-h / 2)
        inside = middle / s * x - torch.expm1(-h / 2) * denoise(x, s)
        x = t / s * x - torch.expm1(-h) * denoise(inside, middle)
    return x


def ancestral(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Callable[..., Tensor], eta: float = 0.5) -> Tensor:
    """Euler's method to a lower level, then noise."""
    for n, (s, t) in enumerate(pairwise(sigmas)):  # noqa: B007 (for faults)
        up = eta * (t**2 * (s**2 - t**2) / s**2).sqrt()
        down = (t**2 - up**2).sqrt()
        x = x + (down - s) * (x - denoise(x, s)) / s
        x = x + up * noise(x)
    return x


def sde_two_m(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Callable[..., Tensor]) -> Tensor:
    """SDE-DPM-Solver++(2M)."""
    before, last = x, sigmas[0]
    for n, (s, t) in enumerate(pairwise(sigmas)):
        h = (s / t).log()
        now = denoise(x, s)
        weight = -torch.expm1(-2 * h)
        x = t / s * torch.exp(-h) * x + weight * now + t * weight.sqrt() * noise(x)
        if n > 0:
            r = (last / s).log() / h
            x = x + weight * (now - before) / (2 * r)
        before, last = now, s
    return x


def sde_two_s(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Callable[..., Tensor]) -> Tensor:
    """k-diffusion's dpmpp_sde: two stages, with noise of one Brownian path."""
    for s, t in pairwise(sigmas):
        middle = (s * t).sqrt()
        data = denoise(x, s)
        up = (middle**2 * (s**2 - middle**2) / s**2).sqrt()
        down = (middle**2 - up**2).sqrt()
        inside = down / s * x + (1 - down / s) * data + up * noise(x, s, middle)
        up = (t**2 * (s**2 - t**2) / s**2).sqrt()
        down = (t**2 - up**2).sqrt()
        x = down / s * x + (1 - down / s) * denoise(inside, middle) + up * noise(x, s, t)
    return x


# --- variance preserved, functions of a model and of alpha^2


def ddim(model: Callable[[Tensor, int], Tensor], x: Tensor, bars: Tensor, noise: Callable[[], Tensor]) -> Tensor:
    """DDIM on predictions of the noise."""
    for n, (now, following) in enumerate(pairwise(bars)):
        eps = model(x, n)
        data = (x - (1 - now).sqrt() * eps) / now.sqrt()
        x = following.sqrt() * data + (1 - following).sqrt() * eps
    return x


def ddim_v(model: Callable[[Tensor, int], Tensor], x: Tensor, bars: Tensor, noise: Callable[[], Tensor]) -> Tensor:
    """DDIM on predictions of the velocity."""
    for n, (now, following) in enumerate(pairwise(bars)):
        v = model(x, n)
        data = now.sqrt() * x - (1 - now).sqrt() * v
        eps = (1 - now).sqrt() * x + now.sqrt() * v
        x = following.sqrt() * data + (1 - following).sqrt() * eps
    return x


def ddpm(model: Callable[[Tensor, int], Tensor], x: Tensor, bars: Tensor, noise: Callable[[], Tensor]) -> Tensor:
    """DDPM's posterior."""
    for n, (now, following) in enumerate(pairwise(bars)):
        a = now / following
        data = (x - (1 - now).sqrt() * model(x, n)) / now.sqrt()
        mean = following.sqrt() * (1 - a) / (1 - now) * data + a.sqrt() * (1 - following) / (1 - now) * x
        x = mean + ((1 - following) / (1 - now) * (1 - a)).sqrt() * noise()
    return x


def variance_exploding(call: Callable[..., Tensor], levels: list[float] | None = None) -> ExternalSampler:
    """A function of a denoiser and sigmas, on levels of its own where they are given."""
    sampler = function(call, {})
    if levels is None:
        return sampler

    def solve(denoise: Any, x: Tensor, sigmas: Tensor, draw: Draw) -> Tensor:
        return call(denoise, x, sigmas)

    info = TargetInfo(sampler.info.name, "ve")
    return replace(sampler, info=info, on=lambda steps, grid=None: on_levels(info.name, solve, levels))


def variance_preserving(call: Callable[..., Tensor]) -> ExternalSampler:
    """A function of a model and of alpha^2, at equal steps in lambda from -3 to 3."""

    def on(steps: int, name: str | None = None) -> Run:
        bars = torch.sigmoid(2 * torch.linspace(-3, 3, steps + 1, dtype=torch.float64))
        grid = tuple(point("vp", math.sqrt(a), math.sqrt(1 - a)) for a in bars.tolist())

        def run(start: Tensor, model: Model, draw: Draw) -> Finish:
            end = call(lambda x, n: model(x, grid[n], n), start, bars.to(start), lambda: draw(start))
            return Finish(end, grid)

        return run

    prediction = "velocity" if "v = " in inspect.getsource(call) else "noise"
    return ExternalSampler(TargetInfo(call.__name__, "vp"), prediction, on, lambda: in_float64(call.__globals__))


# --- verdicts


def verdict_on(sampler: ExternalSampler, against: str) -> Verdict:
    """The verdict of `samplerproof verify`, without orders and without a process for the sampler."""
    jobs = Job(STEPS, False), Job(STEPS, True)
    with TemporaryDirectory() as name:
        (Path(name) / "stdout").touch()
        found = [child._work(sampler, job, child._Notes(Path(name), k), ExpectedCalls()) for k, job in enumerate(jobs)]
    plain = [{**result, "job": astuple(job)} for job, result in zip(jobs, found, strict=True)]
    info = replace(sampler.info, grids=(), zero=None)
    results = ChildResults(info, tuple(checked(JobResult, result, "answer") for result in plain))
    return _with_state(judged(results, info.name, STEPS, against), results, STEPS)


def remembering(candidates: Callable[..., Iterator[Reference]]) -> Callable[..., Iterator[Reference]]:
    """The references on a grid, made once for all faults that are planted on it."""
    cached: dict[Any, list[Reference]] = {}

    def remembered(
        found: Trace, process: str, names: Sequence[str], endings: Collection[str] = ()
    ) -> Iterator[Reference]:
        run = (found.prediction, found.points, found.step, found.evaluated, found.grid, *found.numbers.items())
        for name in names:
            key = name, process, run
            if key not in cached:
                cached[key] = list(candidates(found, process, (name,)))
            yield from (one for one in cached[key] if not endings or one.ending in endings)

    return remembered


def off(answer: Verdict) -> list[Step]:
    """The rows that are not the reference's in float64."""
    return [s for s in answer.steps if s.error_float64 > s.bound_float64]


@dataclass(frozen=True)
class Fault:
    """`old` put right by `new` in a sampler's text, and the findings that it must have.

    verdict: "different-formula" unless given.  step, entry: of the first row that differs, or the step of the finding.
    kind, words: of one finding; the kind that goes with the verdict unless given, the words as a pattern.
    method: that the text is of, where the sampler is a class.  exit: the exit code, that of the verdict unless given.
    """

    name: str
    base: str
    old: str
    new: str
    step: int | None
    entry: str = ""
    words: str = ""
    verdict: str = "different-formula"
    kind: str = ""
    method: str = "step"
    exit: int | None = None

    def __str__(self) -> str:
        return f"{self.base}: {self.name}"


EXIT = {"roundoff": 0, "different-formula": 1, "non-finite": 1, "not-linear": 2, "error": 2}
KIND = {"non-finite": "non-finite", "not-linear": "not-linear", "error": "exception"}


def check(fault: Fault, answer: Verdict) -> None:
    """The verdict, its exit code, the step, the entry and the words."""
    assert answer.verdict == fault.verdict, answer.findings
    assert answer.exit_code == (EXIT[fault.verdict] if fault.exit is None else fault.exit)
    kind = fault.kind or KIND.get(fault.verdict, "formula")
    matching = [f for f in answer.findings if f.kind == kind and re.search(fault.words, f.detail)]
    assert matching, answer.findings
    if fault.entry:
        first = off(answer)[0]
        assert (first.step, first.entry[: len(fault.entry)]) == (fault.step, fault.entry)
    assert fault.step in [f.step for f in matching]
