"""The noises of methods: of stages that share a path with the end, of churn, of Li et al.'s samplers."""

from __future__ import annotations

import sympy as sp

from ..method import Method
from ..methods.li_sde import LI_ACCELERATED_SDE, LI_ACCELERATED_SDE_README, LI_CODE_ACCELERATED_SDE, LI_DDPM
from ..methods.sde import (
    DPMPP_SDE,
    EDM_CHURN,
    SDE_DPM_SOLVER_PP_2S,
    SDE_DPM_SOLVER_PP_2S_TAYLOR,
    SEEDS_2,
    SEEDS_3,
    SEEDS_3_DATA,
    tau,
)
from ..notation import ALPHA_RATIO, NOISED_PLACE, alpha, c2, eps, h, next_alpha, next_sigma, rho, score, sigma, x, x0
from .claim import Claim, Proof, claim
from .li_claims import a_t
from .stochastic_claims import in_h, one_step


def audit(method: Method, published: list[list[sp.Expr]]) -> list[sp.Expr]:
    """Covariances of the rows' noises over sigma there, each a sum of independent ones, less those of one path."""
    noise = method.step_noise
    ends, swelling = noise.ends, noise.frame.swelling

    def exact(i: int, j: int) -> sp.Expr:
        return sp.exp(-swelling * (ends[i] + ends[j]) * h) * noise.variance(ends[j])

    return [
        sum(p * q for p, q in zip(published[i], published[j], strict=False)) - exact(i, j).rewrite(sp.exp)
        for i in range(len(ends))
        for j in range(i + 1)
    ]


@claim(
    "noise-audit",
    "The noises of the stages and of the end are those of one path. With the shares $e^{(1-c2)h} sqrt(e^{2 c2 h} - "
    "1)$ and $sqrt(e^{2 (1-c2) h} - 1)$ SEEDS-2 has all covariances of the exact integral; SEEDS-3, with $q e^{kh/3}$ "
    "and $q^2 = e^{2h/3} - 1$, and the two-stage SDE-DPM-Solver++ have theirs, and so have the records. With $c2$ "
    "and $1 - c2$ exchanged the end has the right variance, but not the right covariance with the stage.",
    "gonzalez2023seeds",
)
def noise_audit() -> Proof:
    """The noises of stages are those of one path.

    For each pair of rows the sum of products of the shares of independent noises, less the covariance of the exact
    integral, is zero: for the published shares and for those of five records. With the places exchanged the two
    variances still agree, and the covariance does not.
    """

    def seeds(c: sp.Expr) -> list[list[sp.Expr]]:
        """sigma_u sqrt(e^{2 c2 h} - 1) z1, and the end's shares of both, the step cut at c."""
        end = [sp.exp((1 - c) * h) * sp.sqrt(sp.exp(2 * c * h) - 1), sp.sqrt(sp.exp(2 * (1 - c) * h) - 1)]
        return [[sp.sqrt(sp.exp(2 * c2 * h) - 1)], end]

    q = sp.sqrt(sp.exp(2 * h / 3) - 1)
    thirds = [[sp.exp((i - k) * h / 3) * q for k in range(i + 1)] for i in range(3)]
    # sigma_u sqrt(1 - e^{-2 tau^2 c2 h}) z1 and sigma' (e^{-tau^2 (1-c2) h} … z1 + sqrt(1 - e^{-2 tau^2 (1-c2) h}) z2)
    first, second = (sp.sqrt(1 - sp.exp(-2 * tau**2 * c * h)) for c in (c2, 1 - c2))
    data = [[first], [sp.exp(-(tau**2) * (1 - c2) * h) * first, second]]
    swapped = audit(SEEDS_2, seeds(1 - c2))
    records = [
        audit(method, [[a.value.rewrite(sp.exp) for a in method.amplitudes(i)] for i in range(len(method.rows))])
        for method in (SEEDS_2, SEEDS_3, SDE_DPM_SOLVER_PP_2S, SDE_DPM_SOLVER_PP_2S_TAYLOR, SEEDS_3_DATA)
    ]
    return Proof(
        zero=(
            *audit(SEEDS_2, seeds(c2)),
            *audit(SEEDS_3, thirds),
            *audit(SDE_DPM_SOLVER_PP_2S, data),
            *(e for record in records for e in record),
            swapped[0],
            swapped[2],
        ),
        nonzero=(swapped[1],),
    )


@claim(
    "dpmpp-sde-noise",
    "k-diffusion's two-stage sampler has the rows of SDE-DPM-Solver++(2S) at $tau = 1$ and the variances of its "
    "noises, $sigma_u^2 (1 - e^{-2 c2 h})$ and $sigma'^2 (1 - e^{-2h})$; both are normalised increments of one path "
    "in $sigma$, with the root of $(sigma - sigma_u)/(sigma - sigma')$ as correlation, which is not that of one path "
    "of the SDE.",
    "lu2022dpmsolverpp",
)
def dpmpp_sde_noise() -> Proof:
    """The noises of k-diffusion's DPM++ SDE.

    The record's amplitudes have the stated variances, and the square of their covariance is the product of these and of
    $(1 - e^{-c2 h})/(1 - e^{-h})$. It is not the square of the covariance that one path of the SDE gives.
    """
    (stage,), (met, fresh) = ([a.value.rewrite(sp.exp) for a in DPMPP_SDE.amplitudes(i)] for i in range(2))
    variances = [1 - sp.exp(-2 * c2 * h), 1 - sp.exp(-2 * h)]
    along = (1 - sp.exp(-c2 * h)) / (1 - sp.exp(-h))
    (path_stage,), (path_met, _) = ([a.value for a in SDE_DPM_SOLVER_PP_2S.amplitudes(i)] for i in range(2))
    path = (path_stage * path_met).subs(tau, 1).rewrite(sp.exp)
    return Proof(
        zero=(
            stage**2 - variances[0],
            met**2 + fresh**2 - variances[1],
            (stage * met) ** 2 - along * variances[0] * variances[1],
        ),
        nonzero=((stage * met) ** 2 - path**2,),
    )


@claim(
    "churn",
    "EDM's churn takes $x/alpha$ from $rho$ to $rho_hat = (1 + gamma) rho$ by noise of variance $rho_hat^2 - rho^2$, "
    "as the forward process does, and Heun's step in $rho$ follows: per step $h$ in $lambda$ it is noise of strength "
    "$tau^2 = log(1 + gamma)/h$.",
    "karras2022edm",
)
def churn_noise() -> Proof:
    """EDM's churn as a noise strength.

    The amplitudes of the record's three rows have this variance, over $alpha$; the weights are those of Euler's step
    from $rho_hat$ to $rho'$ and, halved, of the trapezoid rule; the strength times $h$ is $log(1 + gamma)$.
    """
    back = sp.exp(-NOISED_PLACE * h)  # rho_hat/rho = 1 + gamma
    ((before,), (met,), (same,)) = ([a.value for a in EDM_CHURN.amplitudes(i)] for i in range(3))
    euler, heun = EDM_CHURN.applied[1], EDM_CHURN.applied[2]
    rho_end = rho * sp.exp(-h)
    return Proof(
        (
            # over alpha: sigma there is rho_hat, or rho' at the end
            (rho * back) ** 2 * (before**2).rewrite(sp.exp) - (rho**2 * back**2 - rho**2),
            (rho_end * met).rewrite(sp.exp) ** 2 - (rho**2 * back**2 - rho**2),
            met - same,
            rho_end * euler[0].rewrite(sp.exp) - (rho * back - rho_end),
            heun[0] - euler[0] / 2,
            heun[1] - euler[0] / 2,
            EDM_CHURN.strength * h - sp.log(back),
        )
    )


CLEAN = {next_alpha: alpha / sp.sqrt(a_t), sp.exp(-2 * h): (a_t - alpha**2) / (1 - alpha**2)}
PRESERVING = {
    eps: -sp.sqrt(1 - alpha**2) * score,
    x0: (x + (1 - alpha**2) * score) / alpha,
    sigma: sp.sqrt(1 - alpha**2),
}


def on_chain(expression: sp.Expr) -> sp.Expr:
    """An expression in h on Li et al.'s chain, by a and alpha."""
    return sp.expand(expression).subs(CLEAN).subs(PRESERVING)


def squares(method: Method, row: int, scale: sp.Expr) -> list[sp.Expr]:
    """Variances on that chain that a row takes from each noise, in x."""
    variances = [(a.value**2 * scale**2).subs(ALPHA_RATIO, alpha / next_alpha) for a in method.amplitudes(row)]
    return [on_chain(in_h(v.rewrite(sp.exp))) for v in variances]


@claim(
    "li-sde-published",
    "Li et al.'s DDPM update $(x + (1 - a) s + sqrt(1 - a) z)/sqrt(a)$ holds $alpha$ times the score over the step in "
    "$rho^2$ and adds the noise of the reverse process, exactly; their accelerated one adds half of it before the "
    "score is taken, $x + sqrt((1 - a)/2) z$, and multiplies that score by the same weight. With the second half "
    "outside the scale $1/sqrt(a)$ it is another sampler.",
    "li2024accelerating",
)
def li_sde() -> Proof:
    """Li et al.'s stochastic samplers as published.

    Mean and variance of the record's step, on the chain, equal the published ones. The accelerated sampler's noises
    have the variances $(1 - a)/2$ before and $(1 - a)/(2 a)$ twice at the end, and its weight is that of the plain
    update. In the form of the README the last variance differs.
    """
    mean, variance = map(on_chain, one_step(LI_DDPM))
    (before,), (first, second) = (squares(LI_ACCELERATED_SDE, i, s) for i, s in enumerate((sigma, next_sigma)))
    readme = squares(LI_ACCELERATED_SDE_README, 1, next_sigma)
    half = (1 - a_t) / 2
    return Proof(
        zero=(
            mean - (x + (1 - a_t) * score) / sp.sqrt(a_t),
            variance - (1 - a_t) / a_t,
            LI_ACCELERATED_SDE.applied[1][0] - LI_DDPM.applied[0][0],
            *(before - half, first - half / a_t, second - half / a_t),
            *(readme[0] - half / a_t, readme[1] - half),
        ),
        nonzero=(readme[1] - second,),
    )


@claim(
    "li-sde-coded",
    "The authors' code for CIFAR takes the first noise times $sqrt(a)$, $x + sqrt(a (1 - a)/2) z$, and the last "
    "outside $1/sqrt(a)$: at the end of the step its noises have the variances $(1 - a)/2$ and $(1 - a)/2$, those of "
    "their README $(1 - a)/(2 a)$ and $(1 - a)/2$, those of the recalled formula $(1 - a)/(2 a)$ and $(1 - a)/(2 a)$.",
    "li2024accelerating",
)
def li_sde_coded() -> Proof:
    """Three variants of the accelerated SDE.

    The variances of the three records' noises are taken to the chain, where $alpha'^2 = alpha^2/a$, and compared one by
    one. The weights of the score are the same; code and README differ in the first noise.
    """
    (before,) = squares(LI_CODE_ACCELERATED_SDE, 0, sigma)
    coded, readme, recalled = (
        squares(method, 1, next_sigma)
        for method in (LI_CODE_ACCELERATED_SDE, LI_ACCELERATED_SDE_README, LI_ACCELERATED_SDE)
    )
    half = (1 - a_t) / 2
    return Proof(
        zero=(
            before - a_t * half,
            *(coded[0] - half, coded[1] - half, readme[0] - half / a_t, readme[1] - half),
            *(recalled[0] - half / a_t, recalled[1] - half / a_t),
            LI_CODE_ACCELERATED_SDE.applied[1][0] - LI_ACCELERATED_SDE.applied[1][0],
        ),
        nonzero=(coded[0] - readme[0],),
    )


CLAIMS: tuple[Claim, ...] = (noise_audit, dpmpp_sde_noise, churn_noise, li_sde, li_sde_coded)
