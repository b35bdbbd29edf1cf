"""Weak orders: proved and bounded for every record, lost by altered ones, and those of the flow without noise."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

from samplerproof.theory import methods
from samplerproof.theory.forests import Forest, forests
from samplerproof.theory.frames import DATA, NOISE
from samplerproof.theory.method import Method, settled
from samplerproof.theory.methods import stochastic as records
from samplerproof.theory.methods.stochastic import SAMPLERS
from samplerproof.theory.notation import c2, eta, h, r, tau2
from samplerproof.theory.order import equal_steps_proof
from samplerproof.theory.phi import is_zero, phi
from samplerproof.theory.stochastic import NOISY_DATA, NOISY_NOISE, Sampler
from samplerproof.theory.trees import Tree
from samplerproof.theory.weak import prove_weak_order

TINY = 1 + sp.Rational(1, 10**6)


def at(sampler: Sampler, values: dict[sp.Symbol, sp.Expr]) -> Sampler:
    """The sampler with numbers for its symbols."""
    return replace(
        sampler,
        strength=sampler.strength.subs(values),
        rows=tuple(
            replace(
                row,
                to=row.to if isinstance(row.to, int) else row.to.subs(values),
                rule=None,
                published=tuple(((1 + sampler.strength) * w).subs(values) for w in weights),
            )
            for row, weights in zip(sampler.rows, sampler.weights, strict=True)
        ),
        covariances=None
        if sampler.covariances is None
        else tuple(tuple(c.subs(values) for c in line) for line in sampler.covariances),
        start=None if sampler.start is None else at(sampler.start, values),
    )


def with_covariances(sampler: Sampler) -> Sampler:
    """The same sampler, its path written out."""
    if sampler.covariances is not None:
        return sampler
    ends = [sampler.variance(sp.sympify(row.to)) for row in sampler.rows]
    return replace(sampler, covariances=tuple(tuple(ends[: i + 1]) for i in range(len(ends))))


def altered(sampler: Sampler, i: int, j: int, covariance: sp.Expr) -> Sampler:
    whole = with_covariances(sampler)
    lines = [list(line) for line in whole.covariances or ()]
    lines[i][j] = covariance
    return replace(whole, covariances=tuple(map(tuple, lines)))


def test_numbers_of_forests() -> None:
    assert [len(forests(n)) for n in range(1, 5)] == [2, 4, 16, 68]
    for n in range(1, 5):  # without lianas under a root with one child: rooted trees with legs
        trees = [f for f in forests(n) if not f.lianas]
        assert len(trees) == [1, 2, 5, 13][n - 1]


def test_forests_are_readable_and_know_their_symmetry() -> None:
    obstruction = Forest((0, 0), (0, 0), ((1, 2),))
    assert obstruction in forests(3)
    assert (str(obstruction), obstruction.symmetry) == ("[[a] [a]]", 2)
    assert obstruction.latex == r"f_{zz}\left(G_{z}\left(e_{a}\right), G_{z}\left(e_{a}\right)\right)"
    assert (str(Forest((0,), (1,), ((0, 1), (1, 1)))), Forest((0,), (0,), ((1, 1), (1, 1))).symmetry) == (
        "[[1 a b b] a]",
        8,
    )


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.name)
def test_the_claimed_weak_order_is_the_exact_one(sampler: Sampler) -> None:
    proof = prove_weak_order(sampler)
    assert proof.order == sampler.order
    assert proof.conditions > 0
    assert all(residual.power == sampler.order + 1 for residual in proof.leading_residuals)
    # and one of them fails for all positive values of the symbols
    positive = {symbol: sp.Dummy(positive=True) for symbol in (tau2, eta)}
    assert any(residual.coefficient.subs(positive).is_nonzero for residual in proof.leading_residuals)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.name)
def test_a_coefficient_off_by_a_millionth_loses_the_order(sampler: Sampler) -> None:
    last = sampler.rows[-1]
    weights = [(1 + sampler.strength) * w for w in sampler.weights[-1]]
    tilted = replace(last, rule=None, published=(weights[0] * TINY, *weights[1:]))
    assert prove_weak_order(replace(sampler, rows=(*sampler.rows[:-1], tilted))).order < sampler.order


@pytest.mark.parametrize("sampler", [s for s in SAMPLERS if not s.history], ids=lambda s: s.name)
def test_a_noise_off_by_a_millionth_loses_the_order(sampler: Sampler) -> None:
    whole = with_covariances(sampler)
    assert prove_weak_order(whole).leading_residuals == prove_weak_order(sampler).leading_residuals
    last = len(sampler.rows) - 1
    assert whole.covariances is not None
    assert prove_weak_order(altered(sampler, last, last, whole.covariances[-1][-1] * TINY)).order == 0


@pytest.mark.parametrize("sampler", [records.SDE_DPM_SOLVER_PP_2S, records.SEEDS_2], ids=lambda s: s.name)
def test_a_noise_outside_the_scale_loses_an_order(sampler: Sampler) -> None:
    """The noise of the end in units of the start: off by a factor 1 + O(h)."""
    outside = sampler.variance(sp.S.One) * phi(0, 2 * h)
    assert prove_weak_order(altered(sampler, 1, 1, outside)).order == 1


def test_the_noise_of_a_stage_must_be_shared_with_the_end() -> None:
    for sampler in (records.SDE_DPM_SOLVER_PP_2S, records.SEEDS_2):
        independent = prove_weak_order(altered(sampler, 1, 0, sp.S.Zero))
        assert independent.order == 1
        assert [str(residual.forest) for residual in independent.leading_residuals] == ["[[a] a]"]


@pytest.mark.parametrize(("place", "order"), [("1/10", 1), ("1/5", 1), ("9/25", 1), ("1/2", 2), ("4/5", 1)])
def test_exchanged_shares_of_the_noise_lose_an_order_but_in_the_middle(place: str, order: int) -> None:
    c = sp.Rational(place)
    first, second = 2 * c * h, 2 * (1 - c) * h
    met = phi(0, -h) * h * sp.sqrt(4 * c * (1 - c) * phi(1, first) * phi(1, second))
    assert prove_weak_order(altered(at(records.SEEDS_2, {c2: c}), 1, 0, met)).order == order


def test_a_path_run_in_sigma_keeps_order_two() -> None:
    """A Brownian path over sigma, its increments normalised, meets itself with sqrt((1 - e^{-ch})/(1 - e^{-h}))."""
    sampler = at(records.SDE_DPM_SOLVER_PP_2S, {tau2: sp.S.One})
    ratio = phi(1, -c2 * h) / phi(1, -h) * phi(1, 2 * c2 * h) * phi(1, 2 * h)
    met = altered(sampler, 1, 0, 2 * c2 * h * sp.sqrt(ratio))
    assert prove_weak_order(met).order == 2
    assert prove_weak_order(met).leading_residuals != prove_weak_order(sampler).leading_residuals


@pytest.mark.parametrize("sampler", [records.SDE_DPM_SOLVER_PP_2M, records.SA_SOLVER_2], ids=lambda s: s.name)
def test_more_steps_before_change_no_residual(sampler: Sampler) -> None:
    some = at(sampler, {tau2: sp.Rational(1, 3)})
    enough, more = (prove_weak_order(some, before).leading_residuals for before in (2, 3))
    assert enough == more
    assert prove_weak_order(some, 1).leading_residuals != enough
    free = prove_weak_order(sampler).leading_residuals
    assert [e.coefficient.subs(tau2, sp.Rational(1, 3)).expand() for e in free] == [
        e.coefficient.expand() for e in enough
    ]


def test_three_outputs_meet_one_obstruction() -> None:
    """SA-Solver's predictor 3: with noise one condition of order 3 fails, f_zz(G_z(e_a), G_z(e_a)), by tau^2/6."""
    third = sp.Rational(1, 3)
    proof = prove_weak_order(at(records.SA_SOLVER_3, {tau2: third}), 3)
    (residual,) = proof.leading_residuals
    assert (proof.order, str(residual.forest)) == (2, "[[a] [a]]")
    assert residual.coefficient.subs(dict.fromkeys(r, 1)) == third / 6
    without = at(records.SA_SOLVER_3, {tau2: sp.S.Zero}).weights[0]
    assert all(is_zero(a - b) for a, b in zip(without, methods.find("exp-adams-3").weights[0], strict=True))


def test_2m_with_its_ratio_inverted_loses_an_order() -> None:
    weights = tuple((1 + tau2) * w.subs(r[0], 1 / r[0]) for w in records.SDE_DPM_SOLVER_PP_2M.weights[0])
    row = replace(records.SDE_DPM_SOLVER_PP_2M.rows[0], rule=None, published=weights)
    assert prove_weak_order(replace(records.SDE_DPM_SOLVER_PP_2M, rows=(row,))).order == 1


# --- at strength 0 the forests are the trees of order.py

DETERMINISTIC = ["ddim", "dpm-solver++-2s", "dpm-solver++-2s-taylor", "dpm-solver-2s", "exp-adams-2", "dpm-solver++-2m"]


def without_noise(method: Method) -> Sampler:
    frame = NOISY_DATA if method.frame is DATA else NOISY_NOISE
    start = None if method.start is None else without_noise(settled(method.start))
    text = (method.cite, method.summary)
    return Sampler(method.name, frame, sp.S.Zero, method.rows, method.order, *text, start=start)


def as_tree(forest: Forest, node: int) -> Tree:
    return Tree(forest.legs[node - 1], tuple(sorted(as_tree(forest, child) for child in forest.children(node))))


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_without_noise_orders_and_defects_are_those_of_the_flow(name: str) -> None:
    method = settled(methods.find(name))
    assert method.frame in (DATA, NOISE)
    proof, known = prove_weak_order(without_noise(method)), equal_steps_proof(method)
    assert proof.order == known.order == method.order
    ones = dict.fromkeys(r, 1)
    ours = {as_tree(e.forest, 1): e.coefficient.subs(ones) for e in proof.leading_residuals if e.forest.parents}
    assert not any(residual.forest.lianas for residual in proof.leading_residuals)
    assert ours == {defect.tree: defect.coefficient for defect in known.leading_defects} or method.history


@pytest.mark.parametrize("name", ["sde-dpm-solver++-2m", "sde-dpm-solver++-2s", "sa-solver-1", "ddim-eta"])
def test_a_strength_of_zero_is_the_flow(name: str) -> None:
    (sampler,) = [s for s in SAMPLERS if s.name == name]
    still = prove_weak_order(at(sampler, {tau2: sp.S.Zero, eta: sp.S.Zero}))
    assert still.order == sampler.order
    assert not any(residual.forest.lianas for residual in still.leading_residuals)


def test_the_barrier_is_what_the_forests_say() -> None:
    """Off by 2 tau^2 times the squared distance of B from 1 - s, and the two-stage sampler has n = 1 jump."""
    residuals = {str(e.forest): e.coefficient for e in prove_weak_order(records.SDE_DPM_SOLVER_PP_2S).leading_residuals}
    distance = residuals["[[a] [a]]"] / (2 * tau2) + residuals["[[2]]"]
    s, share = sp.Symbol("s"), 1 / (2 * c2)
    whole = sp.integrate((share - (1 - s)) ** 2, (s, 0, c2)) + sp.integrate((1 - s) ** 2, (s, c2, 1))
    assert sp.simplify(distance - whole) == 0
    assert sp.simplify(whole.subs(c2, sp.Rational(2, 3))) == sp.Rational(1, 24) > sp.Rational(1, 48)
