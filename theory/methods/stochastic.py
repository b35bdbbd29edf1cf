"""Stochastic samplers: DDPM and DDIM's family, SDE-DPM-Solver++, SA-Solver, SEEDS, Li et al.

Their coefficients are exact; the numeric side does not run them, and they are not part of METHODS.
"""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from ..exponential import collapsed, exact
from ..method import NOW, Row, past, stage
from ..notation import c2, eta, h, tau2
from ..phi import phi
from ..stochastic import NOISY_DATA, NOISY_NOISE, Sampler

HALF = sp.Rational(1, 2)
MIDDLE_VALUE = collapsed(at=HALF)
ONE_NODE = Row((NOW,), exact)

SA_SOLVER_1 = Sampler(
    name="sa-solver-1",
    frame=NOISY_DATA,
    strength=tau2,
    rows=(ONE_NODE,),
    order=1,
    cite="xue2023sasolver",
    summary="Hold the data prediction over the step; the noise is exact.",
)

SDE_DPM_SOLVER_PP_1 = Sampler(
    name="sde-dpm-solver++-1",
    frame=NOISY_DATA,
    strength=sp.S.One,
    rows=(Row((NOW,), published=(2 * h * phi(1, -2 * h),)),),
    order=1,
    cite="lu2022dpmsolverpp",
    summary="DDPM: the data prediction held over the step of the reverse SDE.",
)

# sqrt(sigma'^2 - s^2)/sigma' for the noise s = eta (sigma'/sigma) sqrt(1 - alpha^2/alpha'^2).
_kept = sp.sqrt(1 - eta**2 * 2 * h * phi(1, -2 * h))

DDIM_ETA = Sampler(
    name="ddim-eta",
    frame=NOISY_NOISE,
    strength=eta**2,
    rows=(Row((NOW,), published=(phi(0, h) - _kept,)),),
    covariances=((phi(0, -2 * h) * eta**2 * 2 * h * phi(1, -2 * h),),),
    order=1,
    cite="song2021ddim",
    summary="DDIM's non-Markovian family: part of the noise prediction is replaced by fresh noise.",
)

SEEDS_1 = Sampler(
    name="seeds-1",
    frame=NOISY_NOISE,
    strength=sp.S.One,
    rows=(Row((NOW,), published=(2 * h * phi(1, h),)),),
    order=1,
    cite="gonzalez2023seeds",
    summary="Hold the noise prediction over the step of the reverse SDE; the noise is exact.",
)

SDE_DPM_SOLVER_PP_2M = Sampler(
    name="sde-dpm-solver++-2m",
    frame=NOISY_DATA,
    strength=tau2,
    rows=(Row((NOW, past(1)), MIDDLE_VALUE),),
    order=2,
    cite="lu2022dpmsolverpp",
    summary="The line through two data predictions, taken at the middle of the step; the noise is exact.",
    start=SA_SOLVER_1,
)

SA_SOLVER_2 = Sampler(
    name="sa-solver-2",
    frame=NOISY_DATA,
    strength=tau2,
    rows=(Row((NOW, past(1)), exact),),
    order=2,
    cite="xue2023sasolver",
    summary="The line through two data predictions, integrated exactly; the noise is exact.",
    start=SA_SOLVER_1,
)

SA_SOLVER_3 = Sampler(
    name="sa-solver-3",
    frame=NOISY_DATA,
    strength=tau2,
    rows=(Row((NOW, past(1), past(2)), exact),),
    order=2,
    cite="xue2023sasolver",
    summary="The parabola through three data predictions: of order 3 without noise, of weak order 2 with any.",
    start=SA_SOLVER_2,
)

SDE_DPM_SOLVER_PP_2S = Sampler(
    name="sde-dpm-solver++-2s",
    frame=NOISY_DATA,
    strength=tau2,
    rows=(Row((NOW,), exact, to=c2), Row((NOW, stage(1)), MIDDLE_VALUE)),
    order=2,
    cite="lu2022dpmsolverpp",
    summary="A stage inside the step, and the line through both predictions at the middle; one path of noise.",
)

SDE_DPM_SOLVER_PP_2S_INDEPENDENT = replace(
    SDE_DPM_SOLVER_PP_2S,
    name="sde-dpm-solver++-2s-independent",
    covariances=(
        (SDE_DPM_SOLVER_PP_2S.variance(c2),),
        (sp.S.Zero, SDE_DPM_SOLVER_PP_2S.variance(sp.S.One)),
    ),
    order=1,
    summary="As sde-dpm-solver++-2s, with a noise of the end that knows nothing of the stage's.",
)

_gain = h * phi(1, h)  # e^h - 1

SEEDS_2 = Sampler(
    name="seeds-2",
    frame=NOISY_NOISE,
    strength=sp.S.One,
    rows=(
        Row((NOW,), published=(2 * c2 * h * phi(1, c2 * h),), to=c2),
        Row((NOW, stage(1)), published=((2 - 1 / c2) * _gain, _gain / c2)),
    ),
    order=2,
    cite="gonzalez2023seeds",
    summary="A stage inside the step, and the line through both noise predictions at the middle; one path of noise.",
)

# As in the authors' code, which has c2 and 1 - c2 exchanged in the end's shares of both noises: variances are right,
# but the end meets the stage with e^{-h} sqrt((e^{2 c2 h} - 1)(e^{2 (1 - c2) h} - 1)). At c2 = 1/2 nothing changes.
_fifth = sp.Rational(1, 5)
_first, _second = 2 * _fifth * h, 2 * (1 - _fifth) * h

SEEDS_2_PUBLISHED = replace(
    SEEDS_2,
    name="seeds-2-published",
    rows=tuple(
        replace(row, to=to, published=tuple(b.subs(c2, _fifth) for b in row.published or ()))
        for row, to in zip(SEEDS_2.rows, (_fifth, 1), strict=True)
    ),
    covariances=(
        (SEEDS_2.variance(_fifth),),
        (
            phi(0, -h) * h * sp.sqrt(_first * _second / h**2 * phi(1, _first) * phi(1, _second)),
            SEEDS_2.variance(sp.S.One),
        ),
    ),
    order=1,
    summary="SEEDS-2 at c2 = 1/5 with the noise of the authors' code.",
)

_li_variance = 2 * h * phi(1, -2 * h)  # the step -b_t/alpha^2 in rho^2, over the rho^2 at its start

LI_DDPM = Sampler(
    name="li-ddpm",
    frame=NOISY_NOISE,
    strength=sp.S.One,
    rows=(Row((NOW,), published=(phi(0, h) * _li_variance,)),),
    order=1,
    cite="li2024accelerating",
    summary="Hold alpha times the score over the step in rho^2, with as much fresh noise.",
)

LI_ACCELERATED_SDE = Sampler(
    name="li-accelerated-sde",
    frame=NOISY_NOISE,
    strength=sp.S.One,
    rows=(Row((), to=0, published=()), Row((stage(1),), published=(phi(0, h) * _li_variance,))),
    covariances=((_li_variance / 2,), (_li_variance / 2, _li_variance)),
    order=1,
    cite="li2024accelerating",
    summary="Half the noise is added before the score is taken, half after; order 2 in law on Gaussians only.",
)

# All but sa-solver-3, whose proof with every symbol free takes half a minute.
SAMPLERS: tuple[Sampler, ...] = (
    DDIM_ETA,
    SDE_DPM_SOLVER_PP_1,
    SA_SOLVER_1,
    SEEDS_1,
    SDE_DPM_SOLVER_PP_2M,
    SA_SOLVER_2,
    SDE_DPM_SOLVER_PP_2S,
    SDE_DPM_SOLVER_PP_2S_INDEPENDENT,
    SEEDS_2,
    SEEDS_2_PUBLISHED,
    LI_DDPM,
    LI_ACCELERATED_SDE,
)
