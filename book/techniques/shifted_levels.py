"""Timestep Aligner and Time-Shift: samplers that pass the model another level."""

from __future__ import annotations

import math

import torch

from ...numerics.denoisers import Denoiser
from ...numerics.given_levels.aligner import fit_ratios, released, to_the_flow
from ...numerics.given_levels.time_shift import time_shifted
from ...numerics.given_levels.with_level import times_ratio, with_level
from ...numerics.grids import Grid, grid
from ...numerics.schedules import schedule
from ...numerics.targets.flow import quantile
from ...numerics.targets.mixture import GaussianMixture
from ...numerics.wrappers import with_error, with_noise_scaled
from .line_errors import M2, line_errors, start_law
from .on_the_line import M1
from .technique import Measured, Technique

VP = schedule("vp-linear")
NODES = 101
ENTRIES, SAMPLES = 1024, 32


def _ratios(at: Grid, oracle: bool) -> list[float]:
    x, weights = start_law(M1, at, NODES)
    residual = to_the_flow(M1, at, x) if oracle else released(M1, at)
    return fit_ratios(M1, at, x, residual, weights=weights, last=oracle)


def _aligned(mixture: GaussianMixture, at: Grid, ratios: list[float]) -> float:
    return line_errors(mixture, at, "ddim", lambda d: with_level(d, times_ratio(at, ratios)))[1]


def measure_aligner() -> Measured:
    found: dict[str, list[tuple[float, float]]] = {"DDIM": [], "oracle": [], "released loss": [], "oracle, on M2": []}
    for n in (5, 10, 20):
        at = grid(VP, "uniform-t", n, t_min=1e-3, t_max=1.0)
        oracle, loss = (_ratios(at, which) for which in (True, False))
        errors = (line_errors(M1, at)[1], _aligned(M1, at, oracle), _aligned(M1, at, loss), _aligned(M2, at, oracle))
        for label, error in zip(found, errors, strict=True):
            found[label].append((n, error))
    last = {label: points[-1][1] for label, points in found.items()}
    return Measured(
        number=last["released loss"] / last["DDIM"],
        head=("N", *found),
        rows=tuple(
            (str(points[0][0]), *(f"{error:.4f}" for _, error in points))
            for points in zip(*found.values(), strict=True)
        ),
        curves=found,
        x="steps N",
        y="root mean square distance to the exact flow",
    )


def _standardised(variance: float) -> GaussianMixture:
    """M1 moved and scaled to mean 0 and a variance."""
    mean = float(M1.weights @ M1.means[:, 0])
    spread = float(M1.weights @ (M1.variances[:, 0] + M1.means[:, 0].square())) - mean**2
    scale = math.sqrt(variance / spread)
    means = ((M1.means[:, 0] - mean) * scale).tolist()
    return GaussianMixture(M1.weights.tolist(), means, stds=(M1.variances[:, 0].sqrt() * scale).tolist())


def _pooled(denoise: Denoiser, law: GaussianMixture, window: int, cutoff: int) -> float:
    """W2 of all entries after ten steps over a thousand levels, of samples with independent entries."""
    levels = grid(VP, "trailing", 1000, betas="linear", beta_start=1e-4, beta_end=0.02)
    x = law.sample(SAMPLES * ENTRIES, levels.points[0], torch.Generator().manual_seed(0))
    x = x.reshape(SAMPLES, ENTRIES, 1)
    y = time_shifted(denoise, x, levels, list(range(1000, -1, -100)), window=window, cutoff=cutoff)
    level = (torch.arange(y.numel(), dtype=torch.float64)[:, None] + 0.5) / y.numel()
    exact = quantile(law, level.log(), torch.log1p(-level), levels.points[-1])[:, 0]
    return float((y.flatten().sort().values - exact).square().mean().sqrt())


def measure_time_shift() -> Measured:
    law = _standardised(1.0)
    models: dict[str, Denoiser] = {
        "exact score": law,
        "noise 1.03 epshat": with_noise_scaled(law, 1.03),
        "noise epshat + 0.05 sin 2x": with_error(law, lambda x, at: 0.05 * torch.sin(2 * x)),
        "noise 0.97 epshat": with_noise_scaled(law, 0.97),
    }
    settings = ((0, 500), (50, 500), (50, 300), (50, 100), (100, 300))
    found = {name: [_pooled(denoise, law, *setting) for setting in settings] for name, denoise in models.items()}
    exact = found["exact score"]
    return Measured(
        number=min(exact[1:]) / exact[0],
        head=("model", "DDIM", *(f"w = {w}, t_c = {cutoff}" for w, cutoff in settings[1:])),
        rows=tuple((name, *(f"{value:.3f}" for value in values)) for name, values in found.items()),
    )


ALIGNER = Technique(
    name="timestep-aligner",
    system="Timestep Aligner (TimeTuner)",
    title="Timestep Aligner: towards more accurate diffusion model acceleration with a timestep tuner",
    cite="xia2024timetuner",
    claimed="At each step the network is given another timestep, found by aligning the sampling distribution "
    "with the real one; FID of DDIM at 10 steps on LSUN Bedroom falls from 9.65 to 6.07.",
    verdict="one number a step can make the error of DDIM three times smaller, at the same order; the "
    "released loss does not find it with an exact score, and does on two networks",
    quantity="error with the released loss over DDIM's, 20 steps",
    within=(2.0, 10.0),
    covered="system: exact scores of two mixtures in one dimension; networks of digits and photos, a bounded search in "
    "place of Adam",
    formula=r"""The coefficients are those of $t_n$, the network is given $r_n t_n$:

$$x_{n+1} = \frac{\alpha_{n+1}}{\alpha_n}\bigl(x_n - \sigma_n \hat\epsilon\bigr) + \sigma_{n+1} \hat\epsilon, \qquad
\hat\epsilon = \hat\epsilon(x_n, r_n t_n).$$

The released loss is $\lvert \hat\epsilon(x_n, t_n) - \hat\epsilon(x_{n+1}(r_n), t_{n+1}) \rvert^2$, noisiest
step first, the last ratio 1. The oracle here takes the distance of $x_{n+1}$ to the exact flow of the start in its
place.""",
    provenance="the step and the loss read in the code of TimeTuner (`time_tuner.py`); Adam with 500 iterations "
    "is replaced by a bounded search in [0.4, 1.2]. Of the paper the abstract was read.",
    proved=("aligner-order",),
    measure=measure_aligner,
    known="The oracle reduces the error to 0.31 of DDIM's for every N: a constant, so that the order stays "
    "1, as a number cannot repair the defect at every x unless data are a centred Gaussian. Its "
    "ratios, fitted on M1, help M2 too. The released loss asks that the noise does not change along "
    "the path; with an exact score its minimum flattens the path and runs into the bound of the "
    "search, and the error grows from N = 10 on. The published recipe starts at r = 1 and stops "
    "early. On networks of digits and photos, below, it does help.",
    unknown="Images of faces and rooms and their FID; what 500 iterations of Adam stop at.",
    code="""
import samplerproof as sp
mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
grid = sp.grid(sp.schedule("vp-linear"), "uniform-t", 10, t_min=1e-3, t_max=1.0)
x = sp.metrics.nodes((mixture, grid.points[0]), 101)
weights = mixture.log_density(x, grid.points[0]).softmax(0)
ratios = sp.techniques.fit_ratios(mixture, grid, x, sp.techniques.to_the_flow(mixture, grid, x), weights=weights)
denoise = sp.techniques.with_level(mixture, sp.techniques.times_ratio(grid, ratios))
exact, _ = sp.exact_flow(mixture, x, grid.points[0], grid.points[-1])
for model in (mixture, denoise):
    print(sp.metrics.trajectory(sp.sample(model, x, sp.tabulate("ddim", grid)), exact, weights))
""",
    methods=("ddim",),
)

TIME_SHIFT = Technique(
    name="time-shift",
    system="Time-Shift sampler",
    title="Time-Shift: alleviating exposure bias in diffusion models through sampling with shifted time steps",
    cite="li2024timeshift",
    claimed="Continuing from the level whose noise variance is nearest to the variance of the sample corrects "
    "the exposure bias of a trained model, and improves FID at next to no cost.",
    verdict="with an exact score the rule is a fixed shift, and never better than DDIM; it repairs samples of "
    "too small a variance, as some wrong scores make them",
    quantity="best W2 of four settings over DDIM's, exact score",
    within=(0.99, 1.2),
    covered="mechanism: exact and three wrong scores of 1024 independent entries",
    formula=r"""After the step to level $n$, for $n$ above the cutoff $t_c$, in a window of width $w$,

$$t_s = \arg\min_{|k - n| \le w/2} \bigl| \operatorname{var}(x) - \sigma_k^2 \bigr|,$$

with the variance over the entries of one sample; the next evaluation and step start from $t_s$.""",
    provenance="algorithm 3 as recalled, consistent with reviews of the paper; of the released code the file for PNDM "
    "was read (`pnm_solver.py`): it takes the variance of the x before the step, uses $t_s$ as the target of the step "
    "and resumes at the level that was not shifted, which is another algorithm. The remembered theorem, a correction "
    "of |e|^2/(d (d - 1)), holds with d - 1 alone, for errors of mean 0.",
    proved=("time-shift-variance", "time-shift-bias"),
    measure=measure_time_shift,
    known="Data of variance v0 give x the variance 1 - alpha^2 (1 - v0), so that the rule is biased by "
    "alpha^2 v0: at v0 = 1 it chooses the upper edge of the window wherever alpha is not small, and "
    "the constant shifts of w/2 at the levels below 600 give the same W2 to 0.003. With a noise "
    "prediction that is 3 % too large, or that has the error 0.05 sin 2x, samples have too little "
    "variance, the rule shifts to less noise and helps; with one 3 % too small it harms. An error of "
    "the same form and the other sign makes the variance too large, and the rule harms. So it repairs "
    "too small a variance, of any cause, DDIM's own included.",
    unknown="FID on networks, whose exposure bias is the subject of the paper; the theorem in its own words.",
    code="""
import torch, samplerproof as sp
mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
levels = sp.grid(sp.schedule("vp-linear"), "trailing", 1000, betas="linear", beta_start=1e-4, beta_end=0.02)
x = mixture.sample(64 * 256, levels.points[0], torch.Generator().manual_seed(0)).reshape(64, 256, 1)
visited = list(range(1000, -1, -100))
for window in (0, 50):
    y = sp.techniques.time_shifted(mixture, x, levels, visited, window=window, cutoff=300)
    print(window, float(y.var()))
""",
)

TECHNIQUES = (ALIGNER, TIME_SHIFT)
