"""Kinds that choose among the levels of a discrete model, as diffusers and ComfyUI do."""

from __future__ import annotations

from fractions import Fraction

from ..errors import InputError
from .grid_kind import GridKind, Levels, Values, closed, counted, integer, positive, zero
from .model_levels import PARAMETERS, model_levels
from .sigma_kinds import COMFYUI, quantile

DIFFUSERS = "huggingface/diffusers: scheduling_euler_discrete.py and scheduling_dpmsolver_multistep.py, set_timesteps"
_DROP = integer("drop", 0, 0, 1)


def _at(indices: list[float], v: Values) -> Levels:
    """The levels at indices, between two of them linear in the index."""
    levels = model_levels(v)
    last = len(levels.sigmas) - 1
    for index in indices:
        if not 0 <= index <= last:
            raise InputError("grid.steps_offset", v.get("steps_offset"), f"timesteps from 0 to {last}, not {index:g}")
    return Levels(levels.unit, closed([levels.linearly(index) for index in indices], v["zero"]))


def _leading(steps: int, v: Values) -> Levels:
    parts = counted(steps, v["zero"]) + int(v["drop"])
    stride = int(v["train"]) // parts
    if stride < 1:
        raise InputError("steps", steps, f"fewer than the model's {int(v['train'])} levels")
    return _at([k * stride + v["steps_offset"] for k in reversed(range(int(v["drop"]), parts))], v)


def _trailing(steps: int, v: Values) -> Levels:
    count, train = counted(steps, v["zero"]), int(v["train"])
    return _at([float(round(train - k * (train / count)) - 1) for k in range(count)], v)


def _linspace(steps: int, v: Values) -> Levels:
    parts = counted(steps, v["zero"]) + int(v["drop"])
    found = [k * ((v["train"] - 1) / max(parts - 1, 1)) for k in reversed(range(int(v["drop"]), parts))]
    return _at([float(round(index)) for index in found] if v["rounded"] else found, v)


def _simple(steps: int, v: Values) -> Levels:
    levels, count = model_levels(v), counted(steps, v["zero"])
    stride = len(levels.sigmas) / count
    return Levels(levels.unit, closed([levels.sigmas[-(1 + int(k * stride))] for k in range(count)], v["zero"]))


def _clocked(steps: int, v: Values, parts: int) -> Levels:
    """The first of parts + 1 levels that are equally spaced in the model's clock, and 0 or not."""
    levels, count = model_levels(v), counted(steps, v["zero"])
    first, last = levels.clock
    clock = [first + k / max(parts, 1) * (last - first) for k in range(count)]
    return Levels(levels.unit, closed([levels.at_clock(c) for c in clock], v["zero"]))


def _normal(steps: int, v: Values) -> Levels:
    return _clocked(steps, v, counted(steps, v["zero"]) - 1)


def _sgm_uniform(steps: int, v: Values) -> Levels:
    return _clocked(steps, v, steps)


def _ddim_uniform(steps: int, v: Values) -> Levels:
    levels, count = model_levels(v), counted(steps, v["zero"])
    found = levels.sigmas[1 :: max(len(levels.sigmas) // count, 1)]
    return Levels(levels.unit, _as_many("ddim-uniform", list(found)[::-1], steps, v))


def _beta_levels(steps: int, v: Values) -> Levels:
    levels, count = model_levels(v), counted(steps, v["zero"])
    last = len(levels.sigmas) - 1
    indices = [round(quantile(1 - k / count, v["a"], v["b"]) * last) for k in range(count)]
    return Levels(levels.unit, _as_many("beta-levels", [levels.sigmas[k] for k in dict.fromkeys(indices)], steps, v))


def _as_many(name: str, levels: list[float], steps: int, v: Values) -> list[float]:
    """InputError unless the library's rule gives as many levels as there are steps."""
    found = closed(levels, v["zero"])
    if len(found) != steps + 1:
        raise InputError(
            "steps", steps, f"another number: {name} gives {len(found) - 1} steps there, as its library does"
        )
    return found


DISCRETE_KINDS = (
    GridKind(
        "leading",
        "Multiples of a whole stride, from the clean end, and `steps_offset`. With `drop` = 1 the stride is that of "
        "one step more, and the cleanest is left out, as in DPMSolverMultistepScheduler.",
        r"k_n = (N - 1 - n) \lfloor T/N \rfloor + \text{offset}, \quad \sigma_n = \sigma(k_n)",
        (integer("steps_offset", 0, 0, 1000), _DROP, *PARAMETERS, zero(1)),
        (),
        _leading,
        cite="lin2024zerosnr",
        source=DIFFUSERS,
        aliases=(("diffusers:timestep_spacing=leading", ()),),
    ),
    GridKind(
        "trailing",
        "Fractions of all levels, from the noisiest, rounded to whole ones.",
        r"k_n = \operatorname{round}(T - n T/N) - 1, \quad \sigma_n = \sigma(k_n)",
        (*PARAMETERS, zero(1)),
        (),
        _trailing,
        cite="lin2024zerosnr",
        source=DIFFUSERS,
        aliases=(("diffusers:timestep_spacing=trailing", ()),),
    ),
    GridKind(
        "linspace",
        r"All indices from the noisiest to the cleanest, equally spaced, with $\sigma$ linear between two levels; "
        "`rounded` = 1 rounds to whole ones, `drop` = 1 leaves the cleanest of N + 1 out. One step begins at the "
        "cleanest level, as in diffusers.",
        r"k_n = (T - 1) (1 - \tfrac{n}{N - 1}), \quad \sigma_n = \sigma(k_n)",
        (integer("rounded", 0, 0, 1), _DROP, *PARAMETERS, zero(1)),
        (),
        _linspace,
        cite="lin2024zerosnr",
        source=DIFFUSERS,
        aliases=(
            ("diffusers:timestep_spacing=linspace", ()),
            ("diffusers:DPMSolverMultistepScheduler", (("rounded", Fraction(1)), ("drop", Fraction(1)))),
        ),
    ),
    GridKind(
        "simple",
        "Every level at a stride of T/N, from the noisiest, rounded down.",
        r"k_n = T - 1 - \lfloor n T/N \rfloor, \quad \sigma_n = \sigma(k_n)",
        (*PARAMETERS, zero(1)),
        (),
        _simple,
        source=f"{COMFYUI}, simple_scheduler",
        aliases=(("comfyui:simple", ()),),
    ),
    GridKind(
        "normal",
        r"The model's clock from its noisiest to its cleanest level, equally spaced, with $\log\sigma$ linear between "
        "two levels. On `betas` = flow the cleanest level is shifted twice, as in ComfyUI.",
        r"k_n = (T - 1) (1 - \tfrac{n}{N - 1}), \quad \log\sigma_n = \log\sigma(k_n)",
        (*PARAMETERS, zero(1)),
        (),
        _normal,
        source=f"{COMFYUI}, normal_scheduler",
        aliases=(("comfyui:normal", ()), ("k-diffusion:DiscreteSchedule.get_sigmas", ())),
    ),
    GridKind(
        "sgm-uniform",
        "As `normal` on one level more, the cleanest of which gives way to 0.",
        r"k_n = (T - 1) (1 - \tfrac{n}{N}), \quad \log\sigma_n = \log\sigma(k_n)",
        (*PARAMETERS, zero(1)),
        (),
        _sgm_uniform,
        source=f"{COMFYUI}, normal_scheduler with sgm",
        aliases=(("comfyui:sgm_uniform", ()),),
    ),
    GridKind(
        "ddim-uniform",
        r"Every level at a whole stride from the second cleanest. The rule may give more levels than asked for; such a "
        "number of steps is refused.",
        r"k_n = 1 + (N - 1 - n) \lfloor T/N \rfloor, \quad \sigma_n = \sigma(k_n)",
        (*PARAMETERS, zero(1)),
        (),
        _ddim_uniform,
        cite="song2021ddim",
        source=f"{COMFYUI}, ddim_scheduler",
        aliases=(("comfyui:ddim_uniform", ()),),
    ),
    GridKind(
        "beta-levels",
        "Quantiles of the beta distribution among the indices, rounded to whole ones. The rule drops levels that it "
        "meets twice; a number of steps where it does is refused.",
        r"k_n = \operatorname{round}\bigl((T - 1)\, I^{-1}_{1 - n/N}(a, b)\bigr), \quad \sigma_n = \sigma(k_n)",
        (positive("a", Fraction(3, 5)), positive("b", Fraction(3, 5)), *PARAMETERS, zero(1)),
        (),
        _beta_levels,
        cite="lee2024beta",
        source=f"{COMFYUI}, beta_scheduler",
        aliases=(("comfyui:beta", ()),),
    ),
)
