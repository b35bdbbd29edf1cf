"""The arena: laws of products by two routes, tables moved to another scale, kept values found again, and its page."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from samplerproof.book.pages.arena_page import FILE, arena
from samplerproof.book.records.study_results import OF_ARENA, arena_results
from samplerproof.book.scheme_tables import scheme_table
from samplerproof.book.studies.arena import AT_BUDGET, DIMENSIONS, gaussian_distances, power, run_arena, value_of
from samplerproof.book.studies.bounds import LOW_RANK, PRODUCT, Laws
from samplerproof.book.studies.provable_systems import SYSTEMS, THEOREMS, splitting, variance_preserving
from samplerproof.numerics import metrics
from samplerproof.numerics.grids import Grid
from samplerproof.numerics.laws.gaussian import Gaussian
from samplerproof.numerics.sample import sample
from samplerproof.numerics.tableau import Tableau, tabulate
from samplerproof.theory.collocation import collocation
from samplerproof.theory.scheme import prove_scheme

BY_NAME = {system.name: system for system in SYSTEMS}


def error(table: Tableau) -> float:
    """TV of a deterministic run on the mixture."""
    return metrics.tv(Laws().pushed(table))


@pytest.mark.parametrize("clock", ["sigma", "variance"])
def test_a_table_at_alpha_1_moved_to_the_process_samples_the_same(clock: str) -> None:
    """Assert that x/alpha is the same to rounding after every run, and not if one coefficient is off by 1e-6."""
    laws = Laws()
    levels = Grid.from_sigmas(laws.grid(12).columns.rho)
    table = scheme_table(collocation("trapezoid", (0, 1)).swept(1), levels, clock)
    moved = variance_preserving(table)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    there = sample(laws.mixture, x / moved.points[0].alpha, table)
    here = sample(laws.mixture, x, moved) / moved.points[-1].alpha
    assert torch.allclose(here, there, rtol=1e-11, atol=1e-12)
    outputs = moved.outputs.clone()
    outputs[-1, 0] *= 1 + 1e-6
    off = sample(laws.mixture, x, replace(moved, outputs=outputs)) / moved.points[-1].alpha
    assert not torch.allclose(off, there, rtol=1e-11, atol=1e-12)


def test_one_node_in_the_variance_is_li_ddim() -> None:
    """Assert that collocation at one node in sigma^2 is the record, and that in sigma it is DDIM instead."""
    levels = Grid.from_sigmas([4.0, 2.0, 1.0, 0.3])
    x = torch.linspace(-3, 3, 7, dtype=torch.float64)[:, None]
    mixture = Laws().mixture
    for clock, name, other in (("variance", "li-ddim", "ddim"), ("sigma", "ddim", "li-ddim")):
        ours = sample(mixture, x, scheme_table(collocation("Euler", (0,)), levels, clock))
        assert torch.allclose(ours, sample(mixture, x, tabulate(name, levels)), rtol=1e-13)
        assert not torch.allclose(ours, sample(mixture, x, tabulate(other, levels)), rtol=1e-3)


def test_splitting_is_of_order_two() -> None:
    """Assert the power 2 of TV in N, not 3, and that without the second half of x' = x it is none."""
    laws = Laws()
    coarse, fine = (error(splitting(laws.grid(n))) for n in (200, 400))
    assert math.log2(coarse / fine) == pytest.approx(2, abs=0.15)
    table = splitting(laws.grid(400))
    states = table.states.clone()
    states[2::3] = states[2::3].clamp(max=1)
    assert error(replace(table, states=states)) > 100 * fine


@pytest.mark.parametrize("name", ["lagrange-2", "lagrange-3", "lagrange-4", "chebyshev-gauss-seidel", "collocation"])
def test_swept_systems_have_the_order_that_is_stated(name: str) -> None:
    system = BY_NAME[name]
    make = system.table
    nodes, sweeps, in_turn, _ = make.args  # type: ignore[attr-defined]
    scheme = collocation(name, nodes).swept(sweeps, in_turn)
    assert prove_scheme(scheme).order == system.order


def test_distances_of_normal_laws() -> None:
    """Assert KL and W2 of two normal laws against an integral, and that equal laws are at no distance."""
    one, other = (
        Gaussian(torch.tensor([0.3]), torch.tensor([[0.5]])),
        Gaussian(torch.tensor([0.1]), torch.tensor([[0.8]])),
    )
    one, other = (Gaussian(g.mean.double(), g.covariance.double()) for g in (one, other))
    found = gaussian_distances(one, other)
    x = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    p, q = (torch.distributions.Normal(g.mean, g.covariance[0].sqrt()).log_prob(x) for g in (one, other))
    assert found["kl"] == pytest.approx(float(torch.trapezoid(p.exp() * (p - q), x)), rel=1e-9)
    assert found["w2"] == pytest.approx(math.hypot(0.2, math.sqrt(0.5) - math.sqrt(0.8)), rel=1e-6)
    assert gaussian_distances(one, one) == {"kl": 0, "w2": 0}


def test_kept_values_are_found_again() -> None:
    """Assert that the record is current, and that the values of a run on the line are those kept."""
    assert not OF_ARENA.stale()
    rows = arena_results()["rows"]
    assert {row["system"] for row in rows} == set(BY_NAME)
    laws = Laws()
    for name in ("li-accelerated-ode", "edm-heun", "strang-midpoint", "lagrange-3"):
        kept = value_of(rows, system=name, target=PRODUCT, dimension=1, metric="tv")[0]
        table = BY_NAME[name].table(laws.grid(kept["steps"]))
        assert table.nfe == kept["nfe"]
        assert error(table) == pytest.approx(kept["value"], rel=1e-9)


@pytest.mark.slow
def test_a_sampler_with_noise_is_found_again() -> None:
    """Assert that all values of DDPM in the record are those of a new run."""
    rows = run_arena(systems=(BY_NAME["li-ddpm"],))
    kept = [row for row in arena_results()["rows"] if row["system"] == "li-ddpm"]
    for new, old in zip(rows, kept, strict=True):
        assert new == {**old, "value": pytest.approx(old["value"], rel=1e-6)}


def test_sums_over_coordinates() -> None:
    """Assert that in the record KL is d times that of the line, W2 its root of d, and near a line both are more."""
    rows = arena_results()["rows"]
    high = DIMENSIONS[-1]
    for system in SYSTEMS:
        for metric, growth in (("kl", high), ("w2", math.sqrt(high))):
            line, product, near = (
                [row["value"] for row in value_of(rows, system=system.name, target=t, dimension=d, metric=metric)]
                for t, d in ((PRODUCT, 1), (PRODUCT, high), (LOW_RANK, high))
            )
            assert product == pytest.approx([growth * v for v in line])
            assert all(a > b for a, b in zip(near, line, strict=True))


def test_power_needs_two_values_above_rounding() -> None:
    rows = [{"steps": n, "value": 3 / n**2} for n in (10, 20, 40)]
    assert power(rows, "steps") == pytest.approx(-2)
    assert power(rows[:1], "steps") is None
    assert power([*rows, {"steps": 80, "value": 1e-14}], "steps") is None
    near_one = [{"dimension": d, "value": value, "metric": "tv"} for d, value in ((8, 0.3), (64, 0.7))]
    assert power(near_one, "dimension") is None
    assert power([row | {"metric": "kl"} for row in near_one], "dimension") is not None


def test_the_page_has_every_system_and_theorem() -> None:
    page = arena({**arena_results(), "manifest": arena_results()["manifest"]})[FILE]
    assert isinstance(page, str)
    for system in SYSTEMS:
        assert f"| {system.label} |" in page
    for theorem in THEOREMS:
        assert page.count(f"https://arxiv.org/abs/{theorem.arxiv}") >= 1 + bool(theorem.outside)
    used = {arxiv for system in SYSTEMS for arxiv in system.arxiv}
    assert used | {t.arxiv for t in THEOREMS if t.outside} == {t.arxiv for t in THEOREMS}
    assert str(AT_BUDGET) in page
