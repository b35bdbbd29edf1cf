"""Phase-space Langevin diffusion in closed form, its score, splitting integrators and exponential rules."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from samplerproof.book.techniques.on_the_line import M1, PLANE
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grids import grid
from samplerproof.numerics.noise import NoiseSource, seeded
from samplerproof.numerics.phase_space.exponential_rules import exponential_table, run_exponential
from samplerproof.numerics.phase_space.phase_mixture import PhaseMixture
from samplerproof.numerics.phase_space.phase_moments import Moments, affine_moments, exact_moments, split_moments
from samplerproof.numerics.phase_space.phase_process import PhaseSpace, acted, clock_of
from samplerproof.numerics.phase_space.splitting_records import SPLITTINGS, Splitting, Substep
from samplerproof.numerics.phase_space.splitting_run import split
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.targets.mixture import GaussianMixture

CIFAR = PhaseSpace()
GAUSSIAN = PhaseMixture(GaussianMixture([1.0], [0.0], stds=[0.6]), CIFAR)


def clock(steps: int) -> Tensor:
    """t from 1 to 0.02 in equal steps, beta = 8."""
    return 8 * torch.linspace(1.0, 0.02, steps + 1, dtype=torch.float64)


def moments_by_ode(space: PhaseSpace, b: float, start: Tensor) -> tuple[Tensor, Tensor]:
    """Psi(b) and the covariance from `start` at 0, by integration of their equations."""
    drift, noise = space.drift.numpy(), space.diffusion.numpy()

    def slope(_: float, y: np.ndarray) -> np.ndarray:
        psi, c = y[:4].reshape(2, 2), y[4:].reshape(2, 2)
        return np.concatenate([(drift @ psi).ravel(), (drift @ c + c @ drift.T + noise).ravel()])

    y0 = np.concatenate([np.eye(2).ravel(), start.numpy().ravel()])
    end = solve_ivp(slope, (0.0, b), y0, method="DOP853", rtol=1e-13, atol=1e-15).y[:, -1]
    return torch.from_numpy(end[:4].reshape(2, 2)), torch.from_numpy(end[4:].reshape(2, 2))


@pytest.mark.parametrize("space", [CIFAR, PhaseSpace(0.0, 4.0, 0.04), PhaseSpace(3.0, 1.0, 1.0)], ids=str)
def test_the_closed_form_is_the_solution_of_the_moment_equations(space: PhaseSpace) -> None:
    """Assert Psi and the covariance against integration, at short and long b, and that another mass is seen."""
    for b in (0.05, 0.4, 8.0):
        start = space.kappa * space.mass * torch.diag(torch.tensor([0.0, 1.0], dtype=torch.float64))
        psi, covariance = moments_by_ode(space, b, start)
        assert torch.allclose(space.scale(b), psi, atol=1e-12)
        assert torch.allclose(space.perturbation(b), covariance, rtol=1e-10, atol=1e-13)
        assert not torch.allclose(space.noise(b), covariance * (1 + 1e-6), rtol=1e-9)
        assert torch.allclose(space.scale(-b) @ psi, torch.eye(2, dtype=torch.float64), atol=1e-11)


def test_a_short_covariance_keeps_its_digits() -> None:
    """Assert the leading term of the variance of x where the noise enters the momentum only: M nu b^3/(12 M^2)."""
    space, b = PhaseSpace(0.0, 4.0), 1e-5
    assert float(space.noise(b)[0, 0]) == pytest.approx(space.nu * b**3 / (12 * space.mass), rel=1e-4)


def test_the_score_is_the_gradient_of_a_density_that_solves_its_equation() -> None:
    """Assert the score by differences of log p, in one dimension and in the plane, and dp/db = -div(A z p) + D p''/2."""
    for mixture, b in ((M1, 0.7), (PLANE, 0.3)):
        law = PhaseMixture(mixture, CIFAR)
        z, step = law.sample(5, b, torch.Generator().manual_seed(1)), 1e-5
        units = step * torch.eye(2 * mixture.dim, dtype=torch.float64)
        at = law.at(b)
        from samplerproof.numerics.phase_space.phase_mixture import AS_IT_IS

        logs = [at.log_density(z + sign * unit, AS_IT_IS) for unit in units for sign in (1, -1)]
        slopes = torch.stack([(up - down) / (2 * step) for up, down in zip(logs[::2], logs[1::2], strict=True)], dim=1)
        assert torch.allclose(law(z, b), slopes, atol=1e-6)
    law, step = PhaseMixture(M1, CIFAR), 1e-4

    def log_density(at: Tensor, b: float) -> Tensor:
        return law.at(b).log_density(at, AS_IT_IS)

    z = law.sample(5, 0.7, torch.Generator().manual_seed(2))
    score, rates = law(z, 0.7), []
    rate = (log_density(z, 0.7 + step) - log_density(z, 0.7 - step)) / (2 * step)
    for i in range(2):
        unit = step * torch.eye(2, dtype=torch.float64)[i]
        rates.append((law(z + unit, 0.7)[:, i] - law(z - unit, 0.7)[:, i]) / (2 * step))
    second = torch.stack(rates, dim=1) + score.square()
    due = -CIFAR.drift.trace() - (acted(CIFAR.drift, z) * score).sum(1) + second @ CIFAR.diffusion.diagonal() / 2
    assert torch.allclose(rate, due, atol=1e-5)
    assert not torch.allclose(rate, due + CIFAR.drift.trace(), atol=1e-2)


def test_the_flow_carries_the_law() -> None:
    """Assert that the flow of Gaussian data is a linear map that takes the covariance at one b to that at another."""
    units = torch.eye(2, dtype=torch.float64)
    jacobian = GAUSSIAN.flow(units, 8.0, 0.16).T
    start, end = exact_moments(GAUSSIAN, 8.0), exact_moments(GAUSSIAN, 0.16)
    assert torch.allclose(jacobian @ start.covariance @ jacobian.T, end.covariance, atol=1e-9)
    assert not torch.allclose(jacobian @ start.covariance @ jacobian.T * (1 + 1e-6), end.covariance, atol=1e-9)


def whole_run(name: str, steps: int) -> Moments:
    """The moments of a run of equal steps, from the run as a whole and all its noises at once."""
    draws = steps * sum(substep.part in "OL" for substep in SPLITTINGS[name].substeps) or steps

    def run(z: Tensor, noise: NoiseSource) -> Tensor:
        return split(CIFAR, GAUSSIAN, z, clock(steps), name, noise)

    return affine_moments(run, exact_moments(GAUSSIAN, 8.0), draws)


@pytest.mark.parametrize("name", ["euler-maruyama", "reduced-obab", "sscs-midpoint"])
def test_moments_step_by_step_are_those_of_the_whole_run(name: str) -> None:
    steps = 8
    recursive, whole = split_moments(GAUSSIAN, clock(steps), name), whole_run(name, steps)
    assert torch.allclose(recursive.covariance, whole.covariance, rtol=1e-11, atol=1e-13)
    z = exact_moments(GAUSSIAN, 8.0).covariance.sqrt().diagonal()
    drawn = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * z
    end = split(CIFAR, GAUSSIAN, drawn, clock(steps), name, seeded(0))
    assert float(end[:, 0].var()) == pytest.approx(float(whole.covariance[0, 0]), rel=0.04)  # four standard errors


def variance_error(law: PhaseMixture, steps: int, name: str | Splitting) -> float:
    exact = exact_moments(law, 0.16).covariance
    return float((split_moments(law, clock(steps), name).covariance - exact)[0, 0])


def slope(coarse: float, fine: float) -> float:
    return math.log2(coarse / fine)


def test_orders_in_law_at_few_steps() -> None:
    """Assert weak order 2 of SSCS with the midpoint rule, 1 without, and that a score asked late or scaled is seen."""
    fine, coarse = variance_error(GAUSSIAN, 160, "sscs-midpoint"), variance_error(GAUSSIAN, 80, "sscs-midpoint")
    assert slope(coarse, fine) == pytest.approx(2, abs=0.1)
    plain = [variance_error(GAUSSIAN, n, "sscs") for n in (80, 160)]
    assert slope(*plain) == pytest.approx(1, abs=0.1)
    half = Substep("L", 0.5)
    late = Splitting("late", True, (half, Substep("S", 1.0, 1.0, midpoint=True), half))
    assert abs(variance_error(GAUSSIAN, 80, late)) > 3 * abs(coarse)


# Root mean square of the error of x for 400 draws: of the law these figures vary by about 15 % between draws, as few
# points next to the ridge between the modes carry them; seed 1 is near the figures of another draw.
DRAWN = {
    "euler": (0.281, 0.138, 0.0704),
    "reduced-symplectic-euler": (0.0526, 0.0257, 0.0127),
    "naive-symplectic-euler": (0.0526, 0.0257, 0.0127),
    "naive-velocity-verlet": (0.0413, 0.0212, 0.0107),
    "reduced-velocity-verlet": (0.00943, 0.00443, 0.00217),
    "strang-midpoint": (2.55e-3, 6.42e-4, 1.61e-4),
    "adams-2": (2.00e-2, 5.19e-3, 1.31e-3),
    "one-node": (0.376, 0.191, 0.0967),
    "one-node-noise": (0.364, 0.184, 0.0936),
}
