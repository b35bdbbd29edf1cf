"""Semi-discrete transport and starts from stored points (DPM-OT); the policy gradient of a chain (SFT-PG)."""

from __future__ import annotations

import math

import pytest
import torch

from samplerproof.book.techniques.line_errors import line_errors
from samplerproof.book.techniques.on_the_line import M1
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grids import grid
from samplerproof.numerics.policy_gradient import (
    GaussianChain,
    exact_gradient,
    policy_gradient,
    shortcut,
    value,
)
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.semi_discrete_transport import cell_masses, heights, transported, wasserstein_to_atoms
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture

ATOMS = torch.tensor([-1.0, 0.0, 0.5, 2.0], dtype=torch.float64)
MASSES = torch.tensor([0.1, 0.4, 0.2, 0.3], dtype=torch.float64)
NORMAL, QUANTILE = torch.special.ndtr, torch.special.ndtri
VP = schedule("vp-linear")
TWO = GaussianMixture([0.5, 0.5], [-2.0, 2.0], stds=[0.25, 0.25])
CHAIN = GaussianChain((0.9, 0.8, 0.7), (0.1, -0.2, 0.3), (0.5, 0.4, 0.3))
EXACT = {
    "square": [[0.5645, 0.8613, 1.1219], [0.2419, 0.3024, 0.4320]],
    "cosine": [[-0.3766, -0.5759, -0.7461], [-0.1722, -0.2153, -0.3076]],
}
FUNCTIONS = {"square": torch.square, "cosine": lambda x: torch.cos(2 * x)}


def test_heights_have_a_closed_form() -> None:
    """Assert the masses of the cells of the map, by formula and by counting, and the wrong ones of another source."""
    found = heights(ATOMS, MASSES, QUANTILE)
    assert torch.allclose(cell_masses(ATOMS, found, NORMAL), MASSES, rtol=0, atol=1e-12)
    x = QUANTILE((torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000)
    y = transported(x, ATOMS, found)
    assert [float((y == atom).double().mean()) for atom in ATOMS] == pytest.approx(MASSES.tolist(), abs=1e-5)
    assert bool((y.diff() >= 0).all())  # a map of least cost is monotone
    off = found + torch.tensor([0.0, 0.0, 0.0, 1e-6], dtype=torch.float64)
    assert not torch.allclose(cell_masses(ATOMS, off, NORMAL), MASSES, rtol=0, atol=1e-8)
    # Fitted to the uniform source of the released code, used with a normal one.
    wrong = cell_masses(ATOMS, heights(ATOMS, MASSES, lambda u: u), NORMAL)
    assert wrong.tolist() == pytest.approx([0.540, 0.152, 0.067, 0.242], abs=1e-3)
    covered = found + torch.tensor([0.0, -9.0, 0.0, 0.0], dtype=torch.float64)
    assert float(cell_masses(ATOMS, covered, NORMAL)[1]) == 0


def test_masses_are_the_gradient_of_the_energy() -> None:
    """Assert d/dh E max(x y + h) = w(h) by finite differences, for the uniform source."""
    h = torch.tensor([0.3, 0.1, -0.1, -0.9], dtype=torch.float64)
    x = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000

    def energy(height: torch.Tensor) -> float:
        return float((x[:, None] * ATOMS + height).amax(dim=1).mean())

    masses = cell_masses(ATOMS, h, lambda u: u.clamp(0, 1))
    for i in range(4):
        step = torch.zeros(4, dtype=torch.float64)
        step[i] = 1e-4
        assert (energy(h + step) - energy(h - step)) / 2e-4 == pytest.approx(float(masses[i]), abs=2e-4)


def test_bad_atoms_and_chains_are_refused() -> None:
    """Assert one line for atoms out of order, masses, a step without noise, and a target that is too narrow."""
    with pytest.raises(InputError, match=r"atoms: got .*strictly ascending"):
        heights(ATOMS.flip(0), MASSES, QUANTILE)
    with pytest.raises(InputError, match=r"masses: got .*with the sum 1"):
        heights(ATOMS, 2 * MASSES, QUANTILE)
    with pytest.raises(InputError, match=r"masses: got .*with the sum 1"):
        heights(ATOMS, (1 + 1e-9) * MASSES, QUANTILE)
    assert heights(ATOMS, MASSES.float(), QUANTILE).isfinite().all()
    with pytest.raises(InputError, match=r"stds\[1\]: got 0.0; a number > 0"):
        GaussianChain((1.0, 1.0), (0.0, 0.0), (0.5, 0.0))
    with pytest.raises(InputError, match="shifts: got"):
        GaussianChain((1.0, 1.0), (0.0,), (0.5, 0.1))
    with pytest.raises(InputError, match=r"stds\[1\]: got 0.8; at most the standard deviation 0.707"):
        shortcut(1.0, 0.5, (0.4, 0.8))
    with pytest.raises(InputError, match="paths: got 1; at least 2"):
        policy_gradient(CHAIN, torch.square, 1, torch.Generator())


@pytest.mark.parametrize(("law", "few", "all_steps"), [(M1, 0.0629, 0.285), (TWO, 0.0542, 0.2885)])
def test_starting_late_is_the_gain(law: GaussianMixture, few: float, all_steps: float) -> None:
    """Assert W2 of five steps of DDIM from the exact law at t = 0.3 and from t = 1, where the map is monotone."""
    late, early, later = (grid(VP, "uniform-t", 5, t_min=1e-3, t_max=t) for t in (0.3, 1.0, 0.2))
    assert law is TWO or line_errors(law, later, points=4001)[1] == pytest.approx(0.036, rel=0.02)
    assert line_errors(law, late, points=4001)[1] == pytest.approx(few, rel=0.02)
    assert line_errors(law, early, points=4001)[1] == pytest.approx(all_steps, rel=0.02)


@pytest.mark.slow
def test_few_stored_points_are_the_floor() -> None:
    """Assert that W2 falls with the number of stored points, to that of the exact law at t*, and 100 lose to DDIM."""
    late = grid(VP, "uniform-t", 5, t_min=1e-3, t_max=0.3)
    table, found = tabulate("ddim", late), {}
    for count in (100, 1000, 5000):
        draws = [TWO.sample(count, late.points[0], torch.Generator().manual_seed(seed)) for seed in range(5)]
        found[count] = sum(wasserstein_to_atoms(TWO, late.points[-1], sample(TWO, x, table), 8) for x in draws) / 5
    assert found[100] > found[1000] > found[5000] > 0.0542
    assert found[100] > 0.2885  # five steps of DDIM from t = 1
    assert found[1000] == pytest.approx(0.27, rel=0.35)  # the weights of the modes fluctuate


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_policy_gradient_is_the_gradient(name: str) -> None:
    """Assert the estimate within 4 standard errors of the exact gradient, and smaller errors with the exact value."""
    f = FUNCTIONS[name]
    exact = exact_gradient(CHAIN, f)
    assert exact.tolist() == [pytest.approx(row, abs=1e-4) for row in EXACT[name]]
    plain, based = (
        policy_gradient(CHAIN, f, 100_000, torch.Generator().manual_seed(0), baseline=b) for b in (False, True)
    )
    for estimate in (plain, based):
        assert float(((estimate.mean - exact) / estimate.stderr).abs().max()) < 4
        assert float(((estimate.mean / 2 - exact) / estimate.stderr).abs().max()) > 4  # averaged over pixels, say
    shares = (based.stderr / plain.stderr).flatten().tolist()
    low, high = (0.50, 0.75) if name == "square" else (0.86, 0.96)
    assert all(low < share < high for share in shares)


def test_values_and_shortcuts_are_exact() -> None:
    """Assert E[x^2 | x_k] against its formula, and that the shortcut ends at N(1, 1/2)."""
    g, c, v = CHAIN.after(1)
    state = torch.tensor([-1.0, 0.2], dtype=torch.float64)
    assert torch.allclose(value(CHAIN, torch.square, 1, state), (g * state + c) ** 2 + v, rtol=1e-12)
    g, c, v = shortcut(1.0, 0.5, (0.4, 0.3)).after(0)
    assert (c, g**2 + v) == pytest.approx((1.0, 0.5), abs=1e-14)
    assert math.isclose(shortcut(0.0, 0.09, (0.4, 0.3)).gains[1], 0.0, abs_tol=1e-8)
