"""Orders in law: a table from both sides, known residuals, and one step on mixtures without forests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from math import comb
from typing import Any

import mpmath as mp
import pytest
import sympy as sp

from samplerproof.theory.law import LawProof, along, of_density, prove_law_order
from samplerproof.theory.method import Row, grid_position, stage
from samplerproof.theory.methods import stochastic as records
from samplerproof.theory.notation import ALPHA_TAYLOR, SCORE_JET, c2, eta, h, mean, spread, tau2, y
from samplerproof.theory.phi import phi
from samplerproof.theory.stochastic import NOISY_DATA, NOISY_NOISE, Sampler
from samplerproof.theory.weak import prove_weak_order

SCORE, D1, D2, *_ = SCORE_JET

# EDM's stochastic sampler: back by tau^2 h with fresh noise, then the flow in rho, by Euler or by Heun.
BACK = Row((), to=-tau2, published=())
FRESH = 2 * tau2 * h * phi(1, 2 * tau2 * h)
GAIN = (1 + tau2) * h * phi(1, (1 + tau2) * h)
EULER = Row((stage(1),), published=(GAIN,))
CHURN_EULER = Sampler(
    name="churn-euler",
    frame=NOISY_NOISE,
    strength=tau2,
    rows=(BACK, EULER),
    covariances=((FRESH,), (FRESH, FRESH)),
    order=1,
    cite="karras2022elucidating",
    summary="Noise, then Euler.",
)
CHURN_HEUN = replace(
    CHURN_EULER,
    name="churn-heun",
    rows=(BACK, EULER, Row((stage(1), stage(2)), published=(GAIN / 2, GAIN / 2))),
    covariances=((FRESH,), (FRESH, FRESH), (FRESH, FRESH, FRESH)),
    summary="Noise, then Heun.",
)

# The authors' code has the last noise of the accelerated SDE outside 1/sqrt(a): times a = 1 - 2 l_1 h + ….
_last = 2 * h * phi(1, -2 * h)
LI_PLACED_OUTSIDE = replace(
    records.LI_ACCELERATED_SDE,
    name="li-accelerated-sde-outside",
    covariances=((_last / 2,), (_last / 2, _last * (1 - ALPHA_TAYLOR[0] * h))),
)

ORDERS = [  # weak, in law, in law on Gaussians
    (records.DDIM_ETA, 1, 1, 1),
    (records.SDE_DPM_SOLVER_PP_1, 1, 1, 1),
    (records.SA_SOLVER_1, 1, 1, 1),
    (records.SEEDS_1, 1, 1, 1),
    (records.SDE_DPM_SOLVER_PP_2S, 2, 2, 2),
    (records.SDE_DPM_SOLVER_PP_2S_INDEPENDENT, 1, 1, 1),
    (records.SEEDS_2, 2, 2, 2),
    (records.SEEDS_2_PUBLISHED, 1, 1, 1),
    (records.LI_DDPM, 1, 1, 1),
    (records.LI_ACCELERATED_SDE, 1, 1, 2),
    (LI_PLACED_OUTSIDE, 1, 1, 1),
    (CHURN_EULER, 1, 1, 1),
    (CHURN_HEUN, 1, 2, 2),
]


@pytest.mark.parametrize(("sampler", "weak", "law", "gaussian"), ORDERS, ids=lambda v: getattr(v, "name", ""))
def test_orders(sampler: Sampler, weak: int, law: int, gaussian: int) -> None:
    proof = prove_law_order(sampler)
    assert (prove_weak_order(sampler).order, proof.order, proof.gaussian_order) == (weak, law, gaussian)
    assert proof.residual != 0 != proof.gaussian_residual


def test_residuals_of_li_et_al() -> None:
    """In e = 2 h, the step in rho^2: -(e^2/2)(s' p)'' and -(e^2/4)(s'' p)'."""
    assert sp.expand(prove_law_order(records.LI_DDPM).residual + 2 * of_density(of_density(D1))) == 0
    assert sp.expand(prove_law_order(records.LI_ACCELERATED_SDE).residual + of_density(D2)) == 0
    assert prove_law_order(LI_PLACED_OUTSIDE).flux == D2 + ALPHA_TAYLOR[0] * SCORE


def test_names_of_one_sampler_have_one_residual() -> None:
    """DDIM(eta = 1) and SA-Solver with tau = 1 are DDPM; their frames are not the same."""
    ddpm = prove_law_order(records.SDE_DPM_SOLVER_PP_1).flux
    assert ddpm == 2 * (SCORE * D1 + SCORE + D2).expand()
    for sampler, symbol in ((records.DDIM_ETA, eta), (records.SA_SOLVER_1, tau2)):
        assert sp.expand(prove_law_order(sampler).flux.subs(symbol, 1) - ddpm) == 0


def test_in_law_churn_is_the_flow_over_a_longer_step() -> None:
    """From tau^2 h back to h: the error of Euler and of Heun, with (1 + tau^2) h for h."""
    for sampler in (CHURN_EULER, CHURN_HEUN):
        proof = prove_law_order(sampler)
        still = proof.flux.subs(tau2, 0) * (1 + tau2) ** (proof.order + 1)
        assert sp.expand(proof.flux - still) == 0


TINY = sp.Rational(1, 10**6)
OFF = FRESH * (1 + TINY * h)


@pytest.mark.parametrize(
    ("changes", "order"),
    [
        ({"covariances": ((OFF,), (OFF, OFF), (OFF, OFF, OFF))}, 1),
        ({"rows": (replace(BACK, to=-tau2 * (1 + TINY)), *CHURN_HEUN.rows[1:])}, 1),
        ({"rows": (*CHURN_HEUN.rows[:2], Row((stage(1), stage(2)), published=(GAIN / 2, GAIN / 2 * (1 + TINY))))}, 0),
    ],
    ids=["noise", "place", "weight"],
)
def test_a_coefficient_off_by_a_millionth_loses_the_order_in_law(changes: dict[str, Any], order: int) -> None:
    assert prove_law_order(replace(CHURN_HEUN, **changes)).order == order


def test_what_is_not_decided_is_refused() -> None:
    with pytest.raises(ValueError, match="history"):
        prove_law_order(records.SA_SOLVER_2)
    with pytest.raises(ValueError, match="highest"):
        prove_law_order(records.LI_ACCELERATED_SDE, 2)
    with pytest.raises(ValueError, match="names"):
        along(SCORE_JET[-1])


# --- one step of a sampler on a mixture of Gaussians, in 50 digits

NUMBERS = {tau2: sp.Rational(1, 3), c2: sp.Rational(2, 5), eta: sp.Rational(1, 2), ALPHA_TAYLOR[0]: sp.Rational(3, 4)}
STEP = sp.Rational(1, 10**7)
Law = tuple[tuple[mp.mpf, mp.mpf, mp.mpf], ...]  # weights, means and variances where rho = 1; here binary fractions
MIXTURE = ((mp.mpf(3) / 8, mp.mpf(-1) / 2, mp.mpf(3) / 2), (mp.mpf(5) / 8, mp.mpf(5) / 4, mp.mpf(3) / 2))
GAUSSIAN = ((mp.mpf(1), mp.mpf(1) / 2, mp.mpf(3) / 2),)
GRID = [mp.mpf(3 * k) / 8 for k in range(-38, 42)]  # the trapezoidal rule is exact to the digits that are needed
FREQUENCY, PHASE = mp.mpf(3) / 4, mp.mpf(3) / 8


@pytest.fixture(autouse=True)
def _digits() -> Iterator[None]:
    with mp.workdps(50):
        yield


def number(expression: sp.Expr) -> mp.mpf:
    return mp.mpf(str(sp.N(sp.sympify(expression).subs(NUMBERS).subs(h, STEP).rewrite(sp.exp), 50)))


def densities(law: Law, x: mp.mpf, v: mp.mpf, count: int) -> list[mp.mpf]:
    """p, p', p'', … of the law where the noise is v: (-1)^k He_k(z) over powers of the deviation."""
    total = [mp.mpf(0)] * count
    for weight, m, variance in law:
        spread = mp.sqrt(variance - 1 + v)
        z = (x - m) / spread
        older, newer = mp.mpf(0), weight * mp.exp(-z * z / 2) / (spread * mp.sqrt(2 * mp.pi))
        for k in range(count):
            total[k] += newer
            older, newer = newer, -(z * newer / spread + k * older / spread**2)
    return total


def scores(law: Law, x: mp.mpf, count: int) -> list[mp.mpf]:
    """s, s', … from p^{(k+1)} = sum over j of binomial(k, j) s^{(j)} p^{(k-j)}."""
    p = densities(law, x, mp.mpf(1), count + 1)
    s: list[mp.mpf] = []
    for k in range(count):
        s.append((p[k + 1] - sum(comb(k, j) * s[j] * p[k - j] for j in range(k))) / p[0])
    return s


def growth(sampler: Sampler) -> mp.mpf:
    """The frame's vector is e^{growth l} x/alpha."""
    return 1 + number(sampler.strength) if sampler.frame is NOISY_DATA else mp.mpf(0)


@cache
def drift(sampler: Sampler, law: Law, z: mp.mpf, place: mp.mpf) -> mp.mpf:
    """G for the exact model of the law."""
    kappa, u = 1 + number(sampler.strength), place * number(h)
    x, rho = mp.exp(-growth(sampler) * u) * z, mp.exp(-u)
    p, slope = densities(law, x, rho**2, 2)
    eps = -rho * slope / p
    return kappa * (mp.exp(kappa * u) * (x - rho * eps) if sampler.frame is NOISY_DATA else -mp.exp(-u) * eps)


def factor(sampler: Sampler) -> list[list[mp.mpf]]:
    """The rows' noises as shares of independent ones of variance 1."""
    ends = [grid_position(row.to) for row in sampler.rows]
    given = sampler.covariances or [[sampler.variance(c) for c in ends[: i + 1]] for i in range(len(ends))]
    shares: list[list[mp.mpf]] = []
    for line in given:
        row: list[mp.mpf] = []
        for j, covariance in enumerate(map(number, line)):
            rest = covariance - sum(a * b for a, b in zip(row, [*shares, row][j], strict=False))
            if j < len(shares):
                row.append(rest / shares[j][j] if shares[j][j] else mp.mpf(0))
            else:
                row.append(mp.sqrt(rest) if rest > mp.mpf(10) ** -40 else mp.mpf(0))
        shares.append(row)
    return shares


def error_of_a_step(sampler: Sampler, law: Law) -> mp.mpf:
    """The sampler's mean of cos(w z + c) after a step on the law, less the exact one."""
    shares = factor(sampler)
    places = [mp.mpf(0), *(number(grid_position(row.to)) for row in sampler.rows)]
    weights = [[number(w) for w in line] for line in sampler.weights]
    rate, step = number(sampler.rate), number(h)
    outer, inner = mp.sqrt(3 + mp.sqrt(6)), mp.sqrt(3 - mp.sqrt(6))
    rare, often = (3 - mp.sqrt(6)) / 12, (3 + mp.sqrt(6)) / 12
    gauss = [(-outer, rare), (-inner, often), (inner, often), (outer, rare)]  # exact for noise of up to h^3
    active = [k for k in range(len(shares)) if shares[k][k]]
    total = mp.mpf(0)
    for start in GRID:
        p = densities(law, start, mp.mpf(1), 1)[0]
        for chosen in product(gauss, repeat=len(active)):
            noise = dict(zip(active, chosen, strict=True))
            values = {0: drift(sampler, law, start, mp.mpf(0))}
            for i, (row, line) in enumerate(zip(sampler.rows, weights, strict=True), start=1):
                z = start + sum(share * noise[k][0] for k, share in enumerate(shares[i - 1]) if k in noise)
                for node, weight in zip(row.nodes, line, strict=True):
                    z += weight * mp.exp(rate * (places[i] - places[node.stage]) * step) * values[node.stage]
                if i < len(sampler.rows):
                    values[i] = drift(sampler, law, z, places[i])
            total += p * mp.fprod(w for _, w in chosen) * mp.cos(FREQUENCY * z + PHASE)
    frequency = FREQUENCY * mp.exp(growth(sampler) * step)
    exact = sum(
        weight * mp.cos(frequency * m + PHASE) * mp.exp(-(frequency**2) * (variance - 1 + mp.exp(-2 * step)) / 2)
        for weight, m, variance in law
    )
    return total * (GRID[1] - GRID[0]) - exact


def predicted(residual: sp.Expr, law: Law) -> mp.mpf:
    """The integral of cos(w y + c) times residual and density."""
    at = sp.lambdify((y, *SCORE_JET), residual.subs(NUMBERS), modules="mpmath")
    total = sum(
        mp.cos(FREQUENCY * x + PHASE) * at(x, *scores(law, x, len(SCORE_JET))) * densities(law, x, mp.mpf(1), 1)[0]
        for x in GRID
    )
    return total * (GRID[1] - GRID[0])


def at_numbers(proof: LawProof) -> sp.Expr:
    return proof.gaussian_residual.subs({mean: sp.Rational(1, 2), spread: sp.Rational(3, 2)})


@pytest.mark.parametrize(
    "sampler",
    [
        records.DDIM_ETA,
        records.SA_SOLVER_1,
        records.SDE_DPM_SOLVER_PP_2S,
        records.SEEDS_2,
        records.LI_ACCELERATED_SDE,
        LI_PLACED_OUTSIDE,
        CHURN_HEUN,
    ],
    ids=lambda s: s.name,
)
def test_a_step_on_laws_is_off_by_the_residual(sampler: Sampler) -> None:
    proof = prove_law_order(sampler)
    for law, residual, order in (
        (MIXTURE, proof.residual, proof.order),
        (GAUSSIAN, at_numbers(proof), proof.gaussian_order),
    ):
        expected = predicted(residual, law)
        measured = error_of_a_step(sampler, law) / number(h) ** (order + 1)
        assert abs(expected) > 1e-4
        assert abs(measured / expected - 1) < 1e-4
