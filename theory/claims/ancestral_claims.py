"""Ancestral samplers, ER-SDE and iPNDM_v: their records are what the libraries' code computes."""

from __future__ import annotations

import sympy as sp

from ..methods import find
from ..methods.ancestral import DPM_2_ANCESTRAL, DPMPP_2S_ANCESTRAL, EULER_ANCESTRAL_RF
from ..methods.er_sde import ER_SDE_2, ER_SDE_3
from ..methods.sde import tau
from ..notation import ALPHA_RATIO, h, r
from .claim import Claim, Proof, claim

E = sp.exp(-h)  # sigma'/sigma where alpha = 1; all below in units of sigma'


@claim(
    "ancestral-two-stage",
    "At $eta = 1$ the ancestral two-stage samplers of k-diffusion step to $sigma_down = sigma'^2/sigma$ with their "
    "inner output at $sigma'$, and add noise of variance $sigma'^2 - sigma_down^2$: dpm-2-ancestral and "
    "dpmpp-2s-ancestral.",
    "lu2022dpmsolver",
)
def ancestral_two_stage() -> Proof:
    """The ancestral two-stage samplers of k-diffusion.

    Both updates are written in units of $sigma'$, with the two outputs as symbols, and equal the rows of the records;
    the variance of the noise and $sigma sigma_down = sigma'^2$ agree. The two samplers differ from each other.
    """
    x, e1, e2 = sp.symbols("x e1 e2")  # over sigma', and the two noise predictions
    sigma, down = 1 / E, E
    inner = x + (1 - sigma) * e1  # both start with Euler's step to sigma'
    middle = x + (down - sigma) * e2  # DPM-Solver-2
    denoised = inner - e2  # at sigma'
    data = E**2 * x + (1 - E**2) * denoised  # DPM-Solver++(2S), e^{-2h} = sigma_down/sigma
    zero: list[sp.Expr] = []
    for method, theirs in ((DPM_2_ANCESTRAL, middle), (DPMPP_2S_ANCESTRAL, data)):
        first, last = method.applied
        given = (e1, e2)[-len(last) :]
        # in the noise frame a row is x/alpha less sigma' times its weights
        zero += [x - first[0] * e1 - inner, x - sum(w * e for w, e in zip(last, given, strict=True)) - theirs]
        zero += [sum(a.factor**2 * a.variance for a in method.amplitudes(1)) - (1 - down**2), sigma * down - 1]
    return Proof(tuple(zero), nonzero=(middle - data,))


@claim(
    "euler-ancestral-rf",
    "On a flow, $alpha = 1 - sigma$, Euler's step in $sigma$ to $sigma'^2/sigma$, rescaled by $alpha'/alpha_down$ and "
    "noised back to $sigma'$, is euler-ancestral-rf; its noise is that of DDIM$(eta = 1)$ to first order in $h$ "
    "only.",
    "lipman2023flow",
)
def euler_ancestral_rf() -> Proof:
    """Euler ancestral on a rectified flow.

    Step, rescaling and noise are written by $sigma$ and $sigma'$ and equal the mean and the variance of the record. In
    $rho$ the level stepped to is not $rho'^2/rho$, as it would be for DDIM$(eta = 1)$.
    """
    now, end, x, eps = sp.symbols("sigma_n sigma_end x eps", positive=True)
    down = end**2 / now
    rho, next_rho, down_rho = now / (1 - now), end / (1 - end), down / (1 - down)
    clean = (x - now * eps) / (1 - now)
    stepped = down / now * x + (1 - down / now) * clean
    scaled = stepped * (1 - end) / (1 - down)
    noise = end**2 - down**2 * (1 - end) ** 2 / (1 - down) ** 2
    on_flow = {h: sp.log(rho / next_rho), ALPHA_RATIO: (1 - now) / (1 - end)}
    ((weight,),) = EULER_ANCESTRAL_RF.applied
    (amplitude,) = EULER_ANCESTRAL_RF.amplitudes(0)
    ours = (1 - end) / (1 - now) * x - end * weight.rewrite(sp.exp).subs(on_flow) * eps
    variance = amplitude.factor**2 * amplitude.variance.rewrite(sp.exp).subs(on_flow)
    return Proof(
        (sp.simplify(ours - scaled), sp.simplify(end**2 * variance - noise)),
        nonzero=(down_rho / next_rho - next_rho / rho,),
    )


@claim(
    "res-multistep-ancestral",
    "ComfyUI's res_multistep_ancestral at $eta = 1$ is SA-Solver (P2) at $tau = 1$: $H = 2h$, $c = -r$, and the "
    "weights $H (phi_1(-H) - phi_2(-H)/c)$ and $H phi_2(-H)/c$.",
    "zhang2023res",
)
def res_multistep_ancestral() -> Proof:
    """res_multistep_ancestral is SA-Solver at tau = 1.

    The two weights, with the phi functions written out, equal the record's at $tau = 1$; at $tau = 0$ they do not.
    """
    whole, line = 1 - E**2, (sp.exp(-2 * h) - 1 + 2 * h) / (2 * h)
    published = (whole + line / r[0], -line / r[0])
    ours = [w.subs(tau, 1) for w in find("comfyui:res_multistep_ancestral").applied[0]]
    other = [w.subs(tau, 0) for w in find("sa-solver-2").applied[0]]
    return Proof(tuple(a - b for a, b in zip(ours, published, strict=True)), nonzero=(other[0] - published[0],))


@claim(
    "er-sde-published",
    "With the noise scale function $rho^{1 + tau^2}$ ER-SDE-Solver-2 and -3 are $x/alpha phi(rho')/phi(rho)$ and the "
    "data prediction's Newton interpolant in $rho$, integrated exactly against it; the third has half the second "
    "difference.",
    "cui2023ersde",
)
def er_sde_published() -> Proof:
    """ER-SDE-Solver as published.

    The integrals of $s^{-(1 + tau^2)}$ times 1 and times $s - rho$ are inserted into Newton's interpolant through two
    and through three outputs; the weights equal the records'. Those of the two solvers differ.
    """
    # rho' = 1; integrals of s^-(1 + tau^2) and of (s - rho) s^-(1 + tau^2) from 1 to rho = e^h.
    rho = sp.exp(h)
    power = sp.exp(-(tau**2) * h)
    inner = (1 - power) / tau**2
    moment = (sp.exp((1 - tau**2) * h) - 1) / (1 - tau**2) - rho * inner
    at = [rho, rho * sp.exp(r[0] * h), rho * sp.exp((r[0] + r[1]) * h)]
    newest, middle, oldest = (sp.Matrix([[int(i == j) for j in range(3)]]) for i in range(3))
    slope = (newest - middle) / (at[0] - at[1])
    bend = (slope - (middle - oldest) / (at[1] - at[2])) / ((at[0] - at[2]) / 2)
    first = (1 - E * power) * newest + (1 - rho + inner) * slope
    second = first + ((1 - rho) ** 2 / 2 + moment) * bend
    pairs = list(zip(ER_SDE_2.applied[0], first[:2], strict=True)) + list(zip(ER_SDE_3.applied[0], second, strict=True))
    return Proof(tuple(a - b for a, b in pairs), nonzero=(second[0] - first[0],))


@claim(
    "ipndm-v-published",
    "iPNDM_v as coded is right with two outputs. With three a bracket closes too late: its weights agree with "
    "deis-rhoab2 at equal steps only. With four the weights sum to the step only where $r_1/r_2 = r_2/r_3$, and they "
    "are not Adams-Bashforth 4 even at equal steps: 57, $-65$, 43, $-11$ over 24. deis-rhoab2 and deis-rhoab3 are the "
    "repair.",
    "zhou2024amed",
)
def ipndm_v() -> Proof:
    """iPNDM_v as coded, and its repair.

    The weights as coded, at step ratios 1, are compared with those of the exact rule: with three outputs they agree
    there, and not elsewhere. With four they are the four numbers of the statement, which differ from the exact rule's,
    and their sum less the step vanishes at $r_3 = r_2^2/r_1$, and not for every ratio.
    """

    def at_equal(weights: tuple[sp.Expr, ...]) -> list[sp.Expr]:
        return [w.subs(dict.fromkeys(r, 1)) / h for w in weights]

    three, four = (find(f"ipndm-v-{q}-published").weights[0] for q in (3, 4))
    right3, right4 = find("deis-rhoab2").weights[0], find("deis-rhoab3").weights[0]
    excess = sp.factor(sum(four) / h - 1)
    coded = [sp.Rational(n, 24) for n in (57, -65, 43, -11)]
    return Proof(
        zero=(
            *(a - b for a, b in zip(at_equal(three), at_equal(right3), strict=True)),
            *(a - b for a, b in zip(at_equal(four), coded, strict=True)),
            sum(three) - h,
            excess.subs(r[2], r[1] ** 2 / r[0]),
        ),
        nonzero=(three[0] - right3[0], at_equal(four)[0] - at_equal(right4)[0], excess),
    )


CLAIMS: tuple[Claim, ...] = (
    *(ancestral_two_stage, euler_ancestral_rf, res_multistep_ancestral),
    *(er_sde_published, ipndm_v),
)
