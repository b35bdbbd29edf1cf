"""Few-step students: the ideal ones are the teacher, composed; what its steps do on Gaussian laws."""

from __future__ import annotations

from functools import reduce

import sympy as sp

from ..method import Method
from ..methods.consistency import CONSISTENCY, TRAJECTORY_CONSISTENCY, gamma
from ..notation import alpha, h, next_alpha, next_sigma, sigma, x
from .claim import Claim, Proof, claim

MEAN = sp.Symbol("m", real=True)
V = sp.Symbol("v", positive=True)
SPREAD, NEXT_SPREAD = alpha**2 * V + sigma**2, next_alpha**2 * V + next_sigma**2  # variances of the marginals
FAR, NEAR, LATER = sp.symbols("rho_t rho_1 rho_u", positive=True)


def ddim(data: sp.Expr, end: tuple[sp.Expr, sp.Expr], start: tuple[sp.Expr, sp.Expr], state: sp.Expr) -> sp.Expr:
    """a' x0 + s' (x - a x0)/s, from start to end, each (alpha, sigma)."""
    return end[0] * data + end[1] * (state - start[0] * data) / start[1]


HERE, THERE = (alpha, sigma), (next_alpha, next_sigma)


@claim(
    "ideal-student",
    "At zero loss progressive distillation, consistency distillation with the boundary $f(x, end) = x$, a shortcut "
    "model with a smallest step learned exactly, and a reflow of pairs $(z, Phi z)$ all have the map $Phi$, the steps "
    "of the teacher composed; here of four steps that are any functions, and by induction of any number.",
    "salimans2022progressive",
)
def ideal_student() -> Proof:
    """Ideal students have the map of their teacher.

    The four steps are undefined functions. Composed in pairs, by the recursion of consistency, and by the means of
    shortcut's velocities they give the same expression. With another boundary, the steps in reverse order or a quarter
    of the length they do not.
    """
    steps = [sp.Function(f"step{n}") for n in range(1, 5)]
    d = sp.Symbol("d", positive=True)

    def composed(maps: list[sp.Function], state: sp.Expr) -> sp.Expr:
        return reduce(lambda y, step: step(y), maps, state)

    teacher = composed(steps, x)
    progressive = composed(steps[2:], composed(steps[:2], x))

    def consistency(n: int, state: sp.Expr, boundary: sp.Expr = sp.S.One) -> sp.Expr:
        """f at node n, equal to f at node n + 1 of the teacher's step."""
        return boundary * state if n == 4 else consistency(n + 1, steps[n](state), boundary)

    def shortcut(first: int, count: int, state: sp.Expr) -> sp.Expr:
        """The velocity over `count` steps of length d: the mean of those over its halves."""
        if count == 1:
            return (steps[first](state) - state) / d
        half = count // 2
        one = shortcut(first, half, state)
        return (one + shortcut(first + half, half, state + half * d * one)) / 2

    reflow = x + (teacher - x)
    return Proof(
        (
            progressive - teacher,
            consistency(0, x) - teacher,
            x + 4 * d * shortcut(0, 4, x) - teacher,
            reflow - teacher,
        ),
        nonzero=(
            consistency(0, x, 2) - teacher,
            composed(steps[::-1], x) - teacher,
            x + d * shortcut(0, 4, x) - teacher,
        ),
    )


@claim(
    "cosine-rule",
    "On $N(m, v)$ a DDIM step has the exact mean, and the exact standard deviation times the cosine of the angle "
    "between $(alpha sqrt v, sigma)$ at its ends: in $N$ steps the deviation is short by a product of cosines, least "
    "where all angles are equal, as $log cos$ is concave.",
    "song2021ddim",
)
def cosine_rule() -> Proof:
    """DDIM on a Gaussian: the rule of cosines.

    The step with the exact data prediction is affine in $x$. Its value at $alpha m$ is $alpha' m$; its squared slope,
    in units of the two standard deviations, is $cos^2$, and 1 less it is $sin^2$. The second derivative of $log cos$ is
    $-1 - tan^2$.
    """
    data = MEAN + alpha * V * (x - alpha * MEAN) / SPREAD
    step = ddim(data, THERE, HERE, x)
    slope = sp.diff(step, x)
    cosine = (alpha * next_alpha * V + sigma * next_sigma) / sp.sqrt(SPREAD * NEXT_SPREAD)
    ratio = slope * sp.sqrt(SPREAD / NEXT_SPREAD)
    sine2 = V * (alpha * next_sigma - next_alpha * sigma) ** 2 / (SPREAD * NEXT_SPREAD)
    angle = sp.Symbol("theta", positive=True)
    concave = sp.diff(sp.log(sp.cos(angle)), angle, 2) + 1 + sp.tan(angle) ** 2
    return Proof(
        (step.subs(x, alpha * MEAN) - next_alpha * MEAN, ratio**2 - cosine**2, 1 - ratio**2 - sine2, concave),
        nonzero=(1 - ratio**2, ratio - cosine * (1 + sp.Rational(1, 10**6))),
    )


@claim(
    "ddim-gradient",
    "A DDIM step has the Jacobian $(s'/s) I + (a' - a s'/s)(a/s^2) Cov(x0 | x)$, symmetric and at least $s'/s$: it is "
    "the gradient of a strongly convex function, and in one dimension increasing in any number of steps (here for a "
    "few atoms).",
    "song2021ddim",
)
def ddim_gradient() -> Proof:
    """A DDIM step is the gradient of a convex function.

    For three atoms the derivative of the posterior mean is $a/s^2$ times the variance, which gives the diagonal; for
    two atoms in the plane the mixed derivatives agree, so that the Jacobian is symmetric. Where the noise is not the
    same in both directions they do not agree.
    """
    masses, second = sp.symbols("w1:4", positive=True), sp.Symbol("y", real=True)
    places = [(sp.Symbol(f"p{i}", real=True), sp.Symbol(f"q{i}", real=True)) for i in range(3)]

    def likelihood(p: sp.Expr, q: sp.Expr, stretch: sp.Expr) -> sp.Expr:
        return sp.exp((alpha * (p * x + stretch * q * second) - alpha**2 * (p**2 + stretch * q**2) / 2) / sigma**2)

    def moments(count: int, stretch: sp.Expr) -> tuple[sp.Expr, ...]:
        """E x, E y and E x^2 of the data given a state, for that many atoms."""
        atoms = [(w * likelihood(p, q, stretch), p, q) for w, (p, q) in zip(masses[:count], places, strict=False)]
        total = sum(w for w, _, _ in atoms)
        return tuple(sum(w * p**i * q**j for w, p, q in atoms) / total for i, j in ((1, 0), (0, 1), (2, 0)))

    first, _, square = (e.subs(second, 0) for e in moments(3, sp.S.One))
    step = ddim(first, THERE, HERE, x)
    lead = (next_alpha - alpha * next_sigma / sigma) * alpha / sigma**2
    east, north, _ = moments(2, sp.S.One)
    stretched = moments(2, sp.Integer(2))  # where the noise is not the same in both directions
    return Proof(
        (
            sp.diff(step, x) - next_sigma / sigma - lead * (square - first**2),
            sp.diff(east, second) - sp.diff(north, x),
        ),
        nonzero=(
            sp.diff(step, x) - next_sigma / sigma,
            sp.diff(stretched[0], second) - sp.diff(stretched[1], x),
        ),
    )


@claim(
    "distilled-target",
    "The data prediction with which one DDIM step ends where two end is $w d1 + (1 - w) d2$ of the two of the "
    "teacher, $w = rho_u (rho_t - rho_1)/(rho_1 (rho_t - rho_u))$ and $1 - w = rho_t (rho_1 - rho_u)/(rho_1 (rho_t - "
    "rho_u))$, both positive: it is in the hull of the data, and has no variance given the state.",
    "salimans2022progressive",
)
def distilled_target() -> Proof:
    """The target of progressive distillation.

    Two steps with the predictions $d1$ and $d2$ and one step with their mean are written out and are equal; the two
    weights sum to 1. With equal weights, or with the second prediction alone, they are not.
    """
    d1, d2 = sp.symbols("d1 d2", real=True)
    a_t, a_1, a_u = sp.symbols("a_t a_1 a_u", positive=True)
    points = [(a_t, a_t * FAR), (a_1, a_1 * NEAR), (a_u, a_u * LATER)]
    middle = ddim(d1, points[1], points[0], x)
    two = ddim(d2, points[2], points[1], middle)
    whole = NEAR * (FAR - LATER)
    w, rest = LATER * (FAR - NEAR) / whole, FAR * (NEAR - LATER) / whole
    return Proof(
        (ddim(w * d1 + (1 - w) * d2, points[2], points[0], x) - two, 1 - w - rest),
        nonzero=(ddim((d1 + d2) / 2, points[2], points[0], x) - two, ddim(d2, points[2], points[0], x) - two),
    )


@claim(
    "second-step",
    "An ideal consistency student of DDIM on $N(m, v)$ that is noised again to node $i$ and applied again has the "
    "variance $C_i^2 (1 - (1 - C_0^2) cos^2 phi_i) v$, $phi$ the angle of $(alpha sqrt v, sigma)$. For many equal "
    "angles that beats one step iff $phi > pi/4$; its error is least where $sin 2 phi = 2/pi$, $0.8947$ of that of "
    "one step.",
    "song2023consistency",
)
def second_step() -> Proof:
    """When a second step of a consistency model helps.

    The student is linear with the slope $C_i sqrt v$ over the state's standard deviation; the variance of the noised
    sample is inserted. For small $e = 1 - C_0^2$ the error is $e (2 phi/pi + cos^2 phi)$: it is $e$ at $phi = pi/4$ and
    $pi/2$, and its derivative vanishes where $sin 2 phi = 2/pi$.
    """
    first, later, phi = sp.symbols("C_0 C_i varphi", positive=True)
    again = alpha**2 * first**2 * V + sigma**2
    slope2 = later**2 * V / SPREAD  # of the student at node i, squared
    cosine2 = alpha**2 * V / SPREAD
    closed = later**2 * (1 - (1 - first**2) * cosine2) * V
    # With C_i^2 = 1 - e phi/(pi/2), e = 1 - C_0^2 small: the error over e.
    error = 2 * phi / sp.pi + sp.cos(phi) ** 2
    best = sp.asin(2 / sp.pi) / 2  # the other solution, where the error is largest, is pi/2 less this one
    return Proof(
        (
            slope2 * again - closed,
            error.subs(phi, sp.pi / 4) - 1,
            error.subs(phi, sp.pi / 2) - 1,
            sp.diff(error, phi) - 2 / sp.pi + 2 * sp.sin(phi) * sp.cos(phi),
            sp.sin(2 * (sp.pi / 2 - best)) - 2 / sp.pi,
        ),
        nonzero=(error.subs(phi, sp.pi / 3) - 1, slope2 * again - later**2 * first**2 * V),
    )


@claim(
    "consistency-rows-undistilled",
    "With the exact $E[x0 | x]$ in place of the end of the flow, the rows of consistency lose of the variance of "
    "every Gaussian direction the share $d' = 1 - k + k^2 d$, $k = alpha^2 v/(alpha^2 v + sigma^2)$, so that $d' - "
    "1/2 = k^2 (d - 1/2) + (1 - k)^2/2$: at least half on every grid whose first step has $k <= 1/2$. With many steps "
    "the share tends to $1/2$, and for trajectory-consistency to $gamma/2$: both are of order 0.",
    "song2023consistency",
)
def consistency_rows_undistilled() -> Proof:
    """Consistency sampling with a model that is not distilled.

    The variance after a step of the record, from a state that has lost the share $d$, gives the recursion, and this the
    second form. For short steps of trajectory-consistency the share that a step does not change is solved for; its
    limit as $sigma -> 0$ is $gamma/2$, which is not zero.
    """
    d = sp.Symbol("d", real=True)
    k = alpha**2 * V / SPREAD

    def after(kept: sp.Expr, data: sp.Expr, noise2: sp.Expr, lost: sp.Expr) -> sp.Expr:
        """The variance after a step kept x + data E[x0 | x] + noise, of a state that lost that share."""
        slope = kept + data * alpha * V / SPREAD
        return slope**2 * (SPREAD - alpha**2 * V * lost) + noise2

    def parts(record: Method) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
        """What a step keeps of x over sigma'/sigma, its weight of the data, and its noise's variance over sigma'^2."""
        return record.carried(0)[0], record.applied[0][0], record.amplitudes(0)[0].variance

    kept, weight, noise2 = parts(CONSISTENCY)
    step = kept * next_sigma / sigma, next_alpha * weight, next_sigma**2 * noise2
    lost = (NEXT_SPREAD - after(*step, d)) / (next_alpha**2 * V)
    # Where steps of trajectory-consistency are short, its share d is the one that they do not change.
    kept, weight, noise2 = parts(TRAJECTORY_CONSISTENCY)
    still = after(kept, alpha * weight.subs(h, 0), sigma**2 * noise2, d)
    steady = sp.solve(sp.numer(sp.together(still - (SPREAD - alpha**2 * V * d))), d)[0]
    return Proof(
        (
            lost - (1 - k + k**2 * d),
            1 - k + k**2 * d - sp.Rational(1, 2) - k**2 * (d - sp.Rational(1, 2)) - (1 - k) ** 2 / 2,
            sp.limit(steady, sigma, 0) - gamma / 2,
            steady.subs(gamma, 1) - 1 / (1 + k),
        ),
        nonzero=(lost - d, steady, sp.limit(steady, sigma, 0)),
    )


@claim(
    "self-consistency",
    "The mean velocities $s(x, t, d) = (Phi(x) - x)/d$ of any flow $Phi$ from $t$ to $t + d$ obey $s(x, t, 2d) = "
    "(s(x, t, d) + s(x + d s, t + d, d))/2$.",
    "frans2025shortcut",
)
def self_consistency() -> Proof:
    """Mean velocities over two halves.

    The flow over the two halves is two undefined functions; the mean velocity over both is half the sum of the two, the
    second taken where the first ends. Taken where the first starts it is not.
    """
    d = sp.Symbol("d", positive=True)
    first, second = sp.Function("first"), sp.Function("second")  # the flow over [t, t + d] and [t + d, t + 2d]
    over_both = (second(first(x)) - x) / (2 * d)
    one = (first(x) - x) / d

    def other(state: sp.Expr) -> sp.Expr:
        return (second(state) - state) / d

    return Proof(
        (over_both - (one + other(x + d * one)) / 2,), nonzero=(over_both - (one + other(x)) / 2, over_both - one)
    )


@claim(
    "reflow-straight",
    "On the line the points $(1 - t) z + t T(z)$ of pairs $(z, T z)$ have the slope $1 - t + t T'(z)$, least at an "
    "end of $[0, 1]$: the lines do not cross before $t = 1$, and a reflow is exactly straight, iff $T$ is increasing. "
    "Where $T' = -k$ they cross at $t = 1/(1 + k)$.",
    "lee2024rfpp",
)
def reflow_straight() -> Proof:
    """Where a reflow is straight.

    The point is differentiated in $z$, with $T$ an undefined function. The slope is affine in $t$ and 1 at $t = 0$, so
    that it stays positive before $t = 1$ iff $T' >= 0$; at $T' = -k$ it vanishes at $t = 1/(1 + k)$.
    """
    t, z = sp.symbols("t z", real=True)
    k = sp.Symbol("k", positive=True)
    transport = sp.Function("T")(z)
    point = (1 - t) * z + t * transport
    slope = 1 - t + t * sp.diff(transport, z)
    marked = sp.Symbol("slope", real=True)
    turned = (1 - t + t * marked).subs(marked, -k)
    return Proof(
        (
            (sp.diff(point, z) - slope).subs(sp.diff(transport, z), marked),
            turned.subs(t, 1 / (1 + k)),
            sp.diff(1 - t + t * marked, t, 2),
        ),
        nonzero=(turned.subs(t, sp.Rational(1, 2)), sp.diff(1 - t + t * marked, t)),
    )


@claim(
    "unrolled-gradient",
    "With $g$ times the exact data prediction of $N(0, v)$ the slope of $S$ steps of DDIM is $prod R_j$, each $R_j$ "
    "affine in $g$, and its derivative $sum_j R_j' prod_{i != j} R_i$. One step from pure noise has none: a loss on "
    "its end does not depend on $g$; of two steps it does.",
    "baliah2025reface",
)
def unrolled_gradient() -> Proof:
    """The gradient through unrolled steps.

    Three steps on four symbolic levels are multiplied and differentiated. One factor is the line through its values at
    $g = 0$ and $g = 1$; at $alpha = 0$ its derivative vanishes, and that of two factors does not.
    """
    g = sp.Symbol("g", positive=True)
    points = [sp.symbols(f"a{n} s{n}", positive=True) for n in range(4)]

    def slope(n: int, gain: sp.Expr = g) -> sp.Expr:
        """Of step n: what it makes of the state, with the data prediction gain a v x/(a^2 v + s^2)."""
        (a, s), end = points[n], points[n + 1]
        return ddim(gain * a * V / (a**2 * V + s**2), end, (a, s), sp.S.One)

    steps = range(3)
    by_rule = sum(sp.diff(slope(n), g) * sp.prod(slope(i) for i in steps if i != n) for n in steps)
    pure = {points[0][0]: 0}
    two = (slope(0) * slope(1)).subs(pure)
    return Proof(
        (
            sp.diff(sp.prod(slope(n) for n in steps), g) - by_rule,
            slope(0) - (1 - g) * slope(0, sp.S.Zero) - g * slope(0, sp.S.One),
            sp.diff(slope(0).subs(pure), g),
        ),
        nonzero=(sp.diff(slope(0), g), sp.diff(two, g), by_rule - sum(sp.diff(slope(n), g) for n in steps)),
    )


CLAIMS: tuple[Claim, ...] = (
    *(ideal_student, cosine_rule, ddim_gradient, distilled_target, second_step, consistency_rows_undistilled),
    *(self_consistency, reflow_straight, unrolled_gradient),
)
