"""Weak orders: proved and bounded for every record, lost by altered ones, and those of the flow without noise."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp
from faults import altered_weights
from shapes import by_shape

from samplerproof.theory import methods
from samplerproof.theory.forests import Forest, forests
from samplerproof.theory.frames import DATA, NOISE
from samplerproof.theory.method import Method, settled
from samplerproof.theory.methods import sde as records
from samplerproof.theory.methods.sde import eta, tau
from samplerproof.theory.noise_model import Noise, NoiseModel
from samplerproof.theory.notation import NOISED_PLACE, c2, h, r
from samplerproof.theory.order import equal_steps_proof
from samplerproof.theory.phi_functions import is_zero, phi
from samplerproof.theory.trees import Tree
from samplerproof.theory.weak_order import prove_weak_order

HALF, TINY = sp.Rational(1, 2), 1 + sp.Rational(1, 10**6)


def rows_of(sampler: Method) -> tuple[Noise, ...]:
    return tuple(sampler.step_noise.row(i) for i in range(len(sampler.rows)))


def written_out(sampler: Method) -> Method:
    """The same sampler, the noises of its path as those of its rows."""
    return replace(sampler, noise=NoiseModel(sampler.strength, rows_of(sampler)))


def with_noise(sampler: Method, row: int, noise: Noise) -> Method:
    noises = rows_of(sampler)
    return replace(sampler, noise=NoiseModel(sampler.strength, (*noises[:row], noise, *noises[row + 1 :])))


def independent(sampler: Method) -> Method:
    """Two rows whose noises have the right variances, and nothing in common: a planted fault."""
    whole = sum(a.factor**2 * a.variance for a in sampler.amplitudes(1))
    return with_noise(sampler, 1, Noise(whole, (sp.S.Zero,)))


ONE_STEP = [s for s in records.ALL if not s.history and not s.corrects]

SEEDS_2_PUBLISHED = replace(  # with c2 and 1 - c2 exchanged in the noises of the end
    records.SEEDS_2,
    name="seeds-2-published",
    noise=NoiseModel(
        rows=(
            records.SEEDS_2.step_noise.row(0),
            Noise(
                records.SEEDS_2.step_noise.row(0).variance,
                (phi(0, c2 * h) * sp.sqrt((1 - c2) / c2 * phi(1, 2 * (1 - c2) * h) / phi(1, 2 * c2 * h)),),
            ),
        ),
    ),
)


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


# Proofs of three outputs take seconds, so these run with the slow tests.
LONG = (records.SA_SOLVER_P3C2_FEW_STEPS, records.SA_SOLVER_P3C3, records.SA_SOLVER_P3C3_FEW_STEPS)
EVERY = [pytest.param(s, marks=pytest.mark.slow) if s in LONG else s for s in records.ALL]


@pytest.mark.parametrize("sampler", EVERY, ids=lambda s: s.name)
def test_the_claimed_weak_order_is_the_exact_one(sampler: Method) -> None:
    proof = prove_weak_order(sampler)
    assert proof.order == sampler.order
    assert proof.conditions > 0
    assert all(residual.power == sampler.order + 1 for residual in proof.leading_residuals)
    # and one of them fails for all strengths, where steps are equal
    values = {symbol: sp.Dummy(positive=True) for symbol in (tau, eta)} | {NOISED_PLACE: -sp.Dummy(positive=True)}
    values |= dict.fromkeys(r, sp.S.One)
    assert any(residual.coefficient.subs(values).is_nonzero for residual in proof.leading_residuals)


@pytest.mark.parametrize("sampler", by_shape(records.ALL))
def test_a_coefficient_off_by_a_millionth_loses_the_order(sampler: Method) -> None:
    first, *others = sampler.weights[-1]
    tilted = altered_weights(sampler, len(sampler.rows) - 1, (first * TINY, *others))
    assert prove_weak_order(tilted).order < sampler.order


@pytest.mark.parametrize("sampler", ONE_STEP, ids=lambda s: s.name)
def test_a_noise_off_by_a_millionth_loses_the_order(sampler: Method) -> None:
    assert prove_weak_order(written_out(sampler)).leading_residuals == prove_weak_order(sampler).leading_residuals
    for row in range(len(sampler.rows)):
        noise = sampler.step_noise.row(row)
        if noise.variance != 0:
            off = with_noise(sampler, row, replace(noise, variance=noise.variance * TINY))
            assert prove_weak_order(off).order == 0


@pytest.mark.parametrize("sampler", [s for s in ONE_STEP if len(s.rows) > 1], ids=lambda s: s.name)
def test_a_share_off_by_a_millionth_loses_the_order(sampler: Method) -> None:
    last = len(sampler.rows) - 1
    noise = sampler.step_noise.row(last)
    shares = noise.shares or (sp.S.One,) * last
    off = with_noise(sampler, last, replace(noise, shares=(shares[0] * TINY, *shares[1:])))
    assert prove_weak_order(off).order == 0


@pytest.mark.parametrize("sampler", [records.SDE_DPM_SOLVER_PP_2S, records.SEEDS_2], ids=lambda s: s.name)
def test_a_noise_outside_the_scale_loses_an_order(sampler: Method) -> None:
    """Assert so for the fresh noise of the end in units of the start, off by a factor 1 + O(h)."""
    fresh = sampler.step_noise.row(1)
    assert prove_weak_order(with_noise(sampler, 1, replace(fresh, variance=fresh.variance * phi(0, 2 * h)))).order == 1


@pytest.mark.parametrize(
    "sampler", [records.SDE_DPM_SOLVER_PP_2S, records.SEEDS_2, records.DPMPP_SDE], ids=lambda s: s.name
)
def test_the_noise_of_a_stage_must_be_shared_with_the_end(sampler: Method) -> None:
    proof = prove_weak_order(independent(sampler))
    assert proof.order == 1
    assert [str(residual.forest) for residual in proof.leading_residuals] == ["[[a] a]"]


@pytest.mark.parametrize(("place", "order"), [("1/10", 1), ("1/5", 1), ("9/25", 1), ("1/2", 2), ("4/5", 1)])
def test_exchanged_shares_of_the_noise_lose_an_order_but_in_the_middle(place: str, order: int) -> None:
    """Assert so for the paper's shares: the right variance at the end, a wrong covariance with the stage."""
    assert prove_weak_order(SEEDS_2_PUBLISHED.at({"c2": sp.Rational(place)})).order == order


def test_a_path_run_in_sigma_keeps_order_two() -> None:
    """Assert that k-diffusion's noises, which are not those of one path, keep order 2 with other residuals."""
    for place in (HALF, sp.Rational(1, 3)):
        ours = prove_weak_order(records.SDE_DPM_SOLVER_PP_2S.at({"r": place, "tau": sp.S.One}))
        theirs = prove_weak_order(records.DPMPP_SDE.at({"r": place}))
        assert ours.order == theirs.order == 2
        assert ours.leading_residuals != theirs.leading_residuals


@pytest.mark.parametrize("sampler", [records.SDE_DPM_SOLVER_PP_2M, records.SA_SOLVER_2], ids=lambda s: s.name)
def test_more_steps_before_change_no_residual(sampler: Method) -> None:
    some = sampler.at({"tau": HALF})
    enough, more = (prove_weak_order(some, before).leading_residuals for before in (2, 3))
    assert enough == more
    assert prove_weak_order(some, 1).leading_residuals != enough
    free = prove_weak_order(sampler).leading_residuals
    assert [e.coefficient.subs(tau, HALF).expand() for e in free] == [e.coefficient.expand() for e in enough]


def test_three_outputs_meet_one_obstruction() -> None:
    """Assert that SA-Solver's predictor 3 fails one condition of order 3, f_zz(G_z(e_a), G_z(e_a)), by tau^2/6."""
    proof = prove_weak_order(records.SA_SOLVER_3.at({"tau": HALF}), 3)
    (residual,) = proof.leading_residuals
    assert (proof.order, str(residual.forest)) == (2, "[[a] [a]]")
    assert residual.coefficient.subs(dict.fromkeys(r, 1)) == HALF**2 / 6


def test_2m_with_its_ratio_inverted_loses_an_order() -> None:
    weights = tuple(w.subs(r[0], 1 / r[0]) for w in records.SDE_DPM_SOLVER_PP_2M.applied[0])
    row = replace(records.SDE_DPM_SOLVER_PP_2M.rows[0], rule=None, published=weights)
    assert prove_weak_order(replace(records.SDE_DPM_SOLVER_PP_2M, rows=(row,))).order == 1


# --- at strength 0 the forests are the trees of order.py

DETERMINISTIC = ["ddim", "dpm-solver++-2s", "dpm-solver++-2s-taylor", "dpm-solver-2s", "exp-adams-2", "dpm-solver++-2m"]


def without_noise(method: Method) -> Method:
    start = None if method.start is None else without_noise(settled(method.start))
    return replace(method, aliases=(), start=start, noise=NoiseModel(sp.S.Zero))


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


STILL = {  # a sampler without noise, and the method of the flow that it is
    "sa-solver-1?tau=0": "ddim",
    "sa-solver-2?tau=0": "exp-adams-2",
    "sa-solver-3?tau=0": "exp-adams-3",
    "sa-solver-p1c1?tau=0": "unipc-1-vary",
    "sa-solver-p2c2?tau=0": "unipc-2-vary",
    "sa-solver-p3c3?tau=0": "unipc-3-vary",
    "sa-solver-p1c1-few-steps?tau=0": "unipc-1-bh1",
    "sa-solver-p2c2-few-steps?tau=0": "unipc-2-bh1",
    "sa-solver-p3c3-few-steps?tau=0": "unipc-3-bh1",
    "sde-dpm-solver++-2m?tau=0": "dpm-solver++-2m",
    "sde-dpm-solver++-2s?r=1/3&tau=0": "dpm-solver++-2s?r=1/3",
    "sde-dpm-solver++-3m-published?tau=0": "dpm-solver++-3m-published",
}


@pytest.mark.parametrize(("name", "flow"), STILL.items())
def test_a_strength_of_zero_is_a_method_of_the_flow(name: str, flow: str) -> None:
    """Assert that rows, states and order are those of the flow's method, which trees prove up to 4, without noise."""
    still, method = methods.find(name), methods.find(flow)
    for i, (ours, theirs) in enumerate(zip(still.applied, method.applied, strict=True)):
        assert all(is_zero(a - b) for a, b in zip(ours, theirs, strict=True))
        assert still.carried(i) == (1,)
        assert still.amplitudes(i) == ()
    assert [row.nodes for row in still.rows] == [row.nodes for row in method.rows]
    assert (still.order, still.kind, still.nfe_per_step) == (method.order, method.kind, method.nfe_per_step)


@pytest.mark.parametrize(
    "name",
    by_shape(
        [
            *("ddim-eta?eta=0", "sa-solver-1?tau=0", "sa-solver-2?tau=0", "sa-solver-3?tau=0", "sa-solver-p1c1?tau=0"),
            *("sa-solver-2-few-steps?tau=0", "sa-solver-p2c1-few-steps?tau=0", "sa-solver-p2c2-few-steps?tau=0"),
            *("sde-dpm-solver-2m?tau=0", "sde-dpm-solver++-2m?tau=0", "sde-dpm-solver++-2s?tau=0"),
        ]
    ),
)
def test_without_strength_the_order_is_that_of_the_parameter(name: str) -> None:
    still = methods.find(name)
    proof = prove_weak_order(still)
    assert proof.order == still.order
    assert not any(residual.forest.lianas for residual in proof.leading_residuals)


def test_the_barrier_is_the_residual_of_the_forests() -> None:
    """Assert that the residual is 2 tau^2 times the squared distance of B from 1 - s, for n = 1 jump."""
    residuals = {str(e.forest): e.coefficient for e in prove_weak_order(records.SDE_DPM_SOLVER_PP_2S).leading_residuals}
    distance = residuals["[[a] [a]]"] / (2 * tau**2) + residuals["[[2]]"]
    s, share = sp.Symbol("s"), 1 / (2 * c2)
    whole = sp.integrate((share - (1 - s)) ** 2, (s, 0, c2)) + sp.integrate((1 - s) ** 2, (s, c2, 1))
    assert sp.simplify(distance - whole) == 0
    assert sp.simplify(whole.subs(c2, sp.Rational(2, 3))) == sp.Rational(1, 24) > sp.Rational(1, 48)


def test_a_step_that_is_off_by_a_number_has_no_order_and_one_that_is_not_has() -> None:
    """Assert the two limits by which consistency fails, and that DDPM under a claim of none is still of order 1."""
    none = prove_weak_order(methods.find("consistency"))
    assert none.order == 0
    assert "of no weak order" in none.statement
    assert none.leading_residuals
    assert all(residual.power == 0 for residual in none.leading_residuals)
    assert prove_weak_order(replace(records.DDPM, name="claims-none", order=0)).order == 1
