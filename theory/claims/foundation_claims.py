"""What everything rests on: frames, predictions, moments, schedules, and invariance under a change of scale."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from ..frames import DATA, FRAMES, NOISE, NOISE_RHO, VARIANCE, Frame, flow_residual
from ..methods import find
from ..notation import a1, alpha, eps, h, lam, sigma, t, x0
from ..phi_functions import moment
from ..prediction_formulas import DEFINITION, SYMBOL, convert
from ..schedule_formulas import COSINE, COSINE_GAIN, COSINE_START, SCHEDULES, Schedule
from .claim import Claim, Expressions, Proof, claim

POSITION = alpha * x0 + sigma * eps


def frame_claim(frame: Frame) -> Claim:
    def prove() -> Proof:
        return Proof((flow_residual(frame),))

    prove.__doc__ = f"""No linear part in the {frame.name} frame.

    The quotient $x/m$ is differentiated along the flow, by the product rule and $dx/dt = alpha' x0hat + sigma' epshat$
    (here primes are derivatives), with $x = alpha x0hat + sigma epshat$. All terms but $c e^(kappa u) F$ times $du/dt$
    cancel.
    """
    text = f"In the {frame.name} frame the probability flow has no linear part: $d(x/m)/du = c e^(kappa u) F$."
    return claim(f"frame-{frame.name}", text, "song2021scorebased")(prove)


@claim(
    "predictions",
    "Noise, data, velocity and score are affine images of each other.",
    "salimans2022progressive",
)
def predictions() -> Proof:
    """The four predictions are images of each other.

    For each of the sixteen ordered pairs the conversion is applied to the source prediction, written by $x_0$ and $eps$
    with $x = alpha x_0 + sigma eps$, and the target prediction is subtracted. Every difference is zero.
    """

    def residual(source: str, target: str) -> sp.Expr:
        a, b = convert(source, target)
        return DEFINITION[target] - a * POSITION - b * DEFINITION[source]

    return Proof(tuple(residual(s, p) for s in SYMBOL for p in SYMBOL))


@claim(
    "moments",
    "The integral over $[0, c h]$ of $e^(-kappa (c h - tau)) (tau/h)^k$ is $k! c^(k+1) h phi_(k+1)(-kappa c h)$: both "
    "sides vanish at $c = 0$ and have the same derivative in $c$.",
    "hochbruck2010exponential",
)
def moments() -> Proof:
    """The moments of the exact rule are phi functions.

    The right side is written with exponentials and differentiated in $c$; its derivative is the one that Leibniz's rule
    gives for the integral, and its limit at $c = 0$ is zero. This is decided for $kappa = -1, 0, 1$ and $k = 0, ...,
    4$.
    """
    c = sp.Symbol("c", positive=True)

    def residuals() -> Iterator[sp.Expr]:
        for kappa in (-1, 0, 1):
            for k in range(5):
                value = moment(k, kappa, c).rewrite(sp.exp)
                yield sp.diff(value, c) + kappa * h * value - h * c**k
                yield sp.limit(value, c, 0)

    return Proof(tuple(residuals()))


def schedule_claim(schedule: Schedule) -> Claim:
    unit = schedule.prior == "unit"

    def prove() -> Proof:
        square = sp.Symbol("square", positive=True)  # e^{-2 lambda}
        rho2 = schedule.sigma**2 / schedule.alpha**2
        zero = [
            schedule.rho2 - rho2,
            sp.exp(-2 * schedule.lam) - rho2,
            *((schedule.alpha**2 + schedule.sigma**2 - 1,) if unit else ()),
        ]
        time = schedule.time.subs(lam, -sp.log(square) / 2)
        if schedule is COSINE:
            # t is a multiple of the angle d of the point (y, x): it must lie on the unit circle, and a(0) + d = a(t),
            # that is, cos(a(0) + d) = cos a(0) alpha.
            angle = next(iter(time.atoms(sp.atan2)))
            y, x = angle.args
            turned = sp.cos(COSINE_START) * x - sp.sin(COSINE_START) * y
            zero += [
                x**2 + y**2 - 1,
                turned - sp.cos(COSINE_START) / sp.sqrt(1 + square),
                COSINE_GAIN.subs(t, time) - angle,
            ]
        elif unit:
            energy = -2 * sp.expand_log(sp.log(schedule.alpha.subs(t, time)), force=True)  # I(t) = -log alpha^2
            zero += [energy - sp.log(1 + square)]
        else:
            zero += [schedule.rho2.subs(t, time) - square]
        return Proof(tuple(zero))

    prove.__doc__ = f"""The {schedule.name} schedule is consistent.

    The formulas are inserted into each other and the differences vanish: $rho^2$ is compared with $sigma^2/alpha^2$ and
    with $e^{{-2 lambda}}$, and $t(lambda)$ is inserted into the schedule for a symbolic $rho^2$.
    """
    norm = ", and $alpha^2 + sigma^2 = 1$" if unit else ""
    text = f"On the {schedule.name} schedule $lambda = log(alpha/sigma)$, $rho = sigma/alpha$, $t(lambda)$ inverts "
    return claim(f"schedule-{schedule.name}", f"{text}$lambda(t)${norm}.", schedule.cite)(prove)


@claim(
    "scale-invariance",
    "Under $x -> c x$ (VP, VE and flow with the same $lambda$ differ by such a factor) every frame whose clock is "
    "$lambda$, $rho$ or $rho^2$ keeps its clock and scales $m$ and its outputs by $c$: its methods are the same "
    "sampler up to the scale. The velocity frame is not invariant, and no weight of an invariant method may hold "
    "$alpha$: those of Li et al.'s accelerated ODE do.",
    "karras2022edm",
)
def scale_invariance() -> Proof:
    """VP, VE and flow give the same sampler up to a scale.

    In each of the four frames $alpha$ and $sigma$ are replaced by $c alpha$ and $c sigma$, and the scale, the clock,
    the output scale and the prediction's factor are compared with what is claimed of them. The scale of the velocity
    frame does not become $c$ times itself, and the derivatives of the accelerated ODE's weights in $a_{t+1}$ do not
    vanish.
    """
    c = sp.Symbol("c", positive=True)
    scaled = {alpha: c * alpha, sigma: c * sigma}
    score_scale = {"data": 1, "noise": 1, "score": 1 / c}

    def residuals(frame: Frame) -> Expressions:
        image = frame.factor.subs(scaled) * score_scale[frame.prediction]
        return (
            frame.scale.subs(scaled) - c * frame.scale,
            frame.clock.subs(scaled) - frame.clock,
            frame.output_scale.subs(scaled) - c * frame.output_scale,
            image - frame.factor,
        )

    invariant = (DATA, NOISE, NOISE_RHO, VARIANCE)
    velocity = FRAMES["velocity"]
    return Proof(
        zero=tuple(e for frame in invariant for e in residuals(frame)),
        nonzero=(
            velocity.scale.subs(scaled) - c * velocity.scale,
            *(sp.diff(w, a1) for w in find("li-accelerated-ode").weights[1]),
        ),
    )


CLAIMS: tuple[Claim, ...] = (
    *map(frame_claim, FRAMES.values()),
    predictions,
    moments,
    *map(schedule_claim, SCHEDULES),
    scale_invariance,
)
