"""Plain callables as samplers: read back, found in the catalogue, and what they may not do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import hostile
import pytest
import torch
from torch import Tensor

from samplerproof.numerics.conformance.adapters import callables
from samplerproof.numerics.conformance.adapters.callables import function, on_levels
from samplerproof.numerics.conformance.adapters.option_values import variants
from samplerproof.numerics.conformance.adapters.process_levels import karras
from samplerproof.numerics.conformance.adapters.resolve import resolve
from samplerproof.numerics.conformance.adapters.target import NoTable
from samplerproof.numerics.conformance.adapters.visited_levels import Visit, destinations, levels_of
from samplerproof.numerics.conformance.judge.compare import deviations, same_shape
from samplerproof.numerics.conformance.judge.references import candidates
from samplerproof.numerics.conformance.process import option_sweep
from samplerproof.numerics.errors import InputError, SamplingError
from samplerproof.numerics.external_run import Run
from samplerproof.numerics.grids import Grid
from samplerproof.numerics.readback import trace

Denoise = Callable[[Tensor, Tensor], Tensor]


def heun(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Heun's method in sigma."""
    for s, t in pairwise(sigmas):
        d = (x - denoise(x, s)) / s
        there = x + (t - s) * d
        x = x + (t - s) * (d + (there - denoise(there, t)) / t) / 2
    return x


def two_step(denoise: Denoise, x: Tensor, sigmas: Tensor, share: float = 0.5) -> Tensor:
    """DPM-Solver++(2M); share = 1/2."""
    lam, before = -sigmas.log(), None
    for n in range(len(sigmas) - 1):
        h = lam[n + 1] - lam[n]
        now = denoise(x, sigmas[n])
        both = now if before is None else now + share * h / (lam[n] - lam[n - 1]) * (now - before)
        x, before = sigmas[n + 1] / sigmas[n] * x - torch.expm1(-h) * both, now
    return x


def ancestral(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Callable[..., Tensor]) -> Tensor:
    """Euler's method to a lower level, then fresh noise."""
    for s, t in pairwise(sigmas):
        down = t * t / s
        x = x + (down - s) * (x - denoise(x, s)) / s + (t * t - down * down).sqrt() * noise(x)
    return x


def exact_noise(denoise: Denoise, x: Tensor, sigmas: Tensor, eta: int, /, *, noise: Callable[..., Tensor]) -> Tensor:
    """The same law with noise from a path in sigma, in two pieces a step."""
    for s, t in pairwise(sigmas):
        middle = (s + t) / 2
        pieces = ((s - middle).sqrt() * noise(x, s, middle) + (middle - t).sqrt() * noise(x, middle, t)) / (
            s - t
        ).sqrt()
        down = t * t / s
        x = x + (down - s) * (x - denoise(x, s)) / s + (t * t - down * down).sqrt() * pieces
    return x


def run_of(solver: Callable[..., Tensor], steps: int) -> Run:
    """The run of a function of this module, as the adapter makes it."""
    return on_levels("mine", lambda denoise, x, sigmas, draw: solver(denoise, x, sigmas), karras(steps))


def equal(run: Run, dtype: torch.dtype, within: float) -> set[str]:
    """The records whose table it has."""
    seen = trace(run, "data", dtype)
    assert max(seen.superposition) < within
    assert seen.mutated == ()
    mine = seen.table
    return {
        ref.name
        for ref in candidates(seen, "ve")
        if same_shape(mine, ref.table) and max(d.error for d in deviations(mine, ref.table)) < within
    }


@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 2e-15), (torch.float32, 1e-6)])
def test_own_copies_are_found_in_the_catalogue(dtype: torch.dtype, within: float) -> None:
    """Euler, Heun and 2M; a share of 0.5 + 1e-5 is not 2M's."""
    assert equal(run_of(hostile.euler, 8), dtype, within) == {"ddim", "flow-euler"}
    assert equal(run_of(heun, 8), dtype, within) == {"edm-heun", "flow-heun"}
    assert equal(run_of(two_step, 8), dtype, within) == {"dpm-solver++-2m"}
    assert equal(run_of(lambda *given: two_step(*given, share=0.50001), 8), dtype, within) == set()


@pytest.mark.parametrize("name", ["ancestral", "exact_noise"])
def test_noise_is_fresh_or_of_one_path(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are the ancestral sampler: its law is what the table holds."""
    monkeypatch.setattr(hostile, name, globals()[name], raising=False)
    if name == "exact_noise":
        with pytest.raises(InputError, match="called with"):
            resolve(f"hostile:{name}")
        monkeypatch.setattr(hostile, name, lambda a, x, s, noise: exact_noise(a, x, s, 1, noise=noise))
    target = resolve(f"hostile:{name}")
    assert target.info.process == "ve"
    assert {"ddim-eta", "ddpm", "sa-solver-1"} <= equal(target.on(6), torch.float64, 4e-15)


def test_half_an_interval_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A level without the other."""
    monkeypatch.setattr(hostile, "half", lambda denoise, x, sigmas, noise: noise(x, sigmas[0]), raising=False)
    with pytest.raises(SamplingError, match="half an interval"):
        trace(resolve("hostile:half").on(3), "data")


def test_the_levels_are_karras() -> None:
    """80 to 0.002, rho = 7, nothing appended."""
    levels = karras(10)
    assert len(levels) == 11
    for i, sigma in enumerate(levels):
        root = 80 ** (1 / 7) + i / 10 * (0.002 ** (1 / 7) - 80 ** (1 / 7))
        assert math.isclose(sigma, root**7, rel_tol=1e-13)
    finish = run_of(hostile.euler, 10)(torch.zeros(1), lambda x, at, to: x, lambda like, span=None: like)
    assert [p.sigma for p in finish.grid] == torch.tensor(levels, dtype=torch.float32).tolist()


@pytest.mark.parametrize(
    ("visited", "to"),
    [
        ([4, 2, 1], [0, 1, 2]),  # one a step
        ([4, 2, 2, 1, 1, 0.5], [0, 1, 1, 2, 2, 3]),  # Heun
        ([4, 2, 2, 1, 1], [0, 1, 1, 2, 2]),  # Heun, the last step Euler's
        ([4, 3, 2, 1.5, 1, 0.7], [0, 1, 1, 2, 2, 3]),  # a stage inside
        ([4, 4, 2, 2.00001, 1], [0, 0, 1, 1, 2]),  # in a level's neighbourhood, too
        ([4.4, 2.2, 1.1], [1, 2, 3]),  # churned: no start is seen
        ([4, 2.2, 1.1], [0, 2, 3]),
        ([4.4, 2, 2.2, 1, 1.1], [1, 1, 2, 2, 3]),  # Heun, churned, the last step Euler's
        ([4, 2], [0, 1]),  # the last step has none
        ([4, 2, 2, 1], [0, 1, 1, 2]),  # Heun's has one too few
        ([], []),
    ],
)
def test_the_step_of_an_evaluation(visited: list[float], to: list[int]) -> None:
    """Assert it from the levels only."""
    assert destinations(visited, [4, 2, 1, 0.5], "mine") == to


@pytest.mark.parametrize(
    ("visited", "to"),
    [
        ([4, 3, 2, 1.5], [0, 1, 1, 2]),  # two stages; the step to 0 has none
        ([4, 2.5, 2, 1.9], [0, 1, 1, 2]),
        ([4, 2, 1.1], [0, 1, 3]),  # churned once, in the last step
    ],
)
def test_the_step_to_0_may_have_no_evaluation(visited: list[float], to: list[int]) -> None:
    """Assert it where the evaluations before it are those of one step."""
    assert destinations(visited, [4, 2, 1, 0], "mine") == to


def test_evaluations_that_belong_nowhere() -> None:
    """Four away from the levels, in three steps."""
    with pytest.raises(NoTable, match="4 evaluations in 3 steps"):
        destinations([4.4, 2.2, 2.1, 1.1], [4, 2, 1, 0.5], "mine")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("another_shape", r"ends with \[1, 1, 1, 1, 1\]; it was given \[1, 1, 1, 1\]"),
        ("another_dtype", "ends in torch.complex64 on cpu; it was given torch.float64 on cpu"),
        ("another_device", "ends in torch.float64 on meta; it was given torch.float64 on cpu"),
        ("nothing", "ends with NoneType, not with the sample; it was given"),
        ("with_its_levels", "ends with tuple, not with the sample; it was given"),
        ("another_state", r"evaluation 1: the model is evaluated at \[1\], not at \[1, 1, 1, 1\]"),
        ("no_level", r"evaluation 1: the model is evaluated at sigma = \[nan\]$"),
    ],
)
def test_what_a_sampler_may_not_do(name: str, message: str) -> None:
    """Assert one line with what was found and what was expected."""
    with pytest.raises(SamplingError, match=message):
        trace(resolve(f"hostile:{name}").on(3), "data")


def test_evaluations_that_depend_on_the_values_are_not_linear() -> None:
    seen = trace(resolve("hostile:adapts").on(3), "data")
    assert set(seen.superposition) == {math.inf}
    assert (seen.nfe, len(seen.grid)) == (3, 4)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("hostile", r"LIBRARY:NAME\?option=value"),
        ("nowhere:euler", "no module nowhere"),
        ("hostile.deeper:euler", "no module hostile.deeper"),
        ("hostile:oiler", "no object of this name in hostile; nearest: euler"),
        ("hostile:not_callable", "a function .*a scheduler of diffusers, an object with tabulate"),
        ("hostile:needs_more", "takes denoise, x, sigmas, noise, model; called with"),
        ("hostile:takes_options?eta=1", "takes scale"),
        ("hostile:takes_options?scale=big", "scale is a number such as 1.0"),
        ("hostile:euler?eta=1", "takes no options"),
        ("builtins:min", "its parameters cannot be read"),
    ],
)
def test_bad_targets(target: str, message: str) -> None:
    """Which, and what is allowed."""
    with pytest.raises(InputError, match=message):
        resolve(target)


def test_options_are_passed_on_by_name() -> None:
    """The whole sample is scaled."""
    plain, scaled = (trace(resolve(f"hostile:takes_options{query}").on(3), "data") for query in ("", "?scale=2"))
    assert torch.equal(2 * plain.vectors[-1], scaled.vectors[-1])


def test_a_callable_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """A float32 inside is roundoff: it goes where its module has float64 instead."""

    def rounded(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
        return hostile.euler(denoise, x, sigmas.to(torch.float32)).to(x.dtype)

    rounded.__globals__["torch"] = torch
    monkeypatch.setattr(hostile, "rounded", rounded, raising=False)
    target = resolve("hostile:rounded")
    assert equal(target.on(6), torch.float64, 2e-15) == set()
    with target.float64():
        assert "ddim" in equal(target.on(6), torch.float64, 2e-15)
    assert callables.torch.float32 is torch.float32


def test_a_sample_in_half_precision_is_an_error_that_names_it() -> None:
    """Assert the remark, and none where the sample is of its start's dtype."""
    for dtype, texts in ((torch.bfloat16, ["it returns bfloat16 where its start is float32"]), (torch.float32, [])):

        def solver(denoise, x, sigmas, draw, dtype=dtype):  # type: ignore[no-untyped-def]
            return hostile.euler(denoise, x, sigmas).to(dtype)

        found = trace(on_levels("halved", solver, [4.0, 2.0, 1.0]), "data", torch.float32)
        assert [(r.text, r.severity) for r in found.remarks] == [(text, "error") for text in texts]


@pytest.mark.parametrize("at_once", [False, True])
def test_what_a_run_writes_into_is_named_however_it_is_read(at_once: bool) -> None:
    """Assert the start and an output of a sampler that overwrites them, and nothing of one that does not."""
    for name, written in (("overwrites", ("start", "output 1")), ("euler", ())):
        assert trace(resolve(f"hostile:{name}").on(3), "data", at_once=at_once).mutated == written


def test_a_shift_is_one_of_all_levels() -> None:
    """Assert that a run steps between shifted levels where it visits each of them, and not where one is another."""
    given = [0.9, 0.6, 0.3, 0.0]

    def shifted(sigma: float, k: float = 3.0) -> float:
        return k * sigma / (1 + (k - 1) * sigma)

    for last, ends in ((1.0, [*map(shifted, given)]), (0.9, given)):

        def visit(levels: Sequence[float], start: float = 0.0, last: float = last) -> Visit:
            visited = [shifted(s) for s in levels[:-1]]
            return Visit([*visited[:-1], last * visited[-1]])

        found = levels_of(given, visit, "ours", lambda sigma: sigma / (1 - sigma), shifted)
        assert found.ends == pytest.approx(ends)
        assert [remark.text for remark in found.remarks] == ["it shifts the given levels by 3"] * (last == 1)


def test_the_levels_of_a_grid_are_those_of_the_process_that_was_chosen() -> None:
    """Assert sigma on the flow for a function that is placed there, and sigma / alpha for others."""
    seen: list[float] = []

    def euler(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
        seen[:] = sigmas.tolist()
        for s, t in pairwise(sigmas):
            x = x + (t - s) * denoise(x, s)
        return x

    sampler = function(euler, {})
    assert sampler.in_process is not None
    grid = Grid.from_sigmas([4.0, 1.0, 0.25])
    for placed, levels in ((sampler, [4.0, 1.0, 0.25]), (sampler.in_process("flow", "velocity"), [0.8, 0.5, 0.2])):
        assert placed.on_yours is not None
        trace(placed.on_yours(grid), "data")
        assert seen == pytest.approx(levels)


def test_a_sweep_draws_noise_and_tells_what_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert no trouble of a stochastic sampler, and the numbers of steps of one that divides by 0."""
    monkeypatch.setattr(option_sweep, "STEPS", range(3, 6))

    def fails(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Callable[..., Tensor]) -> Tensor:
        return ancestral(denoise, x, sigmas, noise) / (len(sigmas) - 5)

    sampler_of = {"sound": function(ancestral, {}), "wrong": function(fails, {})}
    sound, wrong = (option_sweep.troubles_of(name, sampler_of.__getitem__, lambda _: None) for name in sampler_of)
    assert (sound.refused, sound.troubles) == (None, ())
    assert [(t.kind, t.steps, t.what) for t in wrong.troubles] == [("non-finite", (4,), "in the last step")]


def test_a_sweep_tries_the_other_values_of_one_option_at_a_time() -> None:
    """Assert it of a number beside its documented ones, of a flag, and of none that is given or has another type."""
    defaults = {"eta": 1.0, "clip": False, "order": 2, "solver_order": 2.0}
    assert variants("k", "f", defaults, {"order": 2}) == tuple(
        f"k:f?order=2&{other}" for other in ("eta=0.0", "eta=0.5", "clip=true")
    )
