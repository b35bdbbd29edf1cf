"""REFace: steps of DDIM inside training, on a Gaussian law."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...numerics.denoisers import Denoiser, convert
from ...numerics.grids import Grid
from ...numerics.points import Point
from ...numerics.tableau import tabulate
from ...numerics.unrolled import unrolled
from .on_the_line import uniform_t
from .technique import Measured, Technique

VARIANCE, GAIN, COUNT = 1.7, 0.9, 64


def scaled(gain: Tensor) -> Denoiser:
    """`gain` times the exact data prediction of N(0, VARIANCE)."""

    def denoise(x: Tensor, at: Point, prediction: str) -> Tensor:
        data = gain * at.alpha * VARIANCE / (at.alpha**2 * VARIANCE + at.sigma**2) * x
        return convert(x, data, at, "data", prediction)

    return denoise


def by_formula(at: Grid, gain: float) -> tuple[float, float]:
    """prod R_j, and its derivative sum_j R_j' prod_{i != j} R_i, over the steps of DDIM on a grid."""
    slopes, derivatives = [], []
    for here, there in zip(at.points, at.points[1:], strict=False):
        weight = there.alpha - there.sigma * here.alpha / here.sigma
        derivative = weight * here.alpha * VARIANCE / (here.alpha**2 * VARIANCE + here.sigma**2)
        slopes.append(there.sigma / here.sigma + gain * derivative)
        derivatives.append(derivative)
    rest = [math.prod(slopes[:j] + slopes[j + 1 :]) for j in range(len(slopes))]
    return math.prod(slopes), sum(d * r for d, r in zip(derivatives, rest, strict=True))


def by_autograd(at: Grid, gain: float, x: Tensor) -> tuple[float, int]:
    """d/dg of the mean of |x_S|^2/2 through the steps, and the number of tensors that are kept for it."""
    variable, kept = torch.tensor(gain, dtype=torch.float64, requires_grad=True), [0]

    def keep(tensor: Tensor) -> Tensor:
        kept[0] += 1
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = unrolled(scaled(variable), x, tabulate("ddim", at)).square().mean() / 2
    (found,) = torch.autograd.grad(loss, variable)
    return float(found), kept[0]


def measure_gradient() -> Measured:
    rows, worst = [], 0.0
    for steps in (1, 2, 4, 8, 16):
        at = uniform_t(steps)
        x = torch.randn(COUNT, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        slope, derivative = by_formula(at, GAIN)
        expected = slope * derivative * float(x.square().mean())
        found, kept = by_autograd(at, GAIN, x)
        off = abs(found - expected) / abs(expected)
        worst = max(worst, off)
        rows.append((str(steps), f"{slope:.3f}", f"{derivative:.3f}", f"{found:.6f}", f"{off:.1e}", str(kept)))
    return Measured(
        number=worst,
        head=("steps S", "slope", "its derivative in g", "gradient of the loss", "off by, relative", "tensors kept"),
        rows=tuple(rows),
    )


REFACE = Technique(
    name="reface",
    system="REFace",
    title="REFace: realistic and efficient face swapping, a unified approach with diffusion models",
    cite="baliah2025reface",
    claimed="Steps of DDIM inside training give images to the losses of identity and perceptual similarity that a "
    "one-step guess of the data cannot; sampling stays short.",
    verdict="the reason is exact: a loss on one step from pure noise has no gradient in the error of the model, as "
    "that step returns the mean; of two steps on it has, and memory grows as their number",
    quantity="largest relative difference of the gradient through 1 to 16 steps from the formula",
    within=(0.0, 1e-11),
    covered="mechanism: gradients through the steps on a Gaussian law, and training on two rings; no face",
    formula=r"""With $g$ times the exact data prediction of $N(0, v)$ a step of DDIM has the slope
$R_j = \sigma'/\sigma + g\,(\alpha' - \alpha\sigma'/\sigma)\,\alpha v/(\alpha^2 v + \sigma^2)$, and a loss $\ell$ of the
end of S steps

$$\frac{d\ell}{dg} = \ell'(x_S)\, x \sum_j R_j' \prod_{i \ne j} R_i .$$

$R_j' = 0$ where $\alpha = 0$.""",
    provenance="read in the released code (`ldm/models/diffusion/ddpm.py`): data noised to the last level, 4 steps of "
    "DDIM with gradients, and the losses averaged over the data predictions that were kept on the way; the "
    "first of these is the noisy input itself (`ldm/models/diffusion/ddim.py`).",
    proved=("unrolled-gradient", "cosine-rule"),
    measure=measure_gradient,
    known="At S = 1 the schedule's first alpha is 0.0066 and not 0, so that the derivative is small and not zero. "
    "`techniques.unrolled` is the run that records gradients; it returns the bits of `sample`.",
    unknown="Not reproduced: identity and landmark losses, faces, FID; the inpainting network.",
    code="""
import torch, samplerproof as sp
grid = sp.grid(sp.schedule("vp-linear"), "uniform-t", 4, t_min=1e-3, t_max=1.0)
gain = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
denoise = sp.adapt(lambda x, at: gain * 1.7 * at.alpha / (1.7 * at.alpha**2 + at.sigma**2) * x, "data")
x = torch.randn(64, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
end = sp.techniques.unrolled(denoise, x, sp.tabulate("ddim", grid))
print(torch.autograd.grad(end.square().mean() / 2, gain))
""",
    methods=("ddim",),
)

TECHNIQUES = (REFACE,)
