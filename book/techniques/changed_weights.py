"""Skip-Tuning, PLRD and A-SDM's kernels: networks with changed weights, without training."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from ...numerics.surgery.low_rank import input_moments, low_rank, ranks_of
from ...numerics.surgery.scaled_skips import skips
from ...numerics.training.data import digits
from ...numerics.training.denoiser_task import losses, validation
from ...numerics.training.recipes import recipe_of
from ..studies.frechet import frechet, moments, reference
from . import on_digits
from .technique import Measured, Technique

pictures = cache(digits)
FACTOR, SEEDS, STEPS, COUNT = 0.7, 5, 5, 1024


def pixel_loss(network: nn.Module) -> float:
    """The mean loss of v on held-out digits over the levels of training."""
    levels = validation(network.eval(), recipe_of("digits"), pictures().held_out)
    return sum(loss for _, loss, _ in levels) / len(levels)


def measure_skips() -> Measured:
    network, (data, classifier, _) = on_digits.digits().network, reference()
    changed, goal = skips(network, [1.0, FACTOR]), moments(classifier, data.train)
    at = on_digits.lambda_grid(STEPS)
    rows, fallen = [], 0
    for seed in range(SEEDS):
        x = on_digits.starts(COUNT, seed)
        plain, tuned = (
            frechet(goal, moments(classifier, on_digits.end(on_digits.changed(n, torch.float32), "ddim", at, x)))
            for n in (network, changed)
        )
        fallen += tuned < plain
        rows.append((f"Frechet distance, starts {seed}", f"{plain:.4f}", f"{tuned:.4f}", f"{tuned / plain - 1:+.2%}"))
    plain, tuned = pixel_loss(network), pixel_loss(changed)
    rows.append(("loss of v on held-out digits", f"{plain:.5f}", f"{tuned:.5f}", f"{tuned / plain - 1:+.2%}"))
    return Measured(number=fallen, head=("", "rho = 1", f"rho = {FACTOR}", "change"), rows=tuple(rows))


SKIPS = Technique(
    name="skip-tuning",
    system="Skip-Tuning",
    title="Skip-Tuning: scaled skip connections",
    cite="ma2024skiptuning",
    claimed="Scaling the skip connections of a trained U-Net, without training, halves the FID of EDM on ImageNet 64 "
    "in 19 evaluations; the loss in pixels rises while losses in feature spaces fall.",
    verdict="a small gain at 5 steps for most starts, while the loss in pixels rises",
    quantity=f"of {SEEDS} sets of {COUNT} common starts, those where the Frechet distance falls",
    within=(4.0, 5.0),
    covered="mechanism: one factor at the deepest skip, on the U-Net of digits",
    formula=r"""The decoder's block takes $[h, \rho\, s]$ in place of $[h, s]$, with $\rho < 1$ at the deepest skip.
Where its first layer normalises groups of channels that do not mix $h$ and $s$, as here, $\rho$ cancels there, up to
the $\epsilon$ of the normalisation: scaling the skip is scaling the skip's columns of the block's 1 x 1 shortcut.""",
    provenance="the abstract; no released code was found. The paper's factors change linearly with depth; its values "
    "are not known here.",
    proved=("skip-scale",),
    methods=("ddim",),
    measure=measure_skips,
    needs="sklearn",
    known="DDIM in 5 steps equal in lambda, from common starts, with a factor chosen beforehand; the "
    "Frechet distance is in 16 features of a small classifier of digits, from the training digits.",
    unknown="Not reproduced: FID, ImageNet, other factors by level and by step, more steps. Losses in the feature "
    "spaces of the paper, which it found to fall, were not measured.",
    code="""
from dataclasses import replace
import torch, samplerproof as sp
digits = sp.load_checkpoint("digits")
grid = sp.grid(sp.schedule("edm"), "karras", 5, sigma_min=0.05, sigma_max=20)
x = 20 * torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
for rho in (1.0, 0.7):
    changed = replace(digits, network=sp.techniques.skips(digits.network, [1.0, rho]))
    print(rho, float(sp.sample(changed.denoiser(), x, sp.tabulate("ddim", grid)).std()))
""",
)

SHARES, PATCHED = (0.75, 0.5, 0.35, 0.25), 192
SAMPLED, LEVELS, HELD_OUT = (-3.0, 3.7), 8, 256  # lambda in units of the data: the levels that samplers visit


@cache
def patch_moments() -> dict[str, torch.Tensor]:
    """Second moments of the inputs of all 3 x 3 convolutions, on training digits at the levels that samplers visit."""
    network, data = on_digits.digits().network, pictures()
    found: list[tuple[torch.Tensor, torch.Tensor]] = []

    class Called(nn.Module):
        def forward(self, y: torch.Tensor, lam: torch.Tensor) -> torch.Tensor:
            found.append((y, lam))
            return y

    samples = data.train[:PATCHED] / recipe_of("digits").sigma_data
    noise = torch.randn(samples.shape, generator=torch.Generator().manual_seed(0))
    losses(Called(), samples, noise, torch.linspace(*SAMPLED, PATCHED))
    return input_moments(network, ranks_of(network, 1.0), found)


@torch.no_grad()
def sampled_loss(network: nn.Module) -> float:
    """The mean loss of v on held-out digits over the levels that samplers visit."""
    samples = pictures().held_out[:HELD_OUT] / recipe_of("digits").sigma_data
    generator, total = torch.Generator().manual_seed(1), 0.0
    for level in torch.linspace(*SAMPLED, LEVELS).tolist():
        noise = torch.randn(samples.shape, generator=generator)
        total += float(losses(network, samples, noise, torch.full((len(samples),), level))[0].mean())
    return total / LEVELS


def measure_low_rank() -> Measured:
    network, rows, ratios = on_digits.digits().network, [], []
    full, everywhere = sampled_loss(network), pixel_loss(network)
    weights = sum(p.numel() for p in network.parameters())
    for share in SHARES:
        members = [low_rank(network, ranks_of(network, share), by) for by in (None, patch_moments())]
        plain, weighted = (sampled_loss(member) - full for member in members)
        left = sum(p.numel() for p in members[0].parameters()) / weights
        ratios.append(weighted / plain)
        all_levels = (f"{pixel_loss(member) - everywhere:.3f}" for member in members)
        rows.append((f"{share}", f"{left:.2f}", f"{plain:.4f}", f"{weighted:.4f}", *all_levels))
    head = ("share of the rank", "weights left", "plain", "weighted", "plain, all levels", "weighted, all levels")
    return Measured(number=round(max(ratios), 3), head=head, rows=tuple(rows))  # losses of single precision


LOW_RANK = Technique(
    name="plrd",
    system="PLRD",
    title="PLRD: progressive low-rank decomposition",
    cite="hajimolahoseini2024family",
    claimed="A family of models of all sizes from one parent, by lowering the rank of its matrices in stages with "
    "short training between them, at 0.1 % of the tokens of training anew.",
    verdict="without training, stages are the same as once; weighting by the data beats the plain decomposition in "
    "loss at the levels that samplers visit, not over all levels",
    quantity="largest ratio of the excess losses, weighted over plain, of four ranks",
    within=(0.0, 1.0),
    covered="mechanism: one decomposition without training, on the U-Net of digits",
    formula=r"""$W \approx W_r$, the truncated singular value decomposition, has
$\|W - W_r\|^2 = \sum_{i > r} \sigma_i^2$, the least of all matrices of that rank {cite:p}`eckart1936approximation`.
For inputs with $\operatorname{E} x x^T = S$ the least $\operatorname{E} |W x - W' x|^2$ is that of $W' = U U^T W$, $U$
the first left singular vectors of $W S^{1/2}$.
A convolution becomes $r$ filters and a 1 x 1 convolution.""",
    provenance="the abstract and a summary; no released code was found.",
    proved=("low-rank-weighted", "low-rank-stages"),
    measure=measure_low_rank,
    needs="sklearn",
    known="All 3 x 3 convolutions of the U-Net, without training after it. Excess losses of v on 256 held-out digits: "
    "at lambda from -3 to 3.7, where samplers work and where the moments were taken, and over all levels of training. "
    "Weighting wins at every rank on the levels that it was made for; over all levels it loses at one.",
    unknown="Not reproduced: language models, training between stages, which is the paper's point; whether samples "
    "gain as the loss does.",
    code="""
import samplerproof as sp
digits = sp.load_checkpoint("digits").network
for share in (0.75, 0.35):
    member = sp.techniques.low_rank(digits, sp.techniques.ranks_of(digits, share))
    print(share, sum(p.numel() for p in member.parameters()) / sum(p.numel() for p in digits.parameters()))
""",
)


def measure_mixed_kernels() -> Measured:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 4, 8, 8, generator=generator, dtype=torch.float64)
    kernels = torch.randn(5, 6, 4, 3, 3, generator=generator, dtype=torch.float64)  # five experts
    shares = torch.rand(3, 5, generator=generator, dtype=torch.float64)  # of every sample
    each = torch.stack([nn.functional.conv2d(x, kernel, padding=1) for kernel in kernels], dim=1)
    mixed = (shares[:, :, None, None, None] * each).sum(dim=1)
    # Once: the samples as groups of one convolution, each with its own mixture of the kernels.
    own = torch.einsum("ne,eoihw->noihw", shares, kernels).flatten(0, 1)
    once = nn.functional.conv2d(x.reshape(1, 12, 8, 8), own, padding=1, groups=3).reshape(3, 6, 8, 8)
    off = float((once - mixed).abs().max() / mixed.abs().max())
    ones = torch.eye(5, dtype=torch.float64)[[2, 0, 4]]  # a sample with one expert
    inherited = torch.einsum("ne,eoihw->noihw", ones, kernels).flatten(0, 1)
    single = nn.functional.conv2d(x.reshape(1, 12, 8, 8), inherited, padding=1, groups=3).reshape(3, 6, 8, 8)
    same = float((single - each[[0, 1, 2], [2, 0, 4]]).abs().max() / mixed.abs().max())
    rows = (
        ("mixture of kernels, once, against each", f"{off:.1e}"),
        ("one expert: its own convolution", f"{same:.1e}"),
    )
    return Measured(number=max(off, same), head=("identity", "largest difference"), rows=rows)


KERNELS = Technique(
    name="a-sdm-redundancy",
    system="A-SDM, redundancy removal",
    title="A-SDM: redundancy removal and performance optimization",
    cite="zhu2023asdm",
    claimed="Pruned blocks, replaced by convolutions whose kernels are mixtures of several experts that inherit the "
    "pruned weights, global-regional attention, and training in stages give a U-Net that is 22 % faster.",
    verdict="the mixture of experts costs one convolution: the identity is exact; the speed-up was not tried",
    quantity="largest relative difference of one convolution with mixed kernels to the mixture of convolutions",
    within=(0.0, 1e-13),
    covered="identity: convolutions with mixed kernels",
    formula=r"""$\bigl(\sum_e a_e(x) W_e\bigr) * x = \sum_e a_e(x) (W_e * x)$: mixing the kernels first costs one
convolution, and with one expert alone it is the convolution whose weights were inherited.""",
    provenance="the abstract; no released code was found. The weights a_e are those of conditional convolutions in "
    "general, any numbers of a sample.",
    proved=("mixed-kernels",),
    measure=measure_mixed_kernels,
    known="Five experts, three samples with weights of their own, as groups of one convolution, in double precision.",
    unknown="Not reproduced: pruning, training in stages, attention, supervision by semantics, all speed-ups.",
    code="""
import torch
x, kernels = torch.randn(1, 4, 8, 8).double(), torch.randn(2, 6, 4, 3, 3).double()
once = torch.nn.functional.conv2d(x, 0.3 * kernels[0] + 0.7 * kernels[1])
each = 0.3 * torch.nn.functional.conv2d(x, kernels[0]) + 0.7 * torch.nn.functional.conv2d(x, kernels[1])
print(float((once - each).abs().max()))
""",
)

TECHNIQUES = (SKIPS, LOW_RANK, KERNELS)
