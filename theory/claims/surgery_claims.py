"""Changes of a network: features that are not evaluated at every step, scaled skips, low rank, mixed kernels."""

from __future__ import annotations

import sympy as sp

from ..methods import find
from ..notation import alpha, next_alpha, next_sigma, rho, sigma, x, x0
from ..stale_features import StaleWeights, exchanged
from .claim import Claim, Proof, claim

PROVED = (
    ("ddim", 1),
    ("ddim", 2),
    ("dpm-solver++-2m", 1),
    ("dpm-solver++-2m", 2),
    ("exp-adams-3", 2),
    ("exp-adams-3", 3),
)


@claim(
    "stale-features",
    "A multistep method of order $p$ whose model takes its features from the last $m$ evaluations of them, by "
    "Lagrange interpolation in the clock, has order $min(p, m)$, for every pattern of refreshes and all step ratios "
    "(here DDIM, 2M and exp-adams-3); with the weights of two refreshes exchanged it has order 1.",
    "liu2025taylorseer",
)
def stale_features() -> Proof:
    """Stale features and the order of a multistep method.

    For the places of the refreshes as symbols the order conditions through $min(p, m)$ vanish, and one of the next
    order does not. With the weights exchanged the conditions of order 1 still hold, and one of order 2 fails.
    """
    zero, nonzero = [], []
    for name, m in PROVED:
        method = find(name)
        order = min(method.order, m)
        weights = StaleWeights(method, m, order + 1)
        zero += [c for p in range(1, order + 1) for c in weights.conditions(p)]
        # What fails next: the m-th derivative of the features along the path, or what fails in the plain method.
        nonzero.append(weights.residual((0, (m,)) if m < method.order else (method.order, ()))[0])
        if m == 2:
            wrong = StaleWeights(method, m, 2, exchanged)
            zero += wrong.conditions(1)
            nonzero.append(wrong.residual((0, (1,)))[0])
    return Proof(tuple(zero), tuple(nonzero))


@claim(
    "stale-features-leading",
    "In a cycle of $q$ equal steps with one refresh the mean of $prod_{k < m} (i + k q)$ over $i < q$, which "
    "multiplies $-h^m g_f f^{(m)}/m!$, is $(q - 1)/2$ for $m = 1$ and $(q - 1)(5 q - 1)/6$ for $m = 2$, positive: "
    "order $m$ is exact for $m < p$. With $m = 1$ DDIM's leading error grows by $q - 1$ times its part through the "
    "features.",
    "li2024fasterdiffusion",
)
def stale_features_leading() -> Proof:
    """What stale features cost in a cycle.

    The two sums over a cycle are evaluated for symbolic $q$. The residual of DDIM's condition for $g_f f'$, with the
    refresh $i$ steps back, is averaged over the cycle: it exceeds the fresh one by $q - 1$ times.
    """
    q, i = sp.symbols("q i", integer=True, positive=True)
    one, two = (sp.summation(product, (i, 0, q - 1)) / q for product in (i, i * (i + q)))
    plain = StaleWeights(find("ddim"), 1, 2).residual((0, (1,)))[0]  # weight of g_f f' with a refresh at key_0_0
    fresh, stale = plain.subs(sp.Symbol("key_0_0"), 0), plain.subs(sp.Symbol("key_0_0"), -i)
    mean = sp.summation(stale, (i, 0, q - 1)) / q
    return Proof(
        (
            sp.simplify(one - (q - 1) / 2),
            sp.simplify(two - (q - 1) * (5 * q - 1) / 6),
            sp.simplify(mean - fresh - (q - 1) * fresh),
        ),
        nonzero=(one.subs(q, 2), two.subs(q, 2), fresh),
    )


@claim(
    "held-output",
    "DDIM with the data prediction of one step held over the next is one DDIM step over both; with another prediction "
    "it is not.",
    "li2024fasterdiffusion",
)
def held_output() -> Proof:
    """A held output is a longer step.

    Two steps with one data prediction and one step over both are written out and are equal; with two predictions they
    are not.
    """
    last_alpha, last_sigma, other = sp.symbols("last_alpha last_sigma other", positive=True)

    def step(z: sp.Expr, d: sp.Expr, here: tuple[sp.Expr, sp.Expr], there: tuple[sp.Expr, sp.Expr]) -> sp.Expr:
        return there[1] / here[1] * z + (there[0] - here[0] * there[1] / here[1]) * d

    first, middle, last = (alpha, sigma), (next_alpha, next_sigma), (last_alpha, last_sigma)
    between = step(x, x0, first, middle)
    whole = step(x, x0, first, last)
    return Proof((step(between, x0, middle, last) - whole,), nonzero=(step(between, other, middle, last) - whole,))


@claim(
    "break-even",
    "A change that multiplies the cost of an evaluation by $K$ and the error by $c$, at order $p$, has $c K^p$ times "
    "the error of the plain sampler at equal cost. For DDIM and features that are refreshed every $q = 2$ "
    "evaluations, which cost a share $s$ and carry a share $f$ of its leading error, it is worth it iff $f < s/(2 - "
    "s)$.",
    "li2024fasterdiffusion",
)
def break_even() -> Proof:
    """When a cheaper evaluation is worth its error.

    At equal cost the plain sampler takes $K$ times the steps. With $K = 1 - s/2$ and $c = 1 + f$ the product $c K$
    increases with $f$ and is 1 at $f = s/(2 - s)$.
    """
    steps, cost, factor, p, share, part = sp.symbols("N K c p s f", positive=True)
    changed, plain = factor * steps**-p, (cost * steps) ** -p
    at_two = (factor * cost).subs({factor: 1 + part, cost: 1 - share / 2})
    at_limit = at_two.subs(part, share / (2 - share)) - 1
    return Proof(
        (sp.simplify(changed / plain - factor * cost**p), sp.simplify(at_limit)),
        nonzero=(sp.diff(at_two, part),),
    )


@claim(
    "skip-scale",
    "Normalising a group of channels cancels a factor $rho$ of all of them where $eps = 0$: in a residual block whose "
    "groups do not mix skip and backbone, a scaled skip acts through the shortcut alone; with $eps > 0$ it does not "
    "cancel.",
    "ma2024skiptuning",
)
def skip_scale() -> Proof:
    """Normalising cancels a scaled skip.

    A group of three symbolic values is normalised with and without the factor. Without $eps$ the results agree; with
    $eps = 1$ they differ at a point.
    """
    values, small = sp.symbols("v_:3", real=True), sp.Symbol("epsilon", positive=True)

    def normalised(group: tuple[sp.Expr, ...], eps: sp.Expr) -> list[sp.Expr]:
        mean = sum(group) / sp.Integer(len(group))
        variance = sum((v - mean) ** 2 for v in group) / sp.Integer(len(group))
        return [(v - mean) / sp.sqrt(sp.factor(variance) + eps) for v in group]

    scaled = tuple(rho * v for v in values)
    zero = [
        sp.simplify(a - b) for a, b in zip(normalised(scaled, sp.S.Zero), normalised(values, sp.S.Zero), strict=True)
    ]
    at = {values[0]: 0, values[1]: 1, values[2]: 5, rho: 2, small: 1}
    kept = (normalised(scaled, small)[0] - normalised(values, small)[0]).subs(at)
    return Proof(tuple(zero), nonzero=(kept,))


@claim(
    "low-rank-weighted",
    "Of all rank-one $u v^T$ with a given unit $u$, $E|W x - u v^T x|^2$ is least for $v = W^T u$, at every "
    "covariance $S$ of $x$, and is then $tr M - u^T M u$ with $M = W S W^T$: the best $u$ is the top eigenvector of "
    "$M$, and what is lost is the other eigenvalue. With $S = 1$ this is Eckart-Young; the top singular vector of $W$ "
    "is another one.",
    "eckart1936approximation",
)
def low_rank_weighted() -> Proof:
    """The best factor of rank one, weighted by the data.

    In two dimensions, on the circle of unit vectors $u$, the gradient in $v$ vanishes at $W^T u$ and the loss is the
    stated one. With $M$ diagonal it exceeds the lesser eigenvalue by a multiple of the squared sine. An example shows
    another top singular vector of $W$.
    """
    c, s, large, small = sp.symbols("c s large small", real=True)  # u = (c, s), c^2 + s^2 = 1
    w, root = (sp.Matrix(2, 2, sp.symbols(f"{name}_:4", real=True)) for name in ("w", "root"))  # S = root root^T
    u, v = sp.Matrix([c, s]), sp.Matrix(sp.symbols("v_:2", real=True))
    m = w * root * root.T * w.T

    def loss(row: sp.Matrix) -> sp.Expr:
        off = (w - u * row.T) * root
        return (off * off.T).trace()

    def on_circle(expression: sp.Expr) -> sp.Expr:
        return sp.reduced(sp.expand(expression), [c**2 + s**2 - 1], c)[1]

    best = w.T * u
    gradient = [sp.diff(loss(v), entry).subs(dict(zip(v, best, strict=True))) for entry in v]
    lost = m.trace() - (u.T * m * u)[0]
    # With M = diag(large^2, small^2), and with a W = diag(1, 2) whose own first singular vector is the second of M.
    identity = dict(zip(w, (1, 0, 0, 1), strict=True))
    diagonal = lost.subs({**identity, **dict(zip(root, (large, 0, 0, small), strict=True))})
    other = lost.subs(dict(zip((*w, *root), (1, 0, 0, 2, 3, 0, 0, 1), strict=True)))
    return Proof(
        (
            *map(on_circle, gradient),
            on_circle(loss(best) - lost),
            on_circle(diagonal - small**2 - (large**2 - small**2) * s**2),
        ),
        nonzero=(other.subs({c: 0, s: 1}) - other.subs({c: 1, s: 0}), loss(v) - loss(best)),
    )


@claim(
    "low-rank-stages",
    "With balanced factors $U sqrt(D)$ and $sqrt(D) V^T$ truncating the second one in stages is truncating the "
    "product once; with factors of other scales it is not.",
    "hajimolahoseini2024family",
)
def low_rank_stages() -> Proof:
    """Truncating in stages.

    Shown on matrices of three rows with rational rotations and the singular values 16, 4 and 1: rank 2 and then rank 1
    gives the product of rank 1. With factors of other scales the staged result keeps another direction.
    """
    turn = sp.Matrix([[3, -4, 0], [4, 3, 0], [0, 0, 5]]) / 5
    other = sp.Matrix([[5, 0, 0], [0, 4, -3], [0, 3, 4]]) / 5
    values = (sp.Integer(16), sp.Integer(4), sp.Integer(1))

    def kept(rank: int) -> sp.Matrix:
        return sp.diag(*(1 if i < rank else 0 for i in range(3)))

    left, right = turn * sp.diag(4, 2, 1), sp.diag(4, 2, 1) * other.T  # the singular values of `right` are 4, 2, 1
    once = turn * sp.diag(*values) * kept(1) * other.T
    # Rank 2, then rank 1: the second factor is diag times a rotation, and loses its least singular value.
    staged = left * kept(1) * (kept(2) * right)
    scales = sp.diag(sp.Rational(1, 16), 1, 1)  # right becomes diag(1/4, 2, 1) V^T: its top direction is the second
    unbalanced = left * scales.inv() * sp.diag(0, 1, 0) * scales * right
    return Proof(tuple(staged - once), nonzero=(sp.Matrix(unbalanced - once).norm(),))


@claim(
    "mixed-kernels",
    "Convolving once with a mixture of kernels is the mixture of their convolutions, for every mixture; a mixture of "
    "squares of convolutions is not.",
    "zhu2023asdm",
)
def mixed_kernels() -> Proof:
    """Mixing kernels is mixing convolutions.

    Two symbolic kernels of three entries are convolved with a symbolic signal, mixed before and after; the results are
    equal. The squares are not.
    """
    share = sp.symbols("share_:2", real=True)
    kernels = [sp.symbols(f"k{e}_:3", real=True) for e in range(2)]
    signal = sp.symbols("signal_:5", real=True)

    def convolved(kernel: list[sp.Expr]) -> list[sp.Expr]:
        return [sum(k * signal[n + i] for i, k in enumerate(kernel)) for n in range(3)]

    mixed = [sum(a * k[i] for a, k in zip(share, kernels, strict=True)) for i in range(3)]
    once, each = convolved(mixed), [convolved(list(k)) for k in kernels]
    zero = [sp.expand(one - sum(a * e[n] for a, e in zip(share, each, strict=True))) for n, one in enumerate(once)]
    squares = sp.expand(once[0] ** 2 - sum(a * e[0] ** 2 for a, e in zip(share, each, strict=True)))
    return Proof(tuple(zero), nonzero=(squares,))


CLAIMS: tuple[Claim, ...] = (
    stale_features,
    stale_features_leading,
    held_output,
    break_even,
    skip_scale,
    low_rank_weighted,
    low_rank_stages,
    mixed_kernels,
)
