"""Levels drawn by chance on which an honest sampler loses more to cancellation than its other runs show."""

from __future__ import annotations

from functools import cache, partial
from itertools import pairwise

import external_samplers
import pytest
import torch
from torch import Tensor

from samplerproof.numerics.conformance.adapters.callables import Denoise, Solver, on_levels
from samplerproof.numerics.conformance.adapters.process_levels import karras
from samplerproof.numerics.conformance.judge.case import Variations
from samplerproof.numerics.conformance.judge.verdict import judge
from samplerproof.numerics.conformance.report import TargetInfo, Verdict
from samplerproof.numerics.external_run import Draw
from samplerproof.numerics.readback import Trace, trace
from samplerproof.numerics.repeated_evaluations import without_repeated_evaluations

STEPS = 6
# Two of 1500 draws: in one row, 1 - t takes 1.3 and 1.5 times what the run on six steps explains.
DRAWN = {
    9: "27.39496 11.41151 3.76531 1.139409 0.7295709 0.3483258 0.1650741 0.04549484 0.01316983 0.01062414",
    12: "28.53382 13.2465 6.647293 5.099932 4.208522 1.422826 0.6861603 0.2767206 0.1419869 0.0448373 0.03219142 "
    "0.01511164 0.00719807",
}


@cache
def read(levels: tuple[float, ...], float64: bool, half: float = 0.5) -> Trace:
    """The trace of Heun's method on the flow, which is written for data predictions at alpha = 1."""

    def solver(denoise, x, sigmas, draw):  # type: ignore[no-untyped-def]
        return external_samplers.flow_heun(denoise, x, sigmas, half)

    run = on_levels("flow_heun", solver, levels)
    return without_repeated_evaluations(trace(run, "data", torch.float64 if float64 else torch.float32))


def judged(drawn: str, shipped: float, exact: float) -> Verdict:
    """The verdict where the half is another one on the drawn levels, as shipped and in float64."""
    own, levels = tuple(karras(STEPS)), tuple(float(s) for s in drawn.split())
    runs = {(STEPS, float64): read(own, float64) for float64 in (False, True)}
    grids = {("drawn levels", False): read(levels, False, shipped), ("drawn levels", True): read(levels, True, exact)}
    return judge(TargetInfo("ours", "ve", "flow-heun", None), runs, STEPS, None, Variations(grids))


@pytest.mark.parametrize("steps", DRAWN)
def test_what_float64_loses_on_the_same_levels_is_rounding(steps: int) -> None:
    """Assert that an honest run conforms there, and that a fault of 1e-6, or of 1e-4 in float32 alone, does not."""
    judged_with = partial(judged, DRAWN[steps])
    assert judged_with(0.5, 0.5).verdict == "roundoff"
    for shipped, exact in ((0.500001, 0.500001), (0.5, 0.500001), (0.5001, 0.5)):
        assert judged_with(shipped, exact).verdict == "different-formula"


def ancestral_2s(weight: float) -> Solver:
    """DPM-Solver++(2S) to where noise brings the step back from, whose level is the root of a difference of squares.

    weight: 1, of the state that a stage is made from.
    """

    def solve(denoise: Denoise, x: Tensor, sigmas: Tensor, draw: Draw) -> Tensor:
        for s, t in pairwise(sigmas):
            up = t * ((s**2 - t**2) / s**2).sqrt()
            down = (t**2 - up**2).sqrt()
            middle, d = (s * down).sqrt(), denoise(x, s)
            y = weight * middle / s * x + (1 - middle / s) * d
            x = down / s * x + (1 - down / s) * denoise(y, middle) + up * draw(x, (float(s), float(t)))
        return x

    return solve


@pytest.mark.parametrize("weight", [1.0, 1 + 1e-10])
def test_a_stage_before_the_level_of_an_ancestral_step_rounds_as_its_end_does(weight: float) -> None:
    """Assert it for steps over several units of lambda, where a weight off by 1e-10 does not conform."""
    levels = (80.0, 0.5, 0.2, 0.05)
    read = {
        float64: trace(
            on_levels("2s", ancestral_2s(weight), levels), "data", torch.float64 if float64 else torch.float32
        )
        for float64 in (False, True)
    }
    verdict = judge(
        TargetInfo("ours", "ve", "dpmpp-2s-ancestral", None),
        {(len(levels) - 1, float64): run for float64, run in read.items()},
        len(levels) - 1,
        None,
    )
    assert verdict.verdict == ("roundoff" if weight == 1 else "different-formula"), verdict.findings
