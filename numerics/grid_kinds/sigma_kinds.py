"""Kinds that space sigma between two ends, by a formula."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from ...names.lookup import Domain
from ..errors import InputError
from .grid_kind import (
    MOST_LOG,
    OWN,
    RATIO,
    SIGMA_MAX,
    SIGMA_MIN,
    SIGMAS,
    WITH_ZERO,
    GridKind,
    Levels,
    Values,
    closed,
    counted,
    integer,
    positive,
    spaced,
    zero,
)

K_DIFFUSION = "crowsonkb/k-diffusion: k_diffusion/sampling.py"
COMFYUI = "comfyanonymous/ComfyUI: comfy/samplers.py"


def _by(level: Callable[[float, float, float, Values], float], unit: str = OWN) -> Callable[[int, Values], Levels]:
    """Levels from a formula level(i, sigma_min, sigma_max, values) at the fraction i of the way."""

    def levels(steps: int, v: Values) -> Levels:
        return Levels(unit, spaced(lambda i: level(i, v["sigma_min"], v["sigma_max"], v), steps, v["zero"]))

    return levels


def _uniform(i: float, low: float, high: float, v: Values) -> float:
    return high * (1 - i) + low * i


def _uniform_log(i: float, low: float, high: float, v: Values) -> float:
    return low if i == 1 else high if i == 0 else math.exp(math.log(high) * (1 - i) + math.log(low) * i)


def _polyexponential(i: float, low: float, high: float, v: Values) -> float:
    return _uniform_log(1 - float((1 - i) ** v["rho"]), low, high, v)


def _beta(i: float, low: float, high: float, v: Values) -> float:
    return low + quantile(1 - i, v["a"], v["b"]) * (high - low)


def _karras(i: float, low: float, high: float, v: Values) -> float:
    rho = v["rho"]
    if not max(abs(math.log(low)), abs(math.log(high))) < MOST_LOG * rho:
        raise InputError("grid.rho", rho, "so large that sigma^(1/rho) is a number at both ends")
    return low if i == 1 else high if i == 0 else float((high ** (1 / rho) * (1 - i) + low ** (1 / rho) * i) ** rho)


def _tangent(i: float, low: float, high: float, v: Values) -> float:
    if i in (0, 1):
        return low if i else high
    scale = v["scale"]
    return float(scale * math.tan(i * math.atan(low / scale) + (1 - i) * math.atan(high / scale)))


def _kl_optimal(i: float, low: float, high: float, v: Values) -> float:
    return math.tan(i * math.atan(low) + (1 - i) * math.atan(high))


def quantile(q: float, a: float, b: float) -> float:
    """The quantile q of the beta distribution."""
    from scipy.special import betaincinv

    return float(betaincinv(a, b, q))


def _linear_quadratic(steps: int, v: Values) -> Levels:
    """In clean amounts u = 1 - sigma/sigma_max: L equal steps up to the threshold, then a parabola up to 1 that goes on
    with the slope they have.
    """
    parts = counted(steps, v["zero"])
    linear, threshold, top = int(v["linear_steps"]) or parts // 2, v["threshold"], v["sigma_max"]
    if parts == 1:
        return Levels(OWN, closed([top], v["zero"]))
    if linear >= parts:
        raise InputError("grid.linear_steps", linear, f"below the number of parts, {parts}")
    slope, rest = threshold / linear, parts - linear
    bend = (1 - threshold - slope * rest) / rest**2
    amounts = [slope * n for n in range(linear)] + [threshold + slope * m + bend * m**2 for m in range(rest)]
    return Levels(OWN, closed([top * (1 - u) for u in amounts], v["zero"]))


_ENDS = (SIGMA_MIN, SIGMA_MAX, zero(0))

SIGMA_KINDS = (
    GridKind(
        "uniform-sigma",
        r"$\sigma$, equally spaced.",
        r"\sigma_n = \sigma_{\max} + \tfrac{n}{N} (\sigma_{\min} - \sigma_{\max})",
        _ENDS,
        SIGMAS,
        _by(_uniform),
    ),
    GridKind(
        "uniform-log-sigma",
        r"$\log\sigma$, equally spaced: a geometric sequence of levels.",
        r"\log\sigma_n = \log\sigma_{\max} + \tfrac{n}{N} (\log\sigma_{\min} - \log\sigma_{\max})",
        _ENDS,
        SIGMAS,
        _by(_uniform_log),
        source=K_DIFFUSION,
        aliases=(
            ("exponential", ()),
            ("k-diffusion:get_sigmas_exponential", WITH_ZERO),
            ("diffusers:use_exponential_sigmas", WITH_ZERO),
            ("comfyui:exponential", WITH_ZERO),
        ),
    ),
    GridKind(
        "karras-sigma",
        r"The root of $\sigma$ of order `rho`, equally spaced: `karras`, except on the flow.",
        r"\sigma_n = \bigl(\sigma_{\max}^{1/\rho} + \tfrac{n}{N} (\sigma_{\min}^{1/\rho} - \sigma_{\max}^{1/\rho})"
        r"\bigr)^{\rho}",
        (SIGMA_MIN, SIGMA_MAX, positive("rho", Fraction(7)), zero(0)),
        SIGMAS,
        _by(_karras),
        cite="karras2022edm",
        source=K_DIFFUSION,
        aliases=(
            ("k-diffusion:get_sigmas_karras", WITH_ZERO),
            ("diffusers:use_karras_sigmas", WITH_ZERO),
            ("comfyui:karras", WITH_ZERO),
        ),
    ),
    GridKind(
        "polyexponential",
        r"A power of $\log\sigma$'s fraction, equally spaced; `rho` = 1 is `uniform-log-sigma`.",
        r"\log\sigma_n = \log\sigma_{\min} + \bigl(1 - \tfrac{n}{N}\bigr)^{\rho} "
        r"(\log\sigma_{\max} - \log\sigma_{\min})",
        (SIGMA_MIN, SIGMA_MAX, positive("rho", Fraction(1)), zero(0)),
        SIGMAS,
        _by(_polyexponential),
        source=K_DIFFUSION,
        aliases=(("k-diffusion:get_sigmas_polyexponential", WITH_ZERO),),
    ),
    GridKind(
        "beta",
        r"Quantiles of the beta distribution between the ends: dense at both for `a`, `b` below 1.",
        r"\sigma_n = \sigma_{\min} + I^{-1}_{1 - n/N}(a, b)\, (\sigma_{\max} - \sigma_{\min})",
        (SIGMA_MIN, SIGMA_MAX, positive("a", Fraction(3, 5)), positive("b", Fraction(3, 5)), zero(0)),
        SIGMAS,
        _by(_beta),
        cite="lee2024beta",
        source="huggingface/diffusers: scheduling_euler_discrete.py, _convert_to_beta",
        aliases=(("diffusers:use_beta_sigmas", WITH_ZERO),),
    ),
    GridKind(
        "kl-optimal",
        r"$\arctan\sigma$, equally spaced.",
        r"\sigma_n = \tan\bigl(\tfrac{n}{N} \arctan\sigma_{\min} + (1 - \tfrac{n}{N}) \arctan\sigma_{\max}\bigr)",
        _ENDS,
        SIGMAS,
        _by(_kl_optimal),
        cite="sabour2024ays",
        source=f"{COMFYUI}, kl_optimal_scheduler",
        aliases=(("comfyui:kl_optimal", WITH_ZERO),),
    ),
    GridKind(
        "tangent",
        r"$\arctan$ of $\sigma/\alpha$ over `scale`, equally spaced: the steps on which DDIM has the least error on a "
        r"Gaussian with that standard deviation, where its last state is the exact one times $\prod_n \cos(\theta_n - "
        r"\theta_{n+1})$. Of the paper only the abstract was readable: its coefficient for a Gaussian with several "
        "variances is not built.",
        r"\theta_n = \tfrac{n}{N} \arctan\tfrac{\sigma_{\min}}{c} + \bigl(1 - \tfrac{n}{N}\bigr) "
        r"\arctan\tfrac{\sigma_{\max}}{c}, \quad \frac{\sigma_n}{\alpha_n} = c \tan\theta_n",
        (SIGMA_MIN, SIGMA_MAX, positive("scale", Fraction(1)), zero(0)),
        SIGMAS,
        _by(_tangent, RATIO),
        cite="sun2026scheduling",
    ),
    GridKind(
        "linear-quadratic",
        r"$1 - \sigma/\sigma_{\max}$ in L equal steps up to `threshold`, then along a parabola of the same slope; "
        "L is `linear_steps`, half of the steps for 0.",
        r"u_n = \begin{cases} \tfrac{n}{L}\theta & n \le L \\ \theta + \tfrac{\theta}{L} m + "
        r"\bigl(1 - \theta - \tfrac{\theta}{L} M\bigr) \tfrac{m^2}{M^2} & m = n - L,\ M = N - L \end{cases}, \quad "
        r"\sigma_n = \sigma_{\max} (1 - u_n)",
        (
            positive("sigma_max", Fraction(1)),
            Domain("threshold", Fraction(1, 40), Fraction(0), Fraction(1), closed=False),
            integer("linear_steps", 0, 0, 10**7),
            zero(1),
        ),
        (),
        _linear_quadratic,
        source=f"{COMFYUI}, linear_quadratic_schedule, from genmoai/models: mochi_preview/infer.py",
        aliases=(("comfyui:linear_quadratic", ()),),
    ),
)
