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
from shapes import by_shape

from samplerproof.theory.frames import DATA
from samplerproof.theory.method import Method
from samplerproof.theory.methods import SDE_METHODS, consistency, li_sde
from samplerproof.theory.methods import sde as records
from samplerproof.theory.methods.sde import EDM_CHURN, eta, tau
from samplerproof.theory.noise_model import NO_NOISE, Noise, NoiseModel
from samplerproof.theory.notation import ALPHA_RATIO, ALPHA_TAYLOR, NOISED_PLACE, SCORE_JET, c2, h, mean, spread, y
from samplerproof.theory.order_in_law import LawProof, along, of_density, prove_law_order
from samplerproof.theory.weak_order import prove_weak_order

SCORE, D1, D2, *_ = SCORE_JET
DECIDED = [s for s in SDE_METHODS if s.order and not s.history and not s.corrects]
BACK, EULER, HEUN = EDM_CHURN.rows
FRESH = EDM_CHURN.step_noise.row(0).variance
CHURN_EULER = replace(
    EDM_CHURN, name="churn-euler", rows=(BACK, EULER), noise=NoiseModel(-NOISED_PLACE, (Noise(FRESH), NO_NOISE))
)
HALF, _ = EDM_CHURN.applied[2]
TINY = sp.Rational(1, 10**6)


@pytest.mark.parametrize("sampler", DECIDED, ids=lambda s: s.name)
def test_the_claimed_orders_are_the_exact_ones(sampler: Method) -> None:
    proof = prove_law_order(sampler)
    claimed = sampler.law_order or sampler.order
    assert proof.order == claimed >= prove_weak_order(sampler).order
    assert proof.gaussian_order == (sampler.gaussian_order or claimed)
    assert proof.residual != 0 != proof.gaussian_residual


def test_an_exact_model_gains_an_order_for_four_samplers() -> None:
    gained = {s.name: (s.order, s.law_order, s.gaussian_order) for s in DECIDED if s.law_order or s.gaussian_order}
    two_stages = {"dpm-2-ancestral": (1, 2, 2), "dpmpp-2s-ancestral": (1, 2, 2)}
    assert gained == {**two_stages, "edm-churn": (1, 2, 2), "li-accelerated-sde": (1, None, 2)}


def test_residuals_of_li_et_al() -> None:
    """Assert that they are -(e^2/2)(s' p)'' and -(e^2/4)(s'' p)' in e = 2 h, the step in rho^2."""
    assert sp.expand(prove_law_order(li_sde.LI_DDPM).residual + 2 * of_density(of_density(D1))) == 0
    assert sp.expand(prove_law_order(li_sde.LI_ACCELERATED_SDE).residual + of_density(D2)) == 0
    assert prove_law_order(li_sde.LI_ACCELERATED_SDE_README).flux == D2 + ALPHA_TAYLOR[0] * SCORE


def test_names_of_one_sampler_have_one_residual() -> None:
    """Assert that DDIM(eta = 1) and SA-Solver with tau = 1 have the flux of DDPM, in two frames."""
    ddpm = prove_law_order(records.DDPM).flux
    assert ddpm == 2 * (SCORE * D1 + SCORE + D2).expand()
    for sampler, symbol in ((records.DDIM_ETA, eta), (records.SA_SOLVER_1, tau)):
        assert sp.expand(prove_law_order(sampler).flux.subs(symbol, 1) - ddpm) == 0


def test_the_barrier_of_three_stages_stands_in_law_too() -> None:
    """Assert that SEEDS-3, where f_zz(G_z(e_a), G_z(e_a)) fails, has a density off by h^3 (s'^2 p)''/6."""
    assert sp.expand(prove_law_order(records.SEEDS_3).flux + of_density(D1**2) / 6) == 0


def test_in_law_churn_is_the_flow_over_a_longer_step() -> None:
    """Assert that the error is that of Euler or Heun with (1 + tau^2) h for h: from tau^2 h back to h."""
    for sampler, order in ((CHURN_EULER, 1), (EDM_CHURN, 2)):
        proof = prove_law_order(sampler)
        assert (prove_weak_order(sampler).order, proof.order, proof.gaussian_order) == (1, order, order)
        still = proof.flux.subs(NOISED_PLACE, 0) * (1 - NOISED_PLACE) ** (order + 1)
        assert sp.expand(proof.flux - still) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"noise": NoiseModel(-NOISED_PLACE, (Noise(FRESH * (1 + TINY * h)), NO_NOISE, NO_NOISE))},
        {"rows": (replace(BACK, to=NOISED_PLACE * (1 + TINY)), EULER, HEUN)},
        {"rows": (BACK, EULER, replace(HEUN, published=(HALF * (1 + TINY), HALF * (1 - TINY))))},
    ],
    ids=["noise", "place", "average"],
)
def test_a_coefficient_off_by_a_millionth_loses_the_order_in_law(changes: dict[str, Any]) -> None:
    assert prove_law_order(replace(EDM_CHURN, **changes)).order == 1


@pytest.mark.parametrize("sampler", [records.SA_SOLVER_2, records.SA_SOLVER_P1C1], ids=lambda s: s.name)
def test_outputs_of_earlier_steps_are_refused(sampler: Method) -> None:
    with pytest.raises(ValueError, match="history"):
        prove_law_order(sampler)


def test_what_is_left_undecided_is_refused() -> None:
    with pytest.raises(ValueError, match="highest"):
        prove_law_order(li_sde.LI_ACCELERATED_SDE, 2)
    with pytest.raises(ValueError, match="names"):
        along(SCORE_JET[-1])
    with pytest.raises(ValueError, match=r"^consistency: order: 0, a step is off"):
        prove_law_order(consistency.CONSISTENCY)


# --- one step of a sampler on a mixture of Gaussians, in 50 digits

FADING = sp.Rational(3, 4)
NUMBERS = {
    **{tau: sp.Rational(1, 2), c2: sp.Rational(2, 5), eta: sp.Rational(1, 2), NOISED_PLACE: -sp.Rational(1, 3)},
    **{ALPHA_RATIO: sp.exp(-FADING * h), ALPHA_TAYLOR[0]: FADING},
}
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


def growth(sampler: Method) -> mp.mpf:
    """The frame's vector is e^{growth l} x/alpha."""
    return 1 + number(sampler.strength) if sampler.frame is DATA else mp.mpf(0)


@cache
def drift(sampler: Method, law: Law, z: mp.mpf, place: mp.mpf) -> mp.mpf:
    """G for the exact model of the law."""
    kappa, u = 1 + number(sampler.strength), place * number(h)
    x, rho = mp.exp(-growth(sampler) * u) * z, mp.exp(-u)
    p, slope = densities(law, x, rho**2, 2)
    eps = -rho * slope / p
    return kappa * (mp.exp(kappa * u) * (x - rho * eps) if sampler.frame is DATA else -mp.exp(-u) * eps)


def factor(sampler: Method) -> list[list[mp.mpf]]:
    """The rows' noises as shares of independent ones of variance 1."""
    shares: list[list[mp.mpf]] = []
    for i in range(len(sampler.rows)):
        row: list[mp.mpf] = []
        for j in range(i + 1):
            rest = number(sampler.step_noise.covariance(j, i)) - sum(
                a * b for a, b in zip(row, [*shares, row][j], strict=False)
            )
            if j < i:
                row.append(rest / shares[j][j] if shares[j][j] else mp.mpf(0))
            else:
                row.append(mp.sqrt(rest) if rest > mp.mpf(10) ** -40 else mp.mpf(0))
        shares.append(row)
    return shares


def error_of_a_step(sampler: Method, law: Law) -> mp.mpf:
    """The sampler's mean of cos(w z + c) after a step on the law, less the exact one."""
    shares = factor(sampler)
    places = [mp.mpf(0), *(number(row.end) for row in sampler.rows)]
    weights = [[number(w) for w in line] for line in sampler.weights]
    rate, step = number(sampler.step_noise.frame.rate), number(h)
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


def integrated(residual: sp.Expr, law: Law) -> mp.mpf:
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
    by_shape(
        [
            records.DDIM_ETA,
            records.SA_SOLVER_1,
            records.SDE_DPM_SOLVER_PP_2S,
            li_sde.LI_ACCELERATED_SDE,
            EDM_CHURN,
        ]
    ),
)
def test_a_step_on_laws_is_off_by_the_residual(sampler: Method) -> None:
    proof = prove_law_order(sampler)
    for law, residual, order in (
        (MIXTURE, proof.residual, proof.order),
        (GAUSSIAN, at_numbers(proof), proof.gaussian_order),
    ):
        expected = integrated(residual, law)
        measured = error_of_a_step(sampler, law) / number(h) ** (order + 1)
        assert abs(expected) > 1e-4
        assert abs(measured / expected - 1) < 1e-4
