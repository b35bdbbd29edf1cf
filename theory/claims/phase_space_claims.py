"""Phase-space Langevin diffusion: its closed form, the parts of its reversal, and the exponential rules on it."""

from __future__ import annotations

import sympy as sp

from ..splittings import GAMMA, MASS, NU, diffusion, drift, parts
from .claim import Claim, Expressions, Proof, claim

B = sp.Symbol("b", positive=True)
DELTA = NU - GAMMA
CRITICAL = {MASS: 4 / DELTA**2}
STATIONARY = sp.diag(1, MASS)


def scale(b: sp.Expr) -> sp.Matrix:
    """Psi over a length of b."""
    inner = sp.Matrix([[1 + DELTA * b / 4, DELTA**2 * b / 8], [-b / 2, 1 - DELTA * b / 4]])
    return sp.exp(-(NU + GAMMA) * b / 4) * inner


def _entries(*matrices: sp.Matrix) -> Expressions:
    return tuple(sp.expand(entry) for matrix in matrices for entry in matrix.subs(CRITICAL))


@claim(
    "phase-space-scale",
    "With $1/M = (gamma - nu)^2/4$ the mean of phase-space Langevin diffusion is taken by $Psi(b) = e^{-(nu + gamma) "
    "b/4} [[1 + delta b/4, delta^2 b/8], [-b/2, 1 - delta b/4]]$, $delta = nu - gamma$; with another $M$ it is not.",
    "pandey2023psld",
)
def phase_space_scale() -> Proof:
    """The mean of phase-space Langevin diffusion.

    $Psi$ solves the linear equation of the drift, is the identity at $b = 0$, and the product over two lengths is that
    over their sum. With another $M$ an entry of the equation does not vanish.
    """
    psi, first, then = scale(B), sp.Symbol("b1", positive=True), sp.Symbol("b2", positive=True)
    rate = (psi.diff(B) - drift() * psi) * sp.exp((NU + GAMMA) * B / 4)
    twice = sp.expand((drift().subs(MASS, 2 / DELTA**2) * psi - psi.diff(B))[0, 1])
    return Proof(
        _entries(rate, scale(sp.S.Zero) - sp.eye(2), scale(first) * scale(then) - scale(first + then)), nonzero=(twice,)
    )


@claim(
    "phase-space-covariance",
    "$Psi C Psi^T + S - Psi S Psi^T$ with $S = diag(1, M)$ is the covariance at $b$ from $C$ at 0: the sixteen terms "
    "of the released code in one line. $S$ is stationary under the process, under its reversed coupling and under its "
    "decay.",
    "pandey2023psld",
)
def phase_space_covariance() -> Proof:
    """The covariance of phase-space Langevin diffusion.

    The expression solves the equation of the covariance, and equals the terms of the code one by one. Inserted into
    that equation and into those of the two parts, $S$ makes the right side vanish. With half the diffusion the equation
    does not hold.
    """
    xx, mm = sp.symbols("C_xx C_mm", positive=True)
    decay, inverse = sp.exp((NU + GAMMA) * B / 2), 1 / MASS
    psi, start = scale(B), sp.diag(xx, mm)
    found = psi * start * psi.T + STATIONARY - psi * STATIONARY * psi.T
    rate = found.diff(B) - drift() * found - found * drift().T
    # The coefficients as they are in the code, before the factor e^{-(nu + gamma) b/2}.
    of_x = B**2 * (inverse * xx + inverse**2 * mm) / 4 + DELTA * B * xx / 2 - inverse * B**2 / 2 - DELTA * B / 2
    cross = -DELTA * B**2 / 8 * (xx + inverse * mm) - B * xx / 2 + inverse * B * mm / 2 + DELTA * B**2 / 4
    of_m = B**2 * (xx + inverse * mm) / 4 - DELTA * B * mm / 2 - B**2 / 2 + MASS * DELTA * B / 2
    released = sp.Matrix([[of_x + decay - 1 + xx, cross], [cross, of_m + MASS * (decay - 1) + mm]])
    flows = parts(stochastic=True)
    still = [flows[name].linear * STATIONARY + STATIONARY * flows[name].linear.T + diffusion() for name in ("O", "L")]
    forward = drift() * STATIONARY + STATIONARY * drift().T + diffusion()
    return Proof(
        _entries((rate - diffusion()) * decay, (found * decay - released), forward, *still),
        nonzero=_entries(sp.Matrix([(rate - diffusion() / 2)[0, 0] * decay])),
    )


@claim(
    "phase-space-parts",
    "$A + B$ is the reversed drift of the probability-flow equation, $-A z + D s/2$ as $b$ falls; $A + B + O$ and $L "
    "+ S$ are that of the stochastic equation, $-A z + D s$, with its noise $D$: every splitting of these parts is "
    "consistent.",
    "pandey2024efficient",
)
def phase_space_parts() -> Proof:
    """The parts of a phase-space splitting.

    The linear parts, the weights of the score and the noises of the parts are added, and compared with those of the
    whole equation. Without its third part a stochastic splitting lacks the diagonal of the drift.
    """
    flow, noisy = parts(stochastic=False), parts(stochastic=True)
    zero: list[sp.Matrix] = []
    for names, have, share, noise in (
        ("AB", flow, sp.Rational(1, 2), 0),
        ("ABO", noisy, 1, 1),
        ("LS", noisy, 1, 1),
        ("E", flow, sp.Rational(1, 2), 0),
        ("E", noisy, 1, 1),
    ):
        linear, score, entering = (sum((have[n][k] for n in names), sp.zeros(2, 2)) for k in range(3))
        zero += [linear + drift(), score - share * diffusion(), entering - noise * diffusion()]
    apart = noisy["A"].linear + noisy["B"].linear + drift()
    return Proof(_entries(*zero), nonzero=(apart[0, 0], apart[1, 1]))


@claim(
    "phase-space-exponential-order",
    "The exponential rules of one and two nodes have the local errors $h^2/2 (-D/2) s'$ and $h^3 (2 + 3 r)/12 (-D/2) "
    "s''$, $r$ the ratio of the step before to this one: orders 1 and 2 exactly, where $D s'$ and $D s''$ do not "
    "vanish.",
    "pandey2024efficient",
)
def phase_space_exponential_order() -> Proof:
    """The exponential rules on phase space.

    The score along the path is expanded to second order, and the interpolant's error is integrated against the kernel.
    The coefficients of lower powers of $h$ vanish, and the leading ones are as stated and do not.
    """
    h, r = sp.symbols("h r", positive=True)
    tau = sp.Symbol("tau", real=True)
    values = [sp.Matrix(sp.symbols(f"s{k}_x s{k}_m", real=True)) for k in range(3)]

    def score(at: sp.Expr) -> sp.Matrix:
        return values[0] + at * values[1] + at**2 * values[2] / 2

    # Psi(h - tau) = 1 + (h - tau) A + O(h^2); the leading part needs the first term only, the second is one order up.
    kernel = (sp.eye(2) + (h - tau) * drift()) * (-diffusion() / 2)
    two = score(sp.S.Zero) + tau * (score(sp.S.Zero) - score(-r * h)) / (r * h)

    def missed(interpolant: sp.Matrix, order: int) -> sp.Matrix:
        error = (kernel * (score(tau) - interpolant)).applyfunc(
            lambda entry: sp.integrate(sp.expand(entry), (tau, 0, h))
        )
        return error.applyfunc(lambda entry: sp.expand(entry).coeff(h, order))

    first, second = missed(score(sp.S.Zero), 2), missed(two, 3)
    half = -diffusion() / 2
    return Proof(
        _entries(
            first - half * values[1] / 2,
            second - half * values[2] * (2 + 3 * r) / 12,
            *(missed(score(sp.S.Zero), k) for k in (0, 1)),
            *(missed(two, k) for k in (0, 1, 2)),
        ),
        nonzero=(*first, *second),
    )


@claim(
    "phase-space-ddim",
    "Without a momentum, $dx/db = -x/2 - s/2$, the one-node rule for the noise is DDIM: $Psi(b' - b)/(2 sigma)$ is "
    "$alpha' drho/db$ with $alpha = e^{-b/2}$, which integrates to $alpha' (rho' - rho)$.",
    "pandey2024efficient",
)
def phase_space_ddim() -> Proof:
    """DDIM as a rule without momentum.

    With $alpha = e^{-b/2}$ and $sigma^2 = 1 - e^{-b}$ the squares of both sides, which are positive, are equal. With
    $sigma$ in the place of $rho$ they are not.
    """
    alpha = sp.exp(-B / 2)
    sigma = sp.sqrt(1 - sp.exp(-B))
    # The square, as both sides are positive: (drho/db)^2 = 1/(2 alpha sigma)^2.
    rate = sp.diff(sigma / alpha, B) ** 2 - 1 / (2 * alpha * sigma) ** 2
    return Proof((sp.simplify(rate),), nonzero=(sp.simplify(sp.diff(sigma, B) ** 2 - 1 / (2 * sigma) ** 2),))


CLAIMS: tuple[Claim, ...] = (
    phase_space_scale,
    phase_space_covariance,
    phase_space_parts,
    phase_space_exponential_order,
    phase_space_ddim,
)
