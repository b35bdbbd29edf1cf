"""Methods with noise: DDPM and DDIM's family, SDE-DPM-Solver, SA-Solver, SEEDS, EDM with churn."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from ..exponential import collapsed, exact
from ..frames import DATA, NOISE
from ..method import Method
from ..noise_model import NO_NOISE, Noise, NoiseModel
from ..notation import ALPHA_RATIO, NOISED_PLACE, c2, churn, h
from ..parameter import Parameter
from ..phi_functions import phi
from ..rows import NOW, Row, past, stage
from .adams import published_3m
from .singlestep import first_stage
from .unipc import middle_bh1

HALF, THIRD = sp.Rational(1, 2), sp.Rational(1, 3)
MIDDLE_VALUE = collapsed(at=HALF)
TAU = Parameter("tau", "root of the strength $tau^2$ of the noise", sp.S.One, sp.Interval(0, sp.oo))
ETA = Parameter("eta", "noise of the non-Markovian family of DDIM: 0 is DDIM, 1 is DDPM", sp.S.One, sp.Interval(0, 1))
CHURN = Parameter(
    "churn",
    "noise that EDM adds anew over a whole run, $S_churn$",
    default=sp.Integer(40),
    domain=sp.Interval(0, sp.oo),
    orders=((sp.S.Zero, 2),),
    latex=r"S_\text{churn}",
    symbol=churn,
)
tau, eta = TAU.symbol, ETA.symbol

# Where a noise model names no noises of rows, they are increments of one path.
OF_STRENGTH_1, OF_STRENGTH_TAU = NoiseModel(), NoiseModel(tau**2)


def with_tau(order_of_flow: int) -> tuple[Parameter, ...]:
    """The strength of the noise, free; at tau = 0 the order is that of the flow's method."""
    return (replace(TAU, orders=((sp.S.Zero, order_of_flow),)),)


# --- DDPM and DDIM's non-Markovian family

_decayed = 2 * h * phi(1, -2 * h)  # 1 - e^{-2h}

DDPM = Method(
    name="ddpm",
    label="DDPM",
    family="ddim",
    frame=DATA,
    noise=OF_STRENGTH_1,
    rows=(Row((NOW,), published=(_decayed,)),),
    order=1,
    cite="ho2020ddpm",
    summary="The posterior of the chain, the data prediction held over the step: the smaller of DDPM's variances.",
    aliases=(
        *("sde-dpm-solver++-1", "diffusers:DDPMScheduler", "diffusers:DDPMParallelScheduler"),
        *("diffusers:DDPMWuerstchenScheduler", "diffusers:UnCLIPScheduler", "comfyui:ddpm"),
    ),
    provenance="published; proved to be the posterior (claim ddpm-names)",
)

# The variance of the step of the chain itself, sigma^2 - (alpha/alpha')^2 sigma'^2, in place of the posterior's.
DDPM_LARGE = replace(
    DDPM,
    name="ddpm-large",
    label="DDPM (larger variance)",
    summary="DDPM with the larger of its variances, that of the chain's own step.",
    aliases=(),
    noise=NoiseModel(rows=(Noise(ALPHA_RATIO**2 * 2 * h * phi(1, 2 * h)),)),
)

# sqrt(sigma'^2 - s^2)/sigma' for the noise s = eta (sigma'/sigma) sqrt(1 - alpha^2/alpha'^2); then
# e^h - kept without cancellation.
_fresh = eta**2 * _decayed
_kept = sp.sqrt(1 - _fresh)

DDIM_ETA = Method(
    name="ddim-eta",
    label="DDIM(eta)",
    family="ddim",
    frame=NOISE,
    rows=(Row((NOW,), published=(h * phi(1, h) + _fresh / (1 + _kept),)),),
    noise=NoiseModel(eta**2, (Noise(_fresh),)),
    order=1,
    cite="song2021ddim",
    summary="DDIM's non-Markovian family: part of the noise prediction is replaced by fresh noise; eta = 1 is DDPM.",
    aliases=(
        *("euler-ancestral", "k-diffusion:sample_euler_ancestral", "diffusers:EulerAncestralDiscreteScheduler"),
        "comfyui:euler_ancestral",
    ),
    provenance="published; read in the code of DDIM and of k-diffusion (claim ddim-eta-published)",
    parameters=(ETA,),
)

# --- SDE-DPM-Solver and SDE-DPM-Solver++, SA-Solver

SA_SOLVER_1 = Method(
    name="sa-solver-1",
    label="SA-Solver (P1)",
    family="sa-solver",
    frame=DATA,
    noise=OF_STRENGTH_TAU,
    rows=(Row((NOW,), exact),),
    order=1,
    cite="xue2023sasolver",
    summary="Hold the data prediction over the step of the SDE; the noise is exact.",
    parameters=(TAU,),
)

SDE_DPM_SOLVER_1 = replace(
    SA_SOLVER_1,
    name="sde-dpm-solver-1",
    label="SDE-DPM-Solver-1",
    family="sde-dpm-solver",
    frame=NOISE,
    cite="lu2022dpmsolverpp",
    summary="Hold the noise prediction over the step of the SDE; the noise is exact.",
    aliases=("seeds-1",),
)

SDE_DPM_SOLVER_2M = replace(
    SDE_DPM_SOLVER_1,
    name="sde-dpm-solver-2m",
    label="SDE-DPM-Solver(2M)",
    rows=(Row((NOW, past(1)), MIDDLE_VALUE),),
    order=2,
    summary="The line through two noise predictions, taken at the middle of the step; the noise is exact.",
    aliases=(),
    start=SDE_DPM_SOLVER_1,
)

SDE_DPM_SOLVER_PP_2M = Method(
    name="sde-dpm-solver++-2m",
    label="SDE-DPM-Solver++(2M)",
    family="sde-dpm-solver++",
    frame=DATA,
    noise=OF_STRENGTH_TAU,
    rows=(Row((NOW, past(1)), MIDDLE_VALUE),),
    order=2,
    cite="lu2022dpmsolverpp",
    summary="The line through two data predictions, taken at the middle of the step; the noise is exact.",
    aliases=(
        *("sde-dpm-solver++-2m-midpoint", "k-diffusion:sample_dpmpp_2m_sde", "comfyui:dpmpp_2m_sde"),
        *("diffusers:CogVideoXDPMScheduler", "diffusers:CosineDPMSolverMultistepScheduler"),
    ),
    start=SA_SOLVER_1,
    parameters=(TAU,),
)

SA_SOLVER_2 = replace(
    SA_SOLVER_1,
    name="sa-solver-2",
    label="SA-Solver (P2)",
    rows=(Row((NOW, past(1)), exact),),
    order=2,
    summary="The line through two data predictions, integrated exactly; the noise is exact.",
    aliases=(
        *("sde-dpm-solver++-2m-heun", "comfyui:dpmpp_2m_sde_heun"),
        "comfyui:res_multistep_ancestral",
    ),
    start=SA_SOLVER_1,
)

SA_SOLVER_3 = replace(
    SA_SOLVER_1,
    name="sa-solver-3",
    label="SA-Solver (P3)",
    rows=(Row((NOW, past(1), past(2)), exact),),
    order=2,
    summary="The parabola through three data predictions: of order 3 without noise, of weak order 2 with any.",
    aliases=("sde-dpm-solver++-3m",),
    start=SA_SOLVER_2,
    parameters=with_tau(3),
)

SDE_DPM_SOLVER_PP_3M_PUBLISHED = replace(
    SDE_DPM_SOLVER_PP_2M,
    name="sde-dpm-solver++-3m-published",
    label="SDE-DPM-Solver++(3M), published",
    rows=(Row((NOW, past(1), past(2)), published=published_3m((1 + tau**2) * h)),),
    summary="The three-step method as k-diffusion has it, with half the second divided difference.",
    aliases=("k-diffusion:sample_dpmpp_3m_sde", "comfyui:dpmpp_3m_sde"),
    start=SA_SOLVER_2,
    provenance="published; read in the code of k-diffusion",
)


def corrected(p: int, s: int, order: int, flow: int, start: Method | None) -> Method:
    """SA-Solver: p outputs predict, and s of them with the one at the predicted point correct, with the same noise."""
    known = (NOW, *(past(k) for k in range(1, max(p, s))))
    return replace(
        SA_SOLVER_1,
        name=f"sa-solver-p{p}c{s}",
        label=f"SA-Solver (P{p}C{s})",
        rows=(Row(known[:p], exact), Row((*known[:s], stage(1)), exact, evaluated=False)),
        order=order,
        summary=f"SA-Solver's {p}-step predictor and {s}-step corrector, which has the predictor's noise and one "
        "output more; no correction in the last step.",
        start=start,
        parameters=with_tau(flow),
    )


SA_SOLVER_P1C1 = corrected(1, 1, 2, 2, None)
SA_SOLVER_P2C1 = corrected(2, 1, 2, 2, SA_SOLVER_P1C1)
SA_SOLVER_P2C2 = corrected(2, 2, 2, 3, SA_SOLVER_P1C1)
SA_SOLVER_P3C3 = corrected(3, 3, 2, 4, SA_SOLVER_P2C2)

# The mode `few_steps` of its authors, which they recommend, and diffusers: a line through two outputs is rescaled as
# UniPC's is with B(h) = h, its slope taken as if at the middle of the step; a parabola is integrated exactly.
_READ = "published; read in the code of SA-Solver (its mode few_steps) and of diffusers"


def few_steps(exactly: Method, start: Method | None, lines: str, aliases: tuple[str, ...] = ()) -> Method:
    """The sampler with its lines, which are its rows of two nodes, rescaled.  lines: which these are."""
    rows = tuple(replace(row, rule=middle_bh1) if len(row.nodes) == 2 else row for row in exactly.rows)
    return replace(
        exactly,
        name=f"{exactly.name}-few-steps",
        label=exactly.label.replace(")", ", few steps)"),
        rows=rows,
        summary=f"As {exactly.name}, rescaled as its authors recommend for few steps: {lines} has its slope at the "
        "middle of the step.",
        aliases=aliases,
        start=start,
        provenance=_READ,
    )


SA_SOLVER_2_FEW_STEPS = few_steps(SA_SOLVER_2, SA_SOLVER_1, "the line")
SA_SOLVER_P1C1_FEW_STEPS = few_steps(SA_SOLVER_P1C1, None, "the corrector's line")
SA_SOLVER_P2C1_FEW_STEPS = few_steps(
    *(SA_SOLVER_P2C1, SA_SOLVER_P1C1_FEW_STEPS, "every line"),
    aliases=("diffusers:SASolverScheduler",),
)
SA_SOLVER_P2C2_FEW_STEPS = few_steps(SA_SOLVER_P2C2, SA_SOLVER_P1C1_FEW_STEPS, "the predictor's line")
SA_SOLVER_P3C2_FEW_STEPS = replace(
    corrected(3, 2, 2, 3, SA_SOLVER_P2C2_FEW_STEPS),
    name="sa-solver-p3c2-few-steps",
    label="SA-Solver (P3C2, few steps)",
    summary="SA-Solver's 3-step predictor and 2-step corrector, started as its authors recommend for few steps.",
    provenance=_READ,
)
SA_SOLVER_P3C3_FEW_STEPS = few_steps(SA_SOLVER_P3C3, SA_SOLVER_P2C2_FEW_STEPS, "a line of its start")

# --- stages inside the step

SDE_DPM_SOLVER_PP_2S = Method(
    name="sde-dpm-solver++-2s",
    label="SDE-DPM-Solver++(2S)",
    family="sde-dpm-solver++",
    frame=DATA,
    noise=OF_STRENGTH_TAU,
    rows=(Row((NOW,), exact, to=c2), Row((NOW, stage(1)), MIDDLE_VALUE)),
    order=2,
    cite="lu2022dpmsolverpp",
    summary="A stage inside the step, and the line through both predictions at the middle; one path of noise.",
    aliases=("comfyui:seeds_2",),
    parameters=(first_stage("r", HALF), TAU),
)

SDE_DPM_SOLVER_PP_2S_TAYLOR = replace(
    SDE_DPM_SOLVER_PP_2S,
    name="sde-dpm-solver++-2s-taylor",
    since="0.2.0",
    label="SDE-DPM-Solver++(2S, Taylor)",
    rows=(Row((NOW,), exact, to=c2), Row((NOW, stage(1)), exact)),
    summary="A stage inside the step, and the line through both predictions integrated exactly; one path of noise.",
    aliases=(),
)

# k-diffusion draws both noises, each normalised, from one path W in sigma: the covariance of the two is
# sqrt(V(c2) V(1) (1 - e^{-c2 h})/(1 - e^{-h})). The fresh part of the end's variance is
# (e^{-c2 h} - e^{-h})/(1 - e^{-h}).
_stage, _end = (2 * c * h * phi(1, -2 * c * h) for c in (c2, sp.S.One))
_met = phi(1, -c2 * h) / phi(1, -h) * phi(1, -2 * h) / phi(1, -2 * c2 * h)
_left = (1 - c2) * phi(0, -c2 * h) * phi(1, -(1 - c2) * h) / phi(1, -h)

DPMPP_SDE = Method(
    name="dpmpp-sde",
    label="DPM++ SDE",
    family="sde-dpm-solver++",
    frame=DATA,
    rows=SDE_DPM_SOLVER_PP_2S.rows,
    noise=NoiseModel(rows=(Noise(_stage), Noise(_end * _left, (sp.sqrt(_met),)))),
    order=2,
    cite="lu2022dpmsolverpp",
    summary="k-diffusion's two-stage SDE-DPM-Solver++ at eta = 1, its noises from one path in sigma.",
    aliases=("k-diffusion:sample_dpmpp_sde", "comfyui:dpmpp_sde", "diffusers:DPMSolverSDEScheduler"),
    provenance="published; read in the code of k-diffusion",
    parameters=(first_stage("r", HALF),),
)

_gain = h * phi(1, h)  # e^h - 1


def _seeds_stage(c: sp.Expr) -> sp.Expr:
    """2 (e^{c h} - 1)"""
    return 2 * c * h * phi(1, c * h)


SEEDS_2 = Method(
    name="seeds-2",
    label="SEEDS-2",
    family="seeds",
    frame=NOISE,
    noise=OF_STRENGTH_1,
    rows=(
        Row((NOW,), published=(_seeds_stage(c2),), to=c2),
        Row((NOW, stage(1)), published=((2 - 1 / c2) * _gain, _gain / c2)),
    ),
    order=2,
    cite="gonzalez2023seeds",
    summary="A stage inside the step, and the line through both noise predictions at the middle; one path of noise.",
    provenance="published; read in the code of SEEDS, the noise made consistent",
    parameters=(first_stage("c2", HALF),),
)

_second = 8 * THIRD * h * phi(2, 2 * THIRD * h)  # 2 (r2/r1) ((e^{r2 h} - 1)/(r2 h) - 1) r2 h/(r2 h)
_third = 3 * h * phi(2, h)

SEEDS_3 = replace(
    SEEDS_2,
    name="seeds-3",
    label="SEEDS-3",
    rows=(
        Row((NOW,), published=(_seeds_stage(THIRD),), to=THIRD),
        Row((NOW, stage(1)), published=(_seeds_stage(2 * THIRD) - _second, _second), to=2 * THIRD),
        Row((NOW, stage(2)), published=(2 * _gain - _third, _third)),
    ),
    summary="Stages at 1/3 and 2/3, the line through the first and the last noise prediction; one path of noise.",
    parameters=(),
)

SEEDS_3_DATA = Method(
    name="seeds-3-data",
    since="0.2.0",
    label="SEEDS-3, data",
    family="seeds",
    frame=DATA,
    noise=OF_STRENGTH_TAU,
    rows=(
        Row((NOW,), exact, to=THIRD),
        Row((NOW, stage(1)), exact, to=2 * THIRD),
        Row((NOW, stage(2)), exact),
    ),
    order=2,
    cite="gonzalez2023seeds",
    summary="SEEDS-3 on data predictions: the line through the first and the last one; one path of noise.",
    aliases=("comfyui:seeds_3",),
    parameters=with_tau(3),
)

# --- EDM with churn: noise is added, and the flow followed from there

_whole = (1 - NOISED_PLACE) * h * phi(1, (1 - NOISED_PLACE) * h)  # rho_hat/rho' - 1

EDM_CHURN = Method(
    name="edm-churn",
    label="EDM with churn",
    family="edm",
    frame=NOISE,
    rows=(
        Row((), published=(), to=NOISED_PLACE),
        Row((stage(1),), published=(_whole,)),
        Row((stage(1), stage(2)), published=(_whole / 2, _whole / 2)),
    ),
    noise=NoiseModel(-NOISED_PLACE, (Noise(-2 * NOISED_PLACE * h * phi(1, 2 * NOISED_PLACE * h)), NO_NOISE, NO_NOISE)),
    order=1,
    law_order=2,
    gaussian_order=2,
    cite="karras2022edm",
    summary="Noise of min(S_churn/N, sqrt 2 - 1) of sigma is added, then Heun's step in rho from there.",
    provenance="published; read in the code of EDM",
    parameters=(CHURN,),
)

ALL = (
    *(DDPM, DDPM_LARGE, DDIM_ETA),
    *(SDE_DPM_SOLVER_1, SDE_DPM_SOLVER_2M),
    *(SDE_DPM_SOLVER_PP_2M, SDE_DPM_SOLVER_PP_2S, SDE_DPM_SOLVER_PP_3M_PUBLISHED, DPMPP_SDE),
    *(SA_SOLVER_1, SA_SOLVER_2, SA_SOLVER_3),
    *(SA_SOLVER_P1C1, SA_SOLVER_P2C1, SA_SOLVER_P2C2, SA_SOLVER_P3C3),
    *(SA_SOLVER_2_FEW_STEPS, SA_SOLVER_P1C1_FEW_STEPS, SA_SOLVER_P2C1_FEW_STEPS, SA_SOLVER_P2C2_FEW_STEPS),
    *(SA_SOLVER_P3C2_FEW_STEPS, SA_SOLVER_P3C3_FEW_STEPS),
    *(SEEDS_2, SEEDS_3),
    *(SDE_DPM_SOLVER_PP_2S_TAYLOR, SEEDS_3_DATA),
    EDM_CHURN,
)
