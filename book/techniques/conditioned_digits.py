"""DiffuseVAE on a law of digits: principal components as the latent, and exact diffusions of what it leaves."""

from __future__ import annotations

import torch
from torch import Tensor

from ...numerics.denoisers import Denoiser, adapt
from ...numerics.grids import grid
from ...numerics.laws.gaussian import Gaussian, moments, w2
from ...numerics.points import Point
from ...numerics.sample import sample
from ...numerics.schedules import schedule
from ...numerics.tableau import tabulate
from ...numerics.targets.from_data import fitted
from ...numerics.targets.mixture import GaussianMixture
from ...numerics.training.data import digits
from .technique import Measured

COMPONENTS, RIDGE, SAMPLES = 10, 0.02, 1500
KEPT, STEPS = (0, 4, 8, 32), (1, 2, 5, 10, 20)
END = Point(1.0, 0.0)


def law_of_digits() -> GaussianMixture:
    """Gaussians with full covariances, fitted to the training digits in units of their deviation."""
    flat = digits().train.flatten(1).double()
    return fitted((flat - flat.mean()) / flat.std(), COMPONENTS, RIDGE)


def covariances(law: GaussianMixture) -> Tensor:
    """The covariances [K, d, d] of the components."""
    assert law.axes is not None
    found: Tensor = law.axes * law.variances[:, None, :] @ law.axes.mT
    return found


def given_latents(law: GaussianMixture, H: Tensor, z: Tensor) -> Denoiser:
    """The exact denoiser of p(x0 | H x0 = z), where every sample has latents z [n, k] of its own; H has k rows [k, d].

    The covariances of what a latent leaves are the same for all samples; means and weights are not.
    """
    spread = covariances(law)
    if len(H) == 0:
        means, left, log_weights = law.means.expand(len(z), -1, -1), spread, law.weights.log().expand(len(z), -1)
    else:
        known = H @ spread @ H.T
        gain = torch.linalg.solve(known, H @ spread).mT  # [K, d, k]
        gap = z[:, None] - law.means @ H.T  # [n, K, k]
        means = law.means + torch.einsum("kdj,nkj->nkd", gain, gap)
        left = spread - gain @ H @ spread
        far = torch.einsum("nki,kij,nkj->nk", gap, torch.linalg.inv(known), gap)
        log_weights = law.weights.log() - (far + torch.logdet(known)) / 2
    sizes, axes = torch.linalg.eigh((left + left.mT) / 2)

    def data(x: Tensor, at: Point) -> Tensor:
        total = at.alpha**2 * sizes.clamp(min=0) + at.sigma**2  # [K, d]
        away = torch.einsum("kdj,nkd->nkj", axes, x[:, None] - at.alpha * means)
        logits = log_weights - (away.square() / total + total.log()).sum(dim=2) / 2
        drawn = means + torch.einsum("kdj,nkj->nkd", axes, away * (at.alpha * sizes.clamp(min=0) / total))
        mean: Tensor = (logits.softmax(dim=1)[:, :, None] * drawn).sum(dim=1)
        return mean

    return adapt(data, "data")


def measure_digits_given_components() -> Measured:
    """Squared W2 of Gaussians with the moments of the samples and of the law, by latents kept and steps."""
    law = law_of_digits()
    goal, chance = moments(law, END), torch.Generator().manual_seed(0)
    x0 = law.sample(SAMPLES, END, chance)
    noise = torch.randn(x0.shape, generator=chance, dtype=torch.float64)
    sizes, axes = torch.linalg.eigh(goal.covariance)
    rows, found = [], {}
    for kept in KEPT:
        H = axes.T[len(axes) - kept :]
        latents = {f"{kept}": x0 @ H.T}
        if kept == 8:  # the hole of a prior that is fitted to the latents: a Gaussian of their moments
            spread = sizes[len(sizes) - kept :].sqrt()
            drawn = torch.randn(SAMPLES, kept, generator=chance, dtype=torch.float64)
            latents[f"{kept}, latents from a Gaussian"] = goal.mean @ H.T + drawn * spread
        share = float(sizes[len(sizes) - kept :].sum() / sizes.sum())
        for label, z in latents.items():
            denoise, values = given_latents(law, H, z), []
            for steps in STEPS:
                at = grid(schedule("vp-linear"), "uniform-lambda", steps, t_min=1e-3, t_max=1.0)
                y = sample(denoise, noise, tabulate("ddim", at))
                values.append(w2(goal, Gaussian(y.mean(0), torch.cov(y.T))) ** 2)
            found[label] = values
            rows.append((label, f"{share:.2f}", *(f"{value:.3g}" for value in values)))
    floor = w2(goal, Gaussian(x0.mean(0), torch.cov(x0.T))) ** 2
    rows.append(("exact samples", "", *(f"{floor:.3g}" for _ in STEPS)))
    return Measured(
        number=found["8"][2] / found["0"][2],
        head=("components kept", "their share of the variance", *(f"N = {steps}" for steps in STEPS)),
        rows=tuple(rows),
    )
