"""Kinds of the linear flow x = (1 - sigma) x0 + sigma eps, whose levels are shifted towards noise."""

from __future__ import annotations

import math
from fractions import Fraction

from .grid_kind import FLOW, WITH_ZERO, GridKind, Levels, Values, between, integer, positive, spaced, zero

DIFFUSERS = "huggingface/diffusers: scheduling_flow_match_euler_discrete.py"


def shifted(u: float, shift: float) -> float:
    """shift u / (1 + (shift - 1) u)."""
    return shift * u / (1 + (shift - 1) * u)


def _flow(steps: int, v: Values, shift: float) -> Levels:
    first, last = v["t_max"], v["t_min"]
    return Levels(FLOW, spaced(lambda i: shifted(first * (1 - i) + last * i, shift), steps, v["zero"]))


def _by_shift(steps: int, v: Values) -> Levels:
    shift = v["shift"]
    return _flow(steps, {**v, "t_min": shifted(v["t_min"], shift)} if v["twice"] else v, shift)


def _by_mu(steps: int, v: Values) -> Levels:
    return _flow(steps, v, math.exp(v["mu"]))


_T_MIN, _T_MAX = between("t_min", Fraction(0), Fraction(0), Fraction(1)), Fraction(1)
_ENDS = (_T_MIN, between("t_max", _T_MAX, Fraction(0), Fraction(1)))
_DIFFUSERS = (("t_min", Fraction(1, 1000)), ("twice", Fraction(1)), *WITH_ZERO)

FLOW_KINDS = (
    GridKind(
        "flow",
        "Equally spaced levels u, shifted towards noise; `shift` = 1 leaves them, and SD3 uses 3. With `twice` = 1 "
        "`t_min` is shifted before, too, as the constructor of the class of diffusers does with 1/1000.",
        r"\sigma_n = \frac{s u_n}{1 + (s - 1) u_n}, \quad u_n = t_{\max} + \tfrac{n}{N} (t_{\min} - t_{\max})",
        (positive("shift", Fraction(1)), *_ENDS, integer("twice", 0, 0, 1), zero(0)),
        (),
        _by_shift,
        cite="esser2024sd3",
        source=DIFFUSERS,
        aliases=(("flow-shift", ()), ("diffusers:FlowMatchEulerDiscreteScheduler", _DIFFUSERS)),
    ),
    GridKind(
        "flow-dynamic",
        r"`flow` with the shift $e^{\mu}$, which pipelines let grow with the size of the picture: from "
        r"$\mu$ = 0.5 at 256 tokens to 1.15 at 4096.",
        r"\sigma_n = \frac{e^{\mu}}{e^{\mu} + 1/u_n - 1}, \quad u_n = t_{\max} + \tfrac{n}{N} (t_{\min} - t_{\max})",
        (between("mu", Fraction(23, 20), Fraction(-20), Fraction(20)), *_ENDS, zero(0)),
        (),
        _by_mu,
        cite="esser2024sd3",
        source=DIFFUSERS,
        aliases=(("diffusers:use_dynamic_shifting", ()),),
    ),
)
