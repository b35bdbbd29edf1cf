"""Stochastic samplers: their frames, their names, and why one step has no weak order above two."""

from __future__ import annotations

import sympy as sp

from ..method import Method
from ..methods import find
from ..methods.sde import (
    DDIM_ETA,
    DDPM,
    DDPM_LARGE,
    SA_SOLVER_1,
    SA_SOLVER_2,
    SA_SOLVER_2_FEW_STEPS,
    SA_SOLVER_P1C1,
    SA_SOLVER_P1C1_FEW_STEPS,
    SA_SOLVER_P2C1,
    SA_SOLVER_P2C1_FEW_STEPS,
    SA_SOLVER_P2C2_FEW_STEPS,
    SDE_DPM_SOLVER_1,
    eta,
    tau,
)
from ..noise_model import NOISY_DATA, NOISY_NOISE, NoisyFrame
from ..notation import (
    ALPHA_RATIO,
    alpha,
    dalpha,
    dsigma,
    eps,
    h,
    next_alpha,
    next_sigma,
    r,
    rho,
    sigma,
    tau2,
    u,
    x0,
)
from ..prediction_formulas import DEFINITION
from .claim import Claim, Expressions, Proof, claim
from .ddim_claims import POSITION
from .li_claims import a_t

Step = tuple[sp.Expr, sp.Expr]  # mean of x at the end of a step, and variance


def in_h(expression: sp.Expr) -> sp.Expr:
    """Write sigma' by the step h in lambda."""
    return expression.subs(next_sigma, next_alpha * sigma / alpha * sp.exp(-h))


def one_step(method: Method) -> Step:
    """A step of a method whose model is evaluated once, in terms of x0, eps and h."""
    frame, end = method.frame, {alpha: next_alpha, sigma: next_sigma}
    last = len(method.rows) - 1
    (kept,), (weight,) = method.carried(last), method.applied[last]
    output = frame.output_scale.subs(end) * weight * DEFINITION[frame.prediction]
    mean = frame.scale.subs(end) * kept / frame.scale * POSITION + output
    variance = next_sigma**2 * sum(a.factor**2 * a.variance for a in method.amplitudes(last))
    return tuple(in_h(e.subs(ALPHA_RATIO, alpha / next_alpha)).rewrite(sp.exp) for e in (mean, variance))


def difference(ours: Step, theirs: Step) -> Expressions:
    return ours[0] - in_h(theirs[0]), ours[1] - in_h(theirs[1])


@claim(
    "noisy-frames",
    "In a noisy frame the reverse SDE $dx = (f x - (1 + tau^2)/2 g^2 s) dt + tau g dW$ has no linear part: $dy = (1 + "
    "tau^2) w F dlambda + dM$ with $Var M(u) = V(u)$, in data and in noise prediction.",
    "xue2023sasolver",
)
def noisy_frames() -> Proof:
    """The reverse SDE in a noisy frame.

    With $g^2 = -2 sigma^2 dlambda/dt$ the drift of $y$ is written by $x_0$ and $eps$, and its part in $x$ cancels
    against the frame's damping. The variance $V$ vanishes at $u = 0$ and grows by $2 tau^2 sigma^2 dlambda$, in the
    units of the frame.
    """
    f = dalpha / alpha
    g2 = 2 * sigma * dsigma - 2 * f * sigma**2
    rate = dalpha / alpha - dsigma / sigma  # of lambda
    drift = f * POSITION - (1 + tau2) / 2 * g2 * DEFINITION["score"]

    def residuals(frame: NoisyFrame) -> Expressions:
        m, flow = frame.flow.scale, frame.flow
        dm = sp.diff(m, alpha) * dalpha + sp.diff(m, sigma) * dsigma
        # y' up to the unit, without the factor e^{damping l} that all terms have
        change = drift / m - POSITION * dm / m**2 + frame.damping * rate * POSITION / m
        weight = flow.c * sp.simplify(sp.exp(flow.kappa * flow.clock))
        # Var M grows by tau^2 g^2 dt = 2 tau^2 sigma^2 dlambda, over m^2 and the unit
        spread = (sigma / m).subs(sigma, alpha * rho * sp.exp(-u)) / frame.unit.subs(sigma, alpha * rho)
        growth = 2 * tau2 * sp.exp(2 * frame.damping * u) * spread**2
        return (
            change - (1 + tau2) * weight * DEFINITION[flow.prediction] * rate,
            sp.diff(frame.variance.rewrite(sp.exp), u) - growth,
            frame.variance.subs(u, 0),
        )

    return Proof((g2 + 2 * sigma**2 * rate, *residuals(NOISY_DATA), *residuals(NOISY_NOISE)))


@claim(
    "ddpm-names",
    "DDPM, the posterior of the chain, is SDE-DPM-Solver++(1), SA-Solver with $tau = 1$ and one output, and DDIM$(eta "
    "= 1)$: $x' = (sigma'/sigma) e^{-h} x + alpha' (1 - e^{-2h}) x0hat + sigma' sqrt(1 - e^{-2h}) z$.",
    "ho2020ddpm",
)
def ddpm_names() -> Proof:
    """DDPM under its other names.

    Mean and variance of one step are written by $x_0$, $eps$ and $h$ for each of the records, and by Bayes' rule, where
    precisions add, for the posterior; all equal the formula. The one-node rule for noise prediction has another mean.
    """
    fresh = 1 - sp.exp(-2 * h)
    published = (next_sigma / sigma * sp.exp(-h) * POSITION + next_alpha * fresh * x0, next_sigma**2 * fresh)
    # Bayes' rule for x' given x0 and x = (alpha/alpha') x' + noise: precisions add.
    carry = alpha / next_alpha
    noise = sigma**2 - carry**2 * next_sigma**2
    variance = 1 / (carry**2 / noise + 1 / next_sigma**2)
    posterior = (variance * (carry / noise * POSITION + next_alpha / next_sigma**2 * x0), variance)
    ours = [tuple(e.subs({eta: 1, tau: 1}) for e in one_step(sampler)) for sampler in (DDPM, DDIM_ETA, SA_SOLVER_1)]
    return Proof(
        zero=tuple(e for step in (*ours, posterior) for e in difference((in_h(step[0]), in_h(step[1])), published)),
        nonzero=(one_step(SDE_DPM_SOLVER_1)[0].subs(tau, 1) - in_h(published[0]),),
    )


@claim(
    "ddpm-variances",
    "DDPM's larger variance is that of the chain's own step, $beta = sigma^2 - (alpha/alpha')^2 sigma'^2$ ($1 - a$ on "
    "a variance-preserving schedule), its smaller one $beta sigma'^2/sigma^2$ by Bayes' rule.",
    "ho2020ddpm",
)
def ddpm_variances() -> Proof:
    """The two variances of DDPM.

    Both records have the same mean; their variances are compared with the two formulas, and $beta$ with $1 - a$ where
    $alpha^2 + sigma^2 = 1$. They are not equal.
    """
    own = sigma**2 - (alpha / next_alpha) ** 2 * next_sigma**2
    (mean, large), (same, small) = one_step(DDPM_LARGE), one_step(DDPM)
    preserving = {sigma: sp.sqrt(1 - alpha**2), next_sigma: sp.sqrt(1 - next_alpha**2)}
    return Proof(
        zero=(
            mean - same,
            large - in_h(own),
            small - in_h(own * next_sigma**2 / sigma**2),
            (own - (1 - a_t)).subs(preserving).subs(next_alpha, alpha / sp.sqrt(a_t)),
        ),
        nonzero=(large - small,),
    )


@claim(
    "seeds-1-names",
    "SEEDS-1 is SDE-DPM-Solver-1, the one-node rule of the noise frame with $tau = 1$: $x' = (alpha'/alpha) x - 2 "
    "sigma' (e^h - 1) epshat + sigma' sqrt(e^{2h} - 1) z$. It is not SDE-DPM-Solver++(1): unlike the flow's, the "
    "rules in data and noise prediction are two samplers.",
    "gonzalez2023seeds",
)
def seeds_1() -> Proof:
    """SEEDS-1 is SDE-DPM-Solver-1.

    Mean and variance of the record's step at $tau = 1$ equal those of the published formula; the mean differs from
    DDPM's.
    """
    gain = sp.exp(h)
    published = (
        next_alpha / alpha * POSITION - 2 * next_sigma * (gain - 1) * eps,
        next_sigma**2 * (gain**2 - 1),
    )
    ours = tuple(e.subs(tau, 1) for e in one_step(SDE_DPM_SOLVER_1))
    return Proof(zero=difference((ours[0], ours[1]), published), nonzero=(ours[0] - one_step(DDPM)[0],))


@claim(
    "sa-solver-few-steps",
    "The mode few_steps of SA-Solver's authors adds $alpha' (1 + tau^2) (h^2/2 - (k h - 1 + e^{-k h})/k^2) (D_n - "
    "D_{n-1})/h_0$, $k = 1 + tau^2$, to the predictor of two outputs, and the same with the predicted output, $D_n$ "
    "and $h_0 = h$ to the corrector of two: the slope of the line then has the weight $alpha' (1 + tau^2) h^2/2$. At "
    "$tau = 0$ these are UniPC's rows with $B(h) = h$.",
    "xue2023sasolver",
)
def sa_solver_few_steps() -> Proof:
    """SA-Solver's mode for few steps.

    Row by row the weights with and without the mode differ by the stated amount, once with each sign, and the weights
    of the slope are as stated. At $tau = 0$ the rows equal those of unipc-1-bh1 and unipc-2-bh1. What is added is not
    zero.
    """
    rate = 1 + tau**2
    added = rate * (h**2 / 2 - (rate * h - 1 + sp.exp(-rate * h)) / rate**2)
    moved = [
        (SA_SOLVER_2_FEW_STEPS, SA_SOLVER_2, 0, added / (r[0] * h)),
        (SA_SOLVER_P2C1_FEW_STEPS, SA_SOLVER_P2C1, 0, added / (r[0] * h)),
        (SA_SOLVER_P2C1_FEW_STEPS, SA_SOLVER_P2C1, 1, -added / h),
        (SA_SOLVER_P1C1_FEW_STEPS, SA_SOLVER_P1C1, 1, -added / h),
    ]
    slopes = [(SA_SOLVER_P2C1_FEW_STEPS.applied[row][1], row) for row in (0, 1)]  # of -D_{n-1}, and of D at the end
    still = [(SA_SOLVER_P1C1_FEW_STEPS, "unipc-1-bh1"), (SA_SOLVER_P2C2_FEW_STEPS, "unipc-2-bh1")]
    return Proof(
        zero=(
            *(
                ours.applied[row][j] - theirs.applied[row][j] - sign * change
                for ours, theirs, row, change in moved
                for j, sign in ((0, 1), (1, -1))
            ),
            *(w - (-rate * h / (2 * r[0]) if row == 0 else rate * h / 2) for w, row in slopes),
            *(
                a.subs(tau, 0) - b
                for ours, name in still
                for line, other in zip(ours.applied, find(name).weights, strict=True)
                for a, b in zip(line, other, strict=True)
            ),
        ),
        nonzero=(added,),
    )


def of_eps(mean: sp.Expr) -> sp.Expr:
    return sp.diff(mean, eps)


@claim(
    "ddim-eta-published",
    "DDIM$(eta)$ is $x' = alpha' x0hat + sqrt(sigma'^2 - s^2) epshat + s z$, where on a variance-preserving schedule "
    "$s^2 = eta^2 (sigma'/sigma)^2 (1 - alpha^2/alpha'^2)$.",
    "song2021ddim",
)
def ddim_eta() -> Proof:
    """DDIM with eta, as published.

    In the record's step the coefficient of $x0hat$ is $alpha'$, the squares of the other two add up to $sigma'^2$, and
    where $alpha^2 + sigma^2 = 1$ at both levels the variance of the noise is the published one.
    """
    mean, variance = one_step(DDIM_ETA)
    fresh = eta**2 * (next_sigma / sigma) ** 2 * (1 - (alpha / next_alpha) ** 2)
    whole = alpha**2 + sigma**2 * sp.exp(-2 * h)  # alpha^2/alpha'^2 where alpha'^2 + sigma'^2 = 1
    preserving = {next_alpha: alpha / sp.sqrt(whole), sigma: sp.sqrt(1 - alpha**2)}
    return Proof(
        (
            sp.diff(mean, x0) - next_alpha,
            of_eps(mean) ** 2 + variance - in_h(next_sigma**2),
            (variance - in_h(fresh)).subs(next_alpha, preserving[next_alpha]).subs(sigma, preserving[sigma]),
        )
    )


@claim(
    "ddim-eta-strength",
    "A step of DDIM$(eta)$ is one of SA-Solver with $tau^2 = -log(1 - eta^2 (1 - e^{-2h}))/(2h)$, which tends to "
    "$eta^2$.",
    "xue2023sasolver",
)
def ddim_eta_strength() -> Proof:
    """The noise of DDIM with eta as a strength tau.

    Both steps are $alpha' x0hat$ plus a multiple of $epshat$ plus noise. With this $tau$ the squares of the multiples
    and the variances agree; the limit as $h -> 0$ is $eta^2$, and at a finite step it is another number.
    """
    strength = -sp.log(1 - eta**2 * (1 - sp.exp(-2 * h))) / (2 * h)
    ours, theirs = one_step(DDIM_ETA), one_step(SA_SOLVER_1)
    # Both are alpha' x0hat + (a root) epshat + noise; roots are compared by their squares.
    kept = sp.exp(-(tau**2) * h) * in_h(next_sigma)
    return Proof(
        zero=(
            sp.diff(theirs[0], x0) - next_alpha,
            of_eps(theirs[0]) - kept,
            (kept**2).subs(tau, sp.sqrt(strength)) - of_eps(ours[0]) ** 2,
            theirs[1].subs(tau, sp.sqrt(strength)) - ours[1],
            sp.limit(strength, h, 0) - eta**2,
        ),
        nonzero=(strength - eta**2,),
    )


@claim(
    "ddim-marginals",
    "The non-Markovian family has one set of marginals: if $x = alpha x0 + sigma eps$, then for every noise $s$ also "
    "$x' = alpha' x0 + sqrt(sigma'^2 - s^2) (x - alpha x0)/sigma + s z$ has mean $alpha' x0$ and variance $sigma'^2$.",
    "song2021ddim",
)
def ddim_marginals() -> Proof:
    """One set of marginals for every noise.

    $x'$ is affine in $eps$ and $z$, which are independent: without them it is $alpha' x0$, and the squares of their
    coefficients add up to $sigma'^2$.
    """
    fresh, noise = sp.symbols("fresh noise", positive=True)
    kept = sp.sqrt(next_sigma**2 - fresh**2)
    end = next_alpha * x0 + kept * (POSITION - alpha * x0) / sigma + fresh * noise
    variance = sp.diff(end, eps) ** 2 + sp.diff(end, noise) ** 2
    return Proof((end.subs({eps: 0, noise: 0}) - next_alpha * x0, variance - next_sigma**2))


@claim(
    "weak-barrier",
    "No one-step sampler whose noises are increments of one path has weak order 3 for $tau > 0$. Let $b_j$ be its "
    "weights as $h -> 0$, at places $c_j$ in $[0, 1]$, and $B(s)$ the sum of $b_j$ over $c_j > s$. If $sum b_j c_j = "
    "1/2$ and $sum b_j c_j^2 = 1/3$, as the orders 2 and 3 ask, then the condition of $f_zz(G_z(e_a), G_z(e_a))$ is "
    "off by $2 tau^2$ times the integral of $(B(s) - (1 - s))^2$ over $[0, 1]$. $B$ jumps at $n$ places at most, and "
    "then the integral is $1/(12 (n + 1)^2)$ at least.",
    "laurent2020exotic",
)
def weak_barrier() -> Proof:
    """No sampler of one path has weak order 3.

    The sampler's side is $sum_{i,j} b_i b_j min(c_i, c_j)$, the exact one the integral of $min$ over the square, $1/3$.
    Their difference is the integral of $(B(s) - (1 - s))^2$, up to multiples of the two conditions: both sides are
    quadratic in $b$ with one pair of places in each term, so that three places show all there is. On a piece of width
    $d$ a constant misses $1 - s$ by $d^3/12$ and a square, and $sum d^3 >= 1/(n + 1)^2$.
    """
    s, value, first, width = sp.symbols("s value first width", positive=True)
    gaps = sp.symbols("gap1:5", positive=True)
    b = sp.symbols("b1:4", real=True)
    places = [sum(gaps[: k + 1]) for k in range(3)]
    # Both sides are quadratic in b with one pair of places in each term: three places show all there is.
    pairs = [(i, j) for i in range(3) for j in range(3)]
    sampler = sum(b[i] * b[j] * places[min(i, j)] for i, j in pairs)
    ends = [sp.S.Zero, *places, sp.S.One]
    steps = [sum(b[k:]) for k in range(4)]
    distance = sum(sp.integrate(sp.expand((steps[k] - (1 - s)) ** 2), (s, ends[k], ends[k + 1])) for k in range(4))
    half = sum(bj * c for bj, c in zip(b, places, strict=True)) - sp.Rational(1, 2)
    third = sum(bj * c**2 for bj, c in zip(b, places, strict=True)) - sp.Rational(1, 3)
    exact = sp.integrate(sp.integrate(s, (s, 0, value)) * 2, (value, 0, 1))  # of min over the square: by symmetry
    # On one piece of that width a constant misses 1 - s by width^3/12 and a square; sum width^3 >= 1/(n + 1)^2.
    piece = sp.integrate(sp.expand((value - (1 - s)) ** 2), (s, first, first + width))
    miss = value - (1 - first - width / 2)
    return Proof(
        zero=(
            (sampler - exact) - (distance + 2 * half - third),
            exact - sp.Rational(1, 3),
            piece - width**3 / 12 - width * miss**2,
        )
    )


CLAIMS: tuple[Claim, ...] = (
    noisy_frames,
    ddpm_names,
    ddpm_variances,
    seeds_1,
    sa_solver_few_steps,
    ddim_eta,
    ddim_eta_strength,
    ddim_marginals,
    weak_barrier,
)
