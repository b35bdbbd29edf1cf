"""LCM and TCD: what the steps of consistency models do without their function; ProDiff: the distilled target."""

from __future__ import annotations

import math

import torch

from ...numerics.few_step.ideal_students import deviation_factor, distilled_target, second_step_factor
from ...numerics.laws.affine import gaussian_law
from ...numerics.sample import sample
from ...numerics.tableau import tabulate
from ...numerics.targets.mixture import GaussianMixture
from .on_the_line import M1, uniform_t
from .technique import Measured, Technique

VARIANCE = 1.7


def _ratio(name: str, steps: int) -> float:
    """The deviation of a sampler on N(0.7, VARIANCE) over the exact one."""
    at, law = uniform_t(steps), GaussianMixture([1.0], [0.7], stds=[math.sqrt(VARIANCE)])
    found = float(gaussian_law(tabulate(name, at), law, (law, at.points[0])).covariance)
    end = at.points[-1]
    return math.sqrt(found / (end.alpha**2 * VARIANCE + end.sigma**2))


def measure_consistency() -> Measured:
    names = ("consistency", "trajectory-consistency?gamma=1/2", "trajectory-consistency", "ddim")
    steps = (4, 8, 16, 32, 64, 128)
    found = {name: [_ratio(name, n) for n in steps] for name in names}
    rows = []
    for i, n in enumerate(steps):
        at = uniform_t(n)
        second = max((second_step_factor(at, VARIANCE, node) for node in range(1, n)), default=math.nan)
        values = (*(found[name][i] for name in names), deviation_factor(at, VARIANCE), second)
        rows.append((str(n), *(f"{value:.5f}" for value in values)))
    return Measured(
        number=found["consistency"][-1],
        head=("steps", *names, "ideal student, one step", "two steps, at the best level"),
        rows=tuple(rows),
        curves={
            **{name: [(float(n), 1 - v) for n, v in zip(steps, values, strict=True)] for name, values in found.items()},
            "1 - sqrt(1/2)": [(float(n), 1 - math.sqrt(0.5)) for n in steps],
        },
        x="steps N",
        y="1 - deviation over the exact one",
        dashed=("1 - sqrt(1/2)",),
    )


CONSISTENCY = Technique(
    name="lcm",
    system="LCM, TCD",
    title="LCM and TCD: latent consistency models and trajectory consistency distillation",
    cite="luo2023lcm",
    claimed="A network that is distilled to jump to the end of the flow samples in 1 to 4 steps; more steps, each to "
    "the data and back to the noise of the next level, improve the samples. TCD goes back in part only.",
    verdict="with the distilled function every step keeps the law, up to its teacher's error, of which a second step "
    "mends about a tenth where the teacher's angles are equal; the same rows with a plain network lose half of the "
    "variance, and with gamma the share gamma/2",
    quantity="standard deviation of 128 undistilled steps over the exact one, on N(m, 1.7)",
    within=(0.69, math.sqrt(0.5)),
    covered="mechanism: exact predictions of Gaussian laws; the schedulers of diffusers are recognised by `verify`",
    formula=r"""Consistency: $x' = \alpha' f(x) + \sigma' z$. Trajectory consistency leads to the ratio
$(1 - \gamma)\rho'$ of noise and signal and back,
$x' = \alpha' f + \sigma' \bigl((1 - \gamma)\hat\epsilon + \sqrt{\gamma (2 - \gamma)}\, z\bigr)$: DDIM for $\gamma = 0$,
consistency for $\gamma = 1$. With $f = \operatorname{E}[x_0 \mid x]$ and $k = \alpha^2 v/(\alpha^2 v + \sigma^2)$ the
lost share of the variance obeys

$$d' = 1 - k + k^2 d, \qquad d' - \tfrac12 = k^2 \left(d - \tfrac12\right) + \tfrac12 (1 - k)^2.$$""",
    provenance="read in the code of LCMScheduler, FlowMatchLCMScheduler and TCDScheduler of diffusers. LCM's class "
    "adds the boundary condition c_skip x + c_out F of its function, which `verify` takes for a part of the network. "
    "TCD's gamma is a share of the time; in ratios of noise and signal, as here, it differs from step to step.",
    proved=("consistency-rows-undistilled", "second-step", "ideal-student", "cosine-rule"),
    measure=measure_consistency,
    known="The records are of order 0: a step is off by a number as h tends to 0. An ideal student of DDIM in N steps "
    "has DDIM's law in one step. What a second step mends depends on the grid of the teacher. Of many equal angles it "
    "pays above 45 degrees only, where sigma exceeds alpha sqrt v, and its best level leaves 0.8947 of the error of "
    "the deviation. Equal in t, as here, it mends a hundredth; and most of the error, where that is made by "
    "one long step at the start of an otherwise fine grid (`tests/numerics/few_step/test_exact_laws.py`).",
    unknown="Guidance inside the distilled function, learned functions that are not at zero loss, images.",
    code="""
import samplerproof as sp
law = sp.GaussianMixture([1.0], [0.7], stds=[1.3])
grid = sp.grid(sp.schedule("vp-linear"), "uniform-t", 64, t_min=1e-3, t_max=1.0)
noise = sp.seeded(0)
for name in ("consistency", "trajectory-consistency?gamma=1/2", "ddim"):
    start = law.sample(4000, grid.points[0], __import__("torch").Generator().manual_seed(0))
    end = sp.sample(law, start, sp.tabulate(name, grid), noise=noise)
    print(name, float(end.std()) / 1.3)
print(sp.techniques.deviation_factor(grid, 1.69), sp.techniques.second_step_factor(grid, 1.69, 20))
""",
    methods=("consistency", "trajectory-consistency"),
)


def measure_target() -> Measured:
    """DDIM in 16 steps on M1, and in 8 with the distilled targets; the spread of the data that a direct target has."""
    at = uniform_t(16)
    x = M1.sample(2000, at.points[0], torch.Generator().manual_seed(0))
    whole, y, rows, most = sample(M1, x, tabulate("ddim", at)), x, [], 0.0
    for start, middle, end in zip(at.points[:-2:2], at.points[1:-1:2], at.points[2::2], strict=True):
        first = M1(y, start, "data")
        half = middle.alpha * first + middle.sigma * (y - start.alpha * first) / start.sigma
        target = distilled_target(first, M1(half, middle, "data"), start, middle, end)
        marginal = M1.sample(2000, start, torch.Generator().manual_seed(1))
        spread = float(M1.posterior(marginal, start)[1].mean())
        plain = float((target - first).abs().max())
        rows.append((f"{start.lam:.2f}", f"{spread:.3f}", "0", f"{plain:.3f}"))
        y = end.alpha * target + end.sigma * (y - start.alpha * target) / start.sigma
    most = float((y - whole).abs().max())
    return Measured(
        number=most,
        head=("lambda", "E Var(x0 | x), of a direct target", "of the distilled one", "largest change of the target"),
        rows=tuple(rows),
    )


TARGET = Technique(
    name="prodiff",
    system="ProDiff",
    title="ProDiff: progressive fast diffusion model for high-quality text-to-speech",
    cite="huang2022prodiff",
    claimed="A model that predicts the data, distilled from a teacher of twice the steps, makes speech in 2 steps; the "
    "distilled target has less variance than the data.",
    verdict="confirmed: the target is a mean of two data predictions, in the hull of the data and without variance "
    "given the state; the student keeps the law, and the bias, of its teacher",
    quantity="largest difference of 8 steps with distilled targets from 16 of DDIM",
    within=(0.0, 1e-11),
    covered="mechanism: the exact score of a mixture on the line",
    formula=r"""$$\tilde x_0 = w\, d_1 + (1 - w)\, d_2, \qquad
w = \frac{\rho_u (\rho_t - \rho_1)}{\rho_1 (\rho_t - \rho_u)}, \quad 0 < w < 1,$$

with the teacher's data predictions $d_1$ at t and $d_2$ at the point 1 between.""",
    provenance="read in the released code (`modules/ProDiff/model/ProDiff.py`): teacher of 4 steps, losses L1 and "
    "SSIM; its inference draws from the posterior, while its training distils DDIM.",
    proved=("distilled-target", "ideal-student", "cosine-rule"),
    measure=measure_target,
    known="By the theorem of the ideal student distillation buys time, never accuracy: the students of 8, 4, 2 and 1 "
    "steps of a teacher of 16 have its total variation. Trained students are on the page of few-step students.",
    unknown="L1 and SSIM, the stochastic inference, speech, mean opinion scores: not reproduced.",
    code="""
import torch, samplerproof as sp
mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
t, middle, u = sp.grid(sp.schedule("vp-linear"), "uniform-t", 2, t_min=0.2, t_max=0.8).points
x = mixture.sample(5, t, torch.Generator().manual_seed(0))
d1 = mixture(x, t, "data")
y = middle.alpha * d1 + middle.sigma * (x - t.alpha * d1) / t.sigma
target = sp.techniques.distilled_target(d1, mixture(y, middle, "data"), t, middle, u)
print(torch.cat([d1, target], dim=1))
""",
    methods=("ddim",),
)

TECHNIQUES = (TARGET, CONSISTENCY)
