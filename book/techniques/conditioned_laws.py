"""DiffuseVAE, YONOS-SR, GMem, REPA: what a condition, a coarser one, a memory and a feature do to an exact law."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...numerics.few_step.ideal_students import deviation_factor
from ...numerics.points import Point
from ...numerics.schedules import schedule
from ...numerics.targets.conditioned import covariances
from ...numerics.targets.from_data import bank
from ...numerics.targets.mixture import GaussianMixture
from .on_the_line import M1, PLANE, uniform_t
from .technique import Measured, Technique

SPECTRUM = (4.0, 2.0, 1.0, 0.5, 0.25, 0.1, 0.05, 0.02)
KEPT, LEFT = 3, 0.02  # directions that the autoencoder keeps, and the share of their variance that it leaves


def frechet(steps: int, left: list[float]) -> float:
    """Squared Frechet distance of DDIM to N(0, SPECTRUM) where a condition leaves these variances to transport."""
    at, total = uniform_t(steps), 0.0
    for variance, rest in zip(SPECTRUM, left, strict=True):
        found = variance - rest + rest * deviation_factor(at, rest) ** 2
        total += (math.sqrt(found) - math.sqrt(variance)) ** 2
    return total


def measure_condition() -> Measured:
    plain = list(SPECTRUM)
    given = [v * LEFT if i < KEPT else v for i, v in enumerate(SPECTRUM)]
    steps = (1, 2, 5, 10, 20, 50, 100)
    found = [(n, frechet(n, plain), frechet(n, given)) for n in steps]
    return Measured(
        number=next(b / a for n, a, b in found if n == 10),
        head=("steps", "without a condition", "given a reconstruction"),
        rows=tuple((str(n), f"{a:.3g}", f"{b:.3g}") for n, a, b in found),
        curves={
            "without a condition": [(float(n), a) for n, a, _ in found],
            "given a reconstruction": [(float(n), b) for n, _, b in found],
        },
        x="steps N",
        y="squared Frechet distance",
    )


CONDITION = Technique(
    name="diffusevae",
    system="DiffuseVAE",
    title="DiffuseVAE: efficient, controllable and high-fidelity generation from low-dimensional latents",
    cite="pandey2022diffusevae",
    claimed="A diffusion that refines the reconstruction of an autoencoder needs fewer steps: FID 16.47 in 10 steps of "
    "DDIM, where the unconditional one has 34.36 (CelebA-HQ, 128 pixels).",
    verdict="confirmed on Gaussian data: a condition leaves less variance to transport, and the deficit of few steps "
    "acts on that alone",
    quantity="squared Frechet distance with the condition over that without, 10 steps",
    within=(0.0, 0.5),
    covered="mechanism: Gaussian data of eight directions; the autoencoder is principal components, its latent exact",
    formula=r"""Formulation 2 adds the reconstruction unscaled, $x_t = \sqrt{\bar a}\, x_0 + \hat x + \sqrt{1 -
\bar a}\, \epsilon$; its posterior mean is $c_1 x_0 + c_2 x_t + (1 - c_2) \hat x$. On a Gaussian direction of variance
$\lambda$ of which the condition leaves $r$, N steps of DDIM have the variance $\lambda - r + r\, C(r)^2$.""",
    provenance="read in the released code (`models/diffusion/ddpm_form2.py`): the chain starts at the reconstruction "
    "plus noise, which is subtracted at the last step only.",
    proved=("formulation-2", "cosine-rule"),
    measure=measure_condition,
    known="With the condition the distance is smaller at every number of steps, as the deficit grows with the variance "
    "left. Formulation 2 is DDPM in x - x^, with shifted noise and the same law.",
    unknown="An autoencoder that is trained, and images of faces; the figures above: not reproduced.",
    code="""
import samplerproof as sp
grid = sp.grid(sp.schedule("vp-linear"), "uniform-t", 10, t_min=1e-3, t_max=1.0)
for variance, left in ((4.0, 4.0), (4.0, 0.08)):
    factor = sp.techniques.deviation_factor(grid, left)
    print(variance, left, variance - left + left * factor**2)
law = sp.GaussianMixture([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.5]], stds=[0.5, 0.5])
print(law.given([[1.0, 0.0]], [0.8]).means)
""",
    methods=("ddim",),
)

FINE = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]], dtype=torch.float64)
COARSE = FINE.mean(dim=0, keepdim=True)
AT = Point(alpha=0.6, sigma=0.8)
NODES, REACH = 161, 10.0


def image_law() -> GaussianMixture:
    """A mixture of three in four dimensions with covariances that are not diagonal."""
    chance = torch.Generator().manual_seed(0)
    factors = torch.randn(3, 4, 4, generator=chance, dtype=torch.float64) / 2
    spread = factors @ factors.mT + 0.2 * torch.eye(4, dtype=torch.float64)
    means = torch.randn(3, 4, generator=chance, dtype=torch.float64)
    return GaussianMixture([0.3, 0.5, 0.2], means, covariances=spread)


def tower(x: Tensor, coarse: float, wrong: float = 0.0) -> tuple[Tensor, Tensor]:
    """E[E[x0 | x, fine] | x, coarse] by quadrature over the fine observation, and E[x0 | x, coarse].

    wrong: an error of the fine observation that the coarse one does not have.
    """
    law = image_law()
    observed = GaussianMixture(law.weights, law.means @ FINE.T, covariances=FINE @ covariances(law.parts) @ FINE.T)
    places = torch.linspace(-REACH, REACH, NODES, dtype=torch.float64)
    fine = torch.stack([coarse + places, coarse - places], dim=1)
    given = [law.given(FINE, y + wrong) for y in fine]
    logits = observed.log_density(fine, Point(alpha=1.0, sigma=0.0))
    logits = logits + torch.stack([one.log_density(x, AT)[0] for one in given])
    means = torch.cat([one(x, AT, "data") for one in given])
    return torch.softmax(logits, dim=0) @ means, law.given(COARSE, [coarse])(x, AT, "data")[0]


def measure_tower() -> Measured:
    law, rows, most = image_law(), [], 0.0
    for seed, coarse in enumerate((-0.5, 0.2, 0.9)):
        x = law.sample(1, AT, torch.Generator().manual_seed(seed))
        by_fine, direct = tower(x, coarse)
        apart = float((tower(x, coarse, 0.1)[0] - direct).abs().max())
        most = max(most, float((by_fine - direct).abs().max()))
        rows.append((f"{coarse}", f"{float((by_fine - direct).abs().max()):.1e}", f"{apart:.1e}"))
    return Measured(
        number=most,
        head=("coarse observation", "difference of the means", "with a fine observation off by 0.1"),
        rows=tuple(rows),
    )


TOWER = Technique(
    name="yonos-sr",
    system="YONOS-SR",
    title="YONOS-SR: You Only Need One Step, super-resolution via scale distillation",
    cite="noroozi2024yonos",
    claimed="A student of a larger magnification, distilled from a teacher of a smaller one, makes sharp images in one "
    "step of DDIM.",
    verdict="the optimum is that of direct training; only the noise of the target is smaller, by the variance that the "
    "finer observation leaves",
    quantity="largest difference of the mean over fine observations from the mean given the coarse one",
    within=(0.0, 1e-9),
    covered="identity: a mixture in four dimensions, means of pairs and of all as observations",
    formula=r"""$$\operatorname{E}\bigl[\operatorname{E}[x_0 \mid x_t, y_\text{fine}] \mid x_t, y_\text{coarse}\bigr] =
\operatorname{E}[x_0 \mid x_t, y_\text{coarse}]$$

for nested observations and one $x_t$; the variance of the target falls by
$\operatorname{E} \operatorname{tr} \operatorname{Var}(x_0 \mid x_t, y_\text{fine})$.""",
    provenance="abstract and secondary summaries read; the loss is recalled. No code was found.",
    proved=("tower", "cosine-rule"),
    measure=measure_tower,
    known="An observation that is not nested moves the mean: with one that is off by 0.1 it does. One step of DDIM "
    "from noise is the mean E[x0 | y]: best in squared error, and short of variance.",
    unknown="Networks at equal updates, perceptual figures: not reproduced.",
    code="""
import torch, samplerproof as sp
law = sp.GaussianMixture([0.4, 0.6], [[-1.0, 0.0, 1.0], [1.0, 0.5, 0.0]], stds=[0.5, 0.8])
at = sp.schedule("vp-linear").point(0.4)
x = law.sample(1, at, torch.Generator().manual_seed(0))
coarse = law.given([[1.0, 1.0, 1.0]], [0.5])
print(coarse(x, at, "data"), law.given([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [0.3, 0.2])(x, at, "data"))
""",
)


def attention(x: Tensor, points: Tensor, at: Point) -> Tensor:
    """softmax(alpha <x, m>/sigma^2 - alpha^2 |m|^2/(2 sigma^2)) applied to the points."""
    logits = at.alpha / at.sigma**2 * (x @ points.T - at.alpha / 2 * points.square().sum(dim=1))
    return torch.softmax(logits, dim=1) @ points


def measure_memory() -> Measured:
    stored = PLANE.sample(500, Point(alpha=1.0, sigma=0.0), torch.Generator().manual_seed(0))
    memory, diameter = bank(stored), float(torch.cdist(stored, stored).max())
    rows, most = [], 0.0
    for t in (0.9, 0.6, 0.4, 0.2, 0.1, 0.05):
        at = schedule("vp-linear").point(t)
        x = memory.sample(256, at, torch.Generator().manual_seed(1))
        exact, shares = memory(x, at, "data"), memory.responsibilities(x, at)
        off = float((exact - attention(x, stored, at)).abs().max())
        used = float((-(shares * shares.clamp(min=1e-300).log()).sum(dim=1)).exp().mean())
        top = shares.topk(16, dim=1)
        left = 1 - top.values.sum(dim=1)
        cut = (top.values[..., None] * stored[top.indices]).sum(dim=1) / top.values.sum(dim=1, keepdim=True)
        worst = float(((exact - cut).norm(dim=1) - left * diameter).max())
        rows.append(
            (
                f"{at.lam:.2f}",
                f"{used:.1f}",
                f"{off:.1e}",
                f"{float((exact - cut).norm(dim=1).max()):.2g}",
                str(worst <= 1e-9),
            )
        )
        most = max(most, off)
    return Measured(
        number=most,
        head=("lambda", "memories in use", "attention off by", "16 memories off by, at most", "within the bound"),
        rows=tuple(rows),
    )


MEMORY = Technique(
    name="gmem",
    system="GMem",
    title="GMem: a modular approach for ultra-efficient generative models",
    cite="tang2024gmem",
    claimed="An external memory of the data takes over what a network would have to memorise: training is up to 46 "
    "times faster than SiT's, at FID 3.56 without guidance (ImageNet, 256 pixels).",
    verdict="the exact denoiser of a bank of points is one layer of attention; a network of digits is nearly that bank "
    "up to lambda = -1, where the bank can replace it, and generalises from lambda = 0 on",
    quantity="largest difference of the mixture and the attention",
    within=(0.0, 1e-10),
    covered="mechanism: a bank of 500 points in the plane, and of the 1,500 digits beside a network that was "
    "trained on them; features of a small classifier given to a small U-Net of digits in 240 updates",
    formula=r"""$$\hat x_0 = \sum_i m_i \operatorname{softmax}_i\Bigl(-\frac{|x - \alpha m_i|^2}{2\sigma^2}\Bigr),
\qquad
|\hat x_0 - \hat x_0^\text{kept}| \le (\text{weight left out}) \cdot \text{diameter}.$$""",
    provenance="the memory of the released code holds features of DINOv2, by which a network is conditioned; the "
    "identity is for a memory of the data itself.",
    proved=("memory-attention",),
    measure=measure_memory,
    known="A bank is a mixture of deviations 0: densities, posteriors and all samplers of this project run on it. Few "
    "memories are in use where the noise is small, and leaving others out errs by their weight times the diameter at "
    "most.",
    unknown="Not reproduced: features of DINOv2, samples drawn through a memory of features, the factor 46, FID. The "
    "small training measures what given features add to the prediction of v at equal updates, not how many updates are "
    "saved.",
    code="""
import torch, samplerproof as sp
points = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
memory, at = sp.techniques.bank(points), sp.schedule("vp-linear").point(0.3)
x = memory.sample(4, at, torch.Generator().manual_seed(1))
logits = -(x[:, None] - at.alpha * points).square().sum(dim=-1) / (2 * at.sigma**2)
print(memory(x, at, "data") - torch.softmax(logits, dim=1) @ points)
""",
)


def bound(t: float) -> float:
    """E |r(x)|_2 of the responsibilities of M1 on the linear path, by quadrature."""
    at = schedule("flow").point(t)
    x = torch.linspace(-9, 9, 20001, dtype=torch.float64)[:, None]
    length = M1.responsibilities(x, at).square().sum(dim=1).sqrt()
    return float(torch.trapezoid(length * M1.log_density(x, at).exp(), x[:, 0]))


def measure_feature() -> Measured:
    levels = (0.1, 0.2, 0.4, 0.6, 0.8, 0.9)
    found = [bound(t) for t in levels]
    return Measured(
        number=found[levels.index(0.8)],
        head=("t", "largest mean cosine"),
        rows=tuple((f"{t}", f"{value:.5f}") for t, value in zip(levels, found, strict=True)),
        curves={"E |E[phi | x]|": list(zip(levels, found, strict=True))},
        x="t",
        y="largest mean cosine",
    )


FEATURE = Technique(
    name="repa",
    system="REPA",
    title="REPA: representation alignment for generation",
    cite="yu2025repa",
    claimed="Aligning the hidden states of a diffusion transformer with features of the clean image speeds its "
    "training 17.5 times.",
    verdict="no network on noisy data exceeds the mean length of E[phi | x] in its mean cosine; the alignment does not "
    "speed up a short training of a small U-Net of digits",
    quantity="largest mean cosine with the component of a mixture, t = 0.8 of the linear path",
    within=(0.7545, 0.7555),
    covered="mechanism: the components of a mixture of two as features; the alignment in 240 updates of a small U-Net "
    "with features of a small classifier of digits",
    formula=r"""For features of length one, $\max_u \operatorname{E} \cos(u(x), \phi) = \operatorname{E}
|\operatorname{E}[\phi \mid x]|$; for the component of a mixture that is $\operatorname{E} |r(x)|_2$, r the
responsibilities.""",
    provenance="read in the released code (`loss.py`): mean cosine over tokens, weight 0.5, features of DINOv2.",
    proved=("feature-bound",),
    measure=measure_feature,
    known="The bound falls from 1 for clean data.",
    unknown="Not reproduced: transformers, the alignment of every token, DINOv2, FID, the factor 17.5, "
    "which is reported for trainings far longer than 240 updates.",
    code="""
import torch, samplerproof as sp
mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
x = torch.linspace(-9, 9, 4001, dtype=torch.float64)[:, None]
for t in (0.2, 0.8):
    at = sp.schedule("flow").point(t)
    length = mixture.responsibilities(x, at).norm(dim=1)
    print(t, float(torch.trapezoid(length * mixture.log_density(x, at).exp(), x[:, 0])))
""",
)

TECHNIQUES = (CONDITION, TOWER, MEMORY, FEATURE)
