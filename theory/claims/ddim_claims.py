"""DDIM in all its guises."""

from __future__ import annotations

import sympy as sp

from ..exponential import one_node
from ..frames import DATA, NOISE, NOISE_RHO, NOISE_T, VARIANCE, Frame
from ..methods import find
from ..notation import alpha, dalpha, dsigma, eps, h, next_alpha, next_sigma, sigma, x0
from ..prediction_formulas import DEFINITION
from .claim import Claim, Proof, claim

POSITION = alpha * x0 + sigma * eps  # x in terms of what a one-step method holds fixed


def in_alpha_sigma(expression: sp.Expr, clock: sp.Expr) -> sp.Expr:
    """Write h as the difference of the clock between (alpha, sigma) and (alpha', sigma')."""
    end = {alpha: next_alpha, sigma: next_sigma}
    step = sp.expand_log(clock.subs(end) - clock)
    return sp.sympify(expression).rewrite(sp.exp).subs(h, step)


def one_step(frame: Frame, weight: sp.Expr) -> sp.Expr:
    """x at the end of a step of the one-row method with this weight, in terms of x0, eps."""
    end = {alpha: next_alpha, sigma: next_sigma}
    carry = frame.scale.subs(end) / frame.scale
    output = frame.output_scale.subs(end) * frame.factor * DEFINITION[frame.prediction]
    return carry * POSITION + output * in_alpha_sigma(weight, frame.clock)


def ddim_in(frame: Frame) -> sp.Expr:
    """The one-node rule; where the weight is drho/dt its moment is the change of rho."""
    if frame.rate is not None:
        return one_step(frame, next_sigma / next_alpha - sigma / alpha)
    return one_step(frame, one_node(frame.kappa))


@claim(
    "ddim-one-formula",
    "DDIM is the one-node rule in the data frame, in the noise frame, in $t$, and Euler's step in $rho$: $x' = alpha' "
    "x0hat + sigma' epshat$.",
    "song2021ddim",
)
def ddim_one_formula() -> Proof:
    """DDIM is one formula in four frames.

    The step of each one-node rule is written by $x_0$ and $eps$, with $h$ as the difference of the clock between the
    two levels; less $alpha' x0hat + sigma' epshat$ it is zero in all four frames. The rule of the variance frame is
    another one, and so is Euler's step in the velocity frame, except on the linear flow.
    """
    formula = next_alpha * x0 + next_sigma * eps
    # Euler in the velocity frame is another sampler unless the interpolant is linear in t.
    duration = sp.Symbol("duration", real=True)
    euler = POSITION + duration * DEFINITION["velocity"]
    linear = {dalpha: (next_alpha - alpha) / duration, dsigma: (next_sigma - sigma) / duration}
    return Proof(
        zero=(*(ddim_in(f) - formula for f in (DATA, NOISE, NOISE_RHO, NOISE_T)), euler.subs(linear) - formula),
        nonzero=(euler - formula, ddim_in(VARIANCE) - formula),
    )


@claim(
    "ddim-names",
    "edm-euler, dpm-solver-1 and dpm-solver++-1 as published are ddim; exp-adams-1, exp-adams-noise-1, unip-1, "
    "deis-tab0 and deis-rhoab0 are the one-node rules of their frames.",
    "lu2022dpmsolver",
)
def ddim_names() -> Proof:
    """Other names of DDIM.

    The published updates of DPM-Solver-1, DPM-Solver++(1) and EDM's Euler step are written by $x_0$ and $eps$, EDM's at
    $alpha = 1$; each equals $alpha' x_0 + sigma' eps$. The other names are records with one node and the exact rule, so
    that [DDIM is one formula](#claim-ddim-one-formula) covers them.
    """
    formula = next_alpha * x0 + next_sigma * eps
    step = sp.log(next_alpha / next_sigma) - sp.log(alpha / sigma)
    gain = sp.exp(sp.expand_log(step))
    dpm_solver_1 = next_alpha / alpha * POSITION - next_sigma * (gain - 1) * eps
    dpm_solver_pp_1 = next_sigma / sigma * POSITION - next_alpha * (1 / gain - 1) * x0
    edm = {alpha: 1, next_alpha: 1}
    edm_euler = (POSITION + (next_sigma - sigma) * (POSITION - x0) / sigma).subs(edm)
    return Proof((dpm_solver_1 - formula, dpm_solver_pp_1 - formula, edm_euler - formula.subs(edm)))


@claim(
    "ddim-angle",
    "On a variance-preserving schedule $alpha = cos$, $sigma = sin$ of an angle, a DDIM step by the angle $d$ is $x' "
    "= cos(d) x - sin(d) v$ with $v = alpha epshat - sigma x0hat$.",
    "salimans2022progressive",
)
def ddim_angle() -> Proof:
    """DDIM as a rotation.

    Both sides are written by $x_0$, $eps$ and the angle; the formulas for the sine and the cosine of a difference make
    them equal.
    """
    angle, d = sp.symbols("angle d", real=True)
    here = {alpha: sp.cos(angle), sigma: sp.sin(angle)}
    v = alpha * eps - sigma * x0
    ddim = sp.cos(angle - d) * x0 + sp.sin(angle - d) * eps
    return Proof((ddim - (sp.cos(d) * POSITION - sp.sin(d) * v).subs(here),))


@claim(
    "edm-heun-trapezoid",
    "EDM's Heun step is the trapezoid rule in $rho$ after a DDIM step.",
    "karras2022edm",
)
def edm_heun() -> Proof:
    """EDM's Heun step is the trapezoid rule.

    The record's first row has the weight $h$, and its second row the weights $h/2$ and $h/2$, with $h$ the step in
    $rho$.
    """
    predictor, corrector = find("edm-heun").weights
    return Proof((predictor[0] - h, corrector[0] - h / 2, corrector[1] - h / 2))


CLAIMS: tuple[Claim, ...] = (ddim_one_formula, ddim_names, ddim_angle, edm_heun)
