"""The samplers of Li et al.: as published, and as rules in the variance frame."""

from __future__ import annotations

import sympy as sp

from ..exponential import exact, weights
from ..frames import VARIANCE
from ..methods import find
from ..notation import a1, alpha, h, next_rho, r, rho, score, x
from .claim import Claim, Proof, claim

# a_t = (alpha_t/alpha_{t-1})^2 for the step taken, from t to t-1; b_t = 1 - a_t.
a_t = sp.Symbol("a_t", positive=True)
b_now, b_before = 1 - a_t, 1 - a1
# In rho^2 = 1/alpha^2 - 1 the step is h = -b_t/alpha^2, and the one before r h = -b_{t+1}/(a_{t+1} alpha^2).
LI_STEP = {h: -b_now / alpha**2, r[0]: b_before / (a1 * b_now)}


@claim(
    "li-clock",
    "On a variance-preserving chain with $a_t = 1 - b_t$ the steps in $rho^2$ are $-b_t/alpha^2$ and "
    "$-b_{t+1}/(a_{t+1} alpha^2)$.",
    "li2024accelerating",
)
def li_clock() -> Proof:
    """The steps of the chain in rho^2.

    With $alpha^2$ times or over the factors of the chain at three neighbouring levels, $rho^2 = (1 - alpha^2)/alpha^2$
    is subtracted from level to level.
    """
    clean, noisy = alpha / sp.sqrt(a_t), alpha * sp.sqrt(a1)
    rho2 = [(1 - scale**2) / scale**2 for scale in (noisy, alpha, clean)]
    return Proof((rho2[2] - rho2[1] - LI_STEP[h], rho2[1] - rho2[0] - (r[0] * h).subs(LI_STEP)))


@claim(
    "li-ddim-published",
    "Li et al.'s DDIM-type update $(x + b_t/2 s)/sqrt(a_t)$ is the one-node rule in the variance frame.",
    "li2024accelerating",
)
def li_ddim() -> Proof:
    """Li et al.'s DDIM-type update is a one-node rule.

    The one-node rule is written on the chain, with the [steps in $rho^2$](#claim-li-clock); less the published update
    it is zero.
    """
    clean = alpha / sp.sqrt(a_t)
    (weight,) = find("li-ddim").weights[0]
    ours = clean / alpha * x - clean / 2 * weight.subs(LI_STEP) * alpha * score
    return Proof((ours - (x + b_now / 2 * score) / sp.sqrt(a_t),))


@claim(
    "li-accelerated-published",
    "Li et al.'s accelerated ODE is our two rows; with $a_{t+1}$ replaced by 1 its weights are those of "
    "Adams-Bashforth 2 in the variance frame with the past point made by a backward one-node step.",
    "li2024accelerating",
)
def li_accelerated() -> Proof:
    """Li et al.'s accelerated ODE is Adams-Bashforth 2 in the variance frame.

    The paper's backward step and its corrected update, on the chain, equal the two rows. At $a_{t+1} = 1$ the weights
    are those of the exact rule through the two nodes; before that they are not.
    """
    past_score = sp.Symbol("past_score", real=True)
    noisy, clean = alpha * sp.sqrt(a1), alpha / sp.sqrt(a_t)
    method = find("li-accelerated-ode")
    (back,), (now, then) = ([w.subs(LI_STEP) for w in row] for row in method.weights)
    ours_back = noisy / alpha * x - noisy / 2 * back * alpha * score
    ours = clean / alpha * x - clean / 2 * (now * alpha * score + then * noisy * past_score)
    paper_back = sp.sqrt(a1) * (x - b_before / 2 * score)
    correction = b_now**2 / (4 * b_before) * (score - sp.sqrt(a1) * past_score)
    paper = (x + b_now / 2 * score + correction) / sp.sqrt(a_t)
    adams = weights([sp.S.Zero, -r[0]], exact, VARIANCE.moment)
    limit = [w.subs(a1, 1) for w in method.weights[1]]
    return Proof(
        zero=(
            ours_back - paper_back,
            ours - paper,
            method.weights[0][0].subs(a1, 1) + r[0] * h,
            *(w - b for w, b in zip(limit, adams, strict=True)),
        ),
        nonzero=(method.weights[1][0] - adams[0],),
    )


def abar(place: sp.Expr) -> sp.Expr:
    """alpha^2 on a variance-preserving schedule, where rho = sigma/alpha is at a place."""
    return 1 / (1 + place**2)


@claim(
    "li-code-published",
    "What the authors' code runs as the accelerated ODE, in $x/alpha$ a step $(rho' - rho) eps_n + K (eps_{n-1} - "
    "eps_n)/(abar_n - abar_{n-1})$ with $K = abar_n rho' + arcsin alpha' - abar_n rho - arcsin alpha$, integrates in "
    "$rho$ the line in $abar = alpha^2$ through the last two noise predictions. It is not deis-rhoab1, whose line is "
    "one in $rho$, and unlike li-accelerated-ode it evaluates once a step.",
    "li2024accelerating",
)
def li_code() -> Proof:
    """What the authors' code runs as the accelerated ODE.

    The weights of the record sum to the step. The second one, times the difference of $abar$, vanishes with the step
    and has the derivative $abar(rho') - abar(rho)$; $K$ has the same derivative with the other sign, as $d arcsin alpha
    = d alpha/sigma$. It differs from the weight of deis-rhoab1, and the accelerated ODE takes more than one evaluation
    a step.
    """
    before, end = sp.symbols("before end", positive=True)
    method = find("li-code-accelerated-ode")
    (now, past), run = method.weights[0], {r[0]: (rho - before) / h}
    integral = (past * (abar(before) - abar(rho))).subs(run).subs(next_rho, rho + h)  # of abar - abar_n
    alpha_end = sp.sqrt(abar(end))
    arcsin_slope = sp.diff(alpha_end, end) / (end * alpha_end)  # d arcsin(alpha) = d alpha/sigma
    return Proof(
        zero=(
            now + past - h,
            integral.subs(h, 0),
            sp.diff(integral, h) - (abar(rho + h) - abar(rho)),
            # K vanishes at the start of the step as well, and its slope is the integrand's, the other way round
            abar(rho) + arcsin_slope + (abar(end) - abar(rho)),
        ),
        nonzero=(past - find("deis-rhoab1").weights[0][1], sp.Integer(find("li-accelerated-ode").nfe_per_step - 1)),
    )


CLAIMS: tuple[Claim, ...] = (li_clock, li_ddim, li_accelerated, li_code)
