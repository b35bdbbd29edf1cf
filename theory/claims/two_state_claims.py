"""Samplers that carry z in another way: BDIA's two states, and the conjugate integrator's linear part."""

from __future__ import annotations

import sympy as sp

from ..methods import find
from ..methods.two_state import b, gamma
from ..notation import TWO_STEP_ALPHA_RATIO, alpha, eps, h, next_alpha, r, x
from ..order import prove_order
from ..phi_functions import rate_moment
from .claim import Claim, Proof, claim

x_before, past_alpha = sp.Symbol("x_before", real=True), sp.Symbol("past_alpha", positive=True)


def bdia_step(share: sp.Expr) -> sp.Expr:
    """x' of our record, from x_{n-1}, x_n and epshat there."""
    method = find("bdia-ddim")
    values = {gamma: share, TWO_STEP_ALPHA_RATIO: past_alpha / next_alpha}
    now, then = (sp.sympify(c).subs(values) for c in method.rows[0].states)
    weight = method.weights[0][0].subs(values)
    return next_alpha * (now * x / alpha + then * x_before / past_alpha + weight * eps)


def ddim_step(to_alpha: sp.Expr, drho: sp.Expr) -> sp.Expr:
    """DDIM's step from x to the scale to_alpha, over a change of rho."""
    return to_alpha * (x / alpha + drho * eps)


@claim(
    "bdia-published",
    "BDIA-DDIM is $x' = gamma x_{n-1} + DDIM(x_n -> n+1) - gamma DDIM(x_n -> n-1)$; with $gamma = 0$ it is DDIM; and "
    "for $gamma > 0$ $x_{n-1}$ follows from $x_n$ and $x'$ alone: the sampler is inverted exactly.",
    "zhang2024bdia",
)
def bdia_published() -> Proof:
    """BDIA-DDIM as published, and its exact inverse.

    The record's step, with both DDIM steps written out, equals the published one, and at $gamma = 0$ DDIM's. Solved for
    $x_{n-1}$ it needs the model at $x_n$ only, and gives $x_{n-1}$ back.
    """
    forward, backward = ddim_step(next_alpha, h), ddim_step(past_alpha, -r[0] * h)
    ours = bdia_step(gamma)
    inverse = (ours - forward) / gamma + backward
    published = gamma * x_before + forward - gamma * backward
    return Proof((ours - published, bdia_step(sp.S.Zero) - forward, inverse - x_before))


@claim(
    "bdia-error",
    "For steps $r = 1 + O(h)$ BDIA-DDIM's local error is $(1 - gamma)$ times DDIM's, and its global error, which the "
    "two states' characteristic polynomial $(zeta - 1)(zeta + gamma)$ divides by $1 + gamma$, $(1 - gamma)/(1 + "
    "gamma)$ times: at $gamma = 1$ it is of order 2. On any grid the share $gamma alpha_{n-1}/alpha_{n+1} = 1/r^2$ "
    "gives order 2.",
    "zhang2024bdia",
)
def bdia_error() -> Proof:
    """The error of BDIA-DDIM, as a multiple of DDIM's.

    The leading defects of both methods, as the proof of their orders finds them, are compared tree by tree, and the
    characteristic polynomial of the carried states is factored. For free $r$ the condition of order 2 of the share $s$
    is $s r^2/2 - 1/2 = 0$, which $s = 1/r^2$ solves and $s = gamma$ does not.
    """
    bdia, ddim = prove_order(find("bdia-ddim")), prove_order(find("bdia-ddim?gamma=0"))
    pairs = zip(bdia.leading_defects, ddim.leading_defects, strict=True)
    ratio = (1 - gamma) / (1 + gamma)
    law = [ours.coefficient / (1 + gamma) - ratio * theirs.coefficient for ours, theirs in pairs]
    zeta, share = sp.symbols("zeta share")
    states = [c.subs(TWO_STEP_ALPHA_RATIO, 1) for c in find("bdia-ddim").rows[0].states]
    characteristic = zeta**2 - states[0] * zeta - states[1]
    # The order condition of [[]] and [1] for any r: c_1 (-r)^2/2 + 0 - 1/2, as the output lies at u_n.
    second = share * r[0] ** 2 / 2 - sp.Rational(1, 2)
    return Proof(
        (*law, characteristic - (zeta - 1) * (zeta + gamma), second.subs(share, 1 / r[0] ** 2)),
        nonzero=(second.subs(share, gamma),),
    )


@claim(
    "lambda-ddim-published",
    "lambda-DDIM-I is Euler's step for $y = e^{b t} x/alpha$, whose flow is $dy = b y dt + e^{b t} epshat drho$, with "
    "the weight of $epshat$ integrated exactly; with $b = 0$ it is DDIM.",
    "pandey2024efficient",
)
def lambda_ddim() -> Proof:
    """lambda-DDIM-I is Euler's step in a damped variable.

    Euler's step for $y$, with the integral of $e^{b t} drho$ as an opaque moment, is taken back to $x$ and equals the
    record's step; at $b = 0$ the moment is the change of $rho$, and the step is DDIM's.
    """
    method = find("lambda-ddim")
    (weight,), (carry,) = method.weights[0], method.rows[0].states
    u = sp.Symbol("u", real=True)
    growth, after = sp.exp(b * u), sp.exp(b * (u + h))
    y = growth * x / alpha
    integral = after * rate_moment(b)  # of e^{b tau} drho over the step, as rate_moment(b) takes out its end
    step = next_alpha / after * (y + b * h * y + integral * eps)
    ours = next_alpha * (carry * x / alpha + weight * eps)
    ddim = next_alpha * (x / alpha + rate_moment(sp.S.Zero) * eps)  # rate_moment(0) is the change of rho
    return Proof((ours - step, ours.subs(b, 0) - ddim))


CLAIMS: tuple[Claim, ...] = (bdia_published, bdia_error, lambda_ddim)
