"""Kinds whose levels are published lists; for other numbers of steps log sigma is interpolated, as their authors do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from ...names.lookup import Domain
from ..errors import InputError
from . import published_levels as published
from .gits_levels import COEFFICIENTS, gits_levels
from .grid_kind import FLOW, RATIO, WITH_ZERO, GridKind, Levels, Values, between, zero

NODES = "comfyanonymous/ComfyUI: comfy_extras"
AYS = "huggingface/diffusers: AysSchedules, which ends at 0; the last level is ComfyUI's"
INTERPOLATED = r"\log\sigma_n \text{ linear between the published ones, in } n/N"


def interpolated(levels: Sequence[float], count: int) -> list[float]:
    """That many levels from the first to the last, log sigma linear in the index; the list itself at its own length."""
    if count == len(levels):
        return list(levels)
    logs, found = [math.log(s) for s in levels], []
    for n in range(count):
        place = n * (len(levels) - 1) / (count - 1)
        below = min(int(place), len(levels) - 2)
        w = place - below
        found.append(math.exp((1 - w) * logs[below] + w * logs[below + 1]))
    return found


def _ended(unit: str, levels: list[float], v: Values) -> Levels:
    """The levels, the last of which gives way to 0 where the last step leads there."""
    return Levels(unit, [*levels[:-1], 0.0] if v["zero"] else levels)


def _published(unit: str, levels: Sequence[float]) -> Callable[[int, Values], Levels]:
    return lambda steps, v: _ended(unit, interpolated(levels, steps + 1), v)


def _gits(steps: int, v: Values) -> Levels:
    if steps < 2:
        raise InputError("steps", steps, "at least 2 on gits")
    hundredths = round(100 * v["coeff"])
    if hundredths not in COEFFICIENTS or not math.isclose(100 * v["coeff"], hundredths):
        known = ", ".join(f"{c / 100:g}" for c in COEFFICIENTS)
        raise InputError("grid.coeff", v["coeff"], f"a coefficient with published lists: {known}")
    rows = gits_levels(hundredths)
    return _ended(RATIO, interpolated(rows[min(steps, len(rows) + 1) - 2], steps + 1), v)


def _kind(
    name: str,
    model: str,
    cite: str,
    source: str,
    levels: Callable[[int, Values], Levels],
    *aliases: str,
    parameters: tuple[Domain, ...] = (),
) -> GridKind:
    stands_for = tuple((alias, WITH_ZERO) for alias in aliases)
    return GridKind(name, model, INTERPOLATED, (*parameters, zero(0)), (), levels, cite, source, stands_for)


_AYS, _OSS = f"{NODES}/nodes_align_your_steps.py", f"{NODES}/nodes_optimalsteps.py, from bebebe666/OptimalSteps"

PUBLISHED_KINDS = (
    _kind(
        "ays-sd1",
        "Align Your Steps, ten steps for Stable Diffusion 1.",
        "sabour2024ays",
        AYS,
        _published(RATIO, published.AYS_SD1),
        "diffusers:AysSchedules.StableDiffusionSigmas",
    ),
    _kind(
        "ays-sd1-comfyui",
        "The same in the digits of ComfyUI.",
        "sabour2024ays",
        _AYS,
        _published(RATIO, published.AYS_SD1_COMFYUI),
        "comfyui:AlignYourStepsScheduler.SD1",
    ),
    _kind(
        "ays-sdxl",
        "Align Your Steps, ten steps for Stable Diffusion XL.",
        "sabour2024ays",
        AYS,
        _published(RATIO, published.AYS_SDXL),
        "diffusers:AysSchedules.StableDiffusionXLSigmas",
    ),
    _kind(
        "ays-sdxl-comfyui",
        "The same in the digits of ComfyUI.",
        "sabour2024ays",
        _AYS,
        _published(RATIO, published.AYS_SDXL_COMFYUI),
        "comfyui:AlignYourStepsScheduler.SDXL",
    ),
    _kind(
        "ays-svd",
        "Align Your Steps, ten steps for Stable Video Diffusion.",
        "sabour2024ays",
        AYS,
        _published(RATIO, published.AYS_SVD),
        "diffusers:AysSchedules.StableDiffusionVideoSigmas",
        "comfyui:AlignYourStepsScheduler.SVD",
    ),
    _kind(
        "oss-flux",
        "Optimal Stepsize, ten steps for FLUX.",
        "pei2025oss",
        _OSS,
        _published(FLOW, published.OSS_FLUX),
        "comfyui:OptimalStepsScheduler.FLUX",
    ),
    _kind(
        "oss-wan",
        "Optimal Stepsize, twenty steps for Wan.",
        "pei2025oss",
        _OSS,
        _published(FLOW, published.OSS_WAN),
        "comfyui:OptimalStepsScheduler.Wan",
    ),
    _kind(
        "oss-chroma",
        "Optimal Stepsize, forty steps for Chroma.",
        "pei2025oss",
        _OSS,
        _published(FLOW, published.OSS_CHROMA),
        "comfyui:OptimalStepsScheduler.Chroma",
    ),
    _kind(
        "gits",
        "GITS for Stable Diffusion 1, one list each for 2 to 20 steps at every coefficient from 0.8 to 1.5 in steps of "
        "0.05: a larger one has more of its levels at the clean end.",
        "chen2024gits",
        f"{NODES}/nodes_gits.py, from zju-pi/diff-sampler: gits-main",
        _gits,
        "comfyui:GITSScheduler",
        parameters=(between("coeff", Fraction(6, 5), Fraction(4, 5), Fraction(3, 2)),),
    ),
)
