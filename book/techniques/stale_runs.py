"""Faster Diffusion and A-SDM: features that are not evaluated at every step, and a small network for early steps."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from ...numerics.denoisers import Denoiser
from ...numerics.grids import Grid
from ...numerics.stitching import stitched
from ...numerics.surgery.break_even import BreakEven
from ...numerics.surgery.low_rank import low_rank, ranks_of
from ...numerics.surgery.macs import counted_macs
from ...numerics.surgery.refreshes import Refreshes
from ...numerics.surgery.stale_mixture import stale_mixture
from ...numerics.surgery.stale_unet import inherited, propagated
from ...numerics.tableau import tabulate
from . import on_digits
from .changed_weights import patch_moments
from .on_the_line import M1, trajectory
from .technique import Measured, Technique

Wrap = Callable[[torch.nn.Module, int, int], torch.nn.Module]
Row = tuple[str, ...]
CASES = (  # method, its order p, q, m
    ("ddim", 1, 2, 1),
    ("ddim", 1, 4, 1),
    ("dpm-solver++-2m", 2, 2, 1),
    ("dpm-solver++-2m", 2, 2, 2),
    ("dpm-solver++-2m", 2, 4, 2),
    ("exp-adams-3", 3, 2, 1),
    ("exp-adams-3", 3, 2, 2),
    ("exp-adams-3", 3, 2, 3),
)
METHODS = {method: order for method, order, _, _ in CASES}
ON_LINE, ON_DIGITS = (320, 640), (80, 160)  # steps
NODES, SAMPLES = 201, 2
HEAD = ("model", "sampler", "q", "m", "min(p, m)", "order", "error c", "cost K", "c K^p", "verdict")


def line_error(method: str, steps: int, stale: tuple[int, int] | None = None) -> float:
    """The error on the first mixture, from exact start values, with stale responsibilities (q, m)."""
    at = on_digits.lambda_grid(steps)
    denoise = None if stale is None else stale_mixture(M1, *stale)
    return trajectory(tabulate(method, at, start="exact"), M1, at, denoise, NODES)


def unet_error(method: str, steps: int, network: torch.nn.Module) -> float:
    """The distance of a run of a network of digits to the fine flow of the kept one."""
    y = on_digits.end(on_digits.changed(network), method, on_digits.lambda_grid(steps), on_digits.starts(SAMPLES))
    return on_digits.distance(y, on_digits.flow_end(SAMPLES))


def line_rows() -> tuple[list[Row], float]:
    """Rows of the mixture, and the largest distance of an order from min(p, m).  Here no evaluation has a cost."""
    rows: list[Row] = []
    largest, plain = 0.0, {method: line_error(method, ON_LINE[1]) for method in METHODS}
    for method, p, q, m in CASES:
        coarse, fine = (line_error(method, steps, (q, m)) for steps in ON_LINE)
        order = math.log2(coarse / fine)
        largest = max(largest, abs(order - min(p, m)))
        numbers = (f"{order:.3f}", f"{fine / plain[method]:.3g}", "", "", "")
        rows.append(("mixture", method, str(q), str(m), str(min(p, m)), *numbers))
    return rows, largest


def unet_rows(wrap: Wrap) -> tuple[list[Row], float]:
    """Rows of the network of digits, and the largest distance of an order from min(p, m)."""
    rows: list[Row] = []
    largest, network = 0.0, on_digits.digits().network
    plain = {method: unet_error(method, ON_DIGITS[1], network) for method in METHODS}
    for method, p, q, m in CASES:
        coarse, fine = (unet_error(method, steps, wrap(network, q, m)) for steps in ON_DIGITS)
        order = math.log2(coarse / fine)
        largest = max(largest, abs(order - min(p, m)))
        found = BreakEven(fine / plain[method], cost(wrap, q, m, ON_DIGITS[1]), p)
        numbers = (f"{order:.2f}", f"{found.error:.3g}", f"{found.cost:.3f}", f"{found.ratio:.3g}")
        verdict = "worth it" if found.worth else "not worth it"
        rows.append(("digits", method, str(q), str(m), str(min(p, m)), *numbers, verdict))
    return rows, largest


@torch.no_grad()
def cost(wrap: Wrap, q: int, m: int, steps: int) -> float:
    """The multiply-accumulates of a run of that number of evaluations over those of the plain network."""
    network = on_digits.digits().network
    model, y = wrap(network, 2, 1), torch.zeros(1, *on_digits.digits().shape)
    counts = []
    for called, lam in ((network, 0.0), (model, 0.0), (model, 1.0)):  # plain, with a refresh, without one
        with counted_macs(called) as found:
            called(y, torch.full((1,), lam))
        counts.append(found.total)
    share = Refreshes(q, m).share(steps)
    return (share * counts[1] + (1 - share) * counts[2]) / counts[0]


def measure_propagation() -> Measured:
    on_line, first = line_rows()
    on_unet, second = unet_rows(propagated)
    return Measured(number=max(first, second), head=HEAD, rows=(*on_line, *on_unet))


PROPAGATION = Technique(
    name="faster-diffusion",
    system="Faster Diffusion",
    title="Faster Diffusion: the encoder's features used for several steps",
    cite="li2024fasterdiffusion",
    claimed="Encoder features change little between steps: taken from an earlier step at most of them, they speed "
    "Stable Diffusion up by 41 % and DeepFloyd-IF by 24 % at similar quality, without training.",
    verdict="reuse makes every sampler first-order, extrapolation through m refreshes keeps the order min(p, m); on "
    "this network, where the encoder is 0.42 of the cost, fewer plain steps are better in every row",
    quantity="largest distance of an observed order from min(p, m)",
    within=(0.0, 0.15),
    covered="mechanism: uniform keys, on an exact mixture and on the U-Net of digits",
    formula=r"""The denoiser is $D(x, \lambda) = \mathrm{dec}(\mathrm{enc}(x, \lambda), \lambda)$. At every $q$-th
evaluation the features are $f = \mathrm{enc}(x, \lambda)$; between them

$$\tilde f(\lambda) = \sum_{k=1}^{m} \ell_k(\lambda) f(\lambda_k), \qquad \ell_k(\lambda) =
\prod_{j \ne k} \frac{\lambda - \lambda_j}{\lambda_k - \lambda_j},$$

over the last $m$ refreshes; $m = 1$ is the paper's reuse, $m \ge 2$ what later work calls forecasting
{cite:p}`liu2025taylorseer`. With cost factor $K = 1 - s (1 - 1/q)$ for an encoder of share $s$, and error factor $c$,
the error at equal cost is $c K^p$ times that of the plain sampler.""",
    provenance="the abstract, and the released code for Stable Diffusion (utils_sd.py): at key steps it runs the "
    "encoder with the middle block, at others the decoder with the current time embedding; its keys "
    "for 50 steps are 0, 1, 2, 3, 5, 10, 15, 25, 35, and noise of 0.003 z_T is added before each "
    "step below t = 500, which is not covered here.",
    proved=("stale-features", "stale-features-leading", "held-output", "break-even"),
    methods=("ddim", "dpm-solver++-2m", "exp-adams-3"),
    measure=measure_propagation,
    known="The first rows have the responsibilities of a mixture as features, at 320 and 640 steps from exact start "
    "values; the others the U-Net of digits, at 80 and 160 steps in double precision, two samples. Costs are "
    "multiply-accumulates, counted. A step between two refreshes does not depend on x, so that such "
    "steps can be decoded in one batch; where it keeps the data prediction as well, the run is DDIM on the grid of "
    "the keys. `techniques.propagated` takes a UNet2DModel or UNet2DConditionModel of diffusers as well. "
    "At c K^p above 1 the plain sampler with K times the steps has the smaller error; where m < p, c grows with the "
    "number of steps, and is that of the last one. A factor is a ratio of root mean squares over the start law, and "
    "it depends on that law: on the mixture those of DDIM are the integral of the leading error, which is 9 and 13 % "
    "smaller with equal weights on starts from -2.2 to 2.2 (`tests/numerics/test_surgery.py` has both).",
    unknown="Not reproduced: the speed-ups on a GPU, FID and CLIP scores, larger networks, where the features' share "
    "of the leading error and the encoder's share of the cost are others, keys that are not uniform, injected noise.",
    code="""
from dataclasses import replace
import torch, samplerproof as sp
digits = sp.load_checkpoint("digits")
grid = sp.grid(sp.schedule("edm"), "karras", 20, sigma_min=0.05, sigma_max=20)
x = 20 * torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
plain = sp.sample(digits.denoiser(), x, sp.tabulate("dpm-solver++-2m", grid))
for m in (1, 2):
    stale = replace(digits, network=sp.techniques.propagated(digits.network, q=2, m=m)).denoiser()
    print(m, float((sp.sample(stale, x, sp.tabulate("dpm-solver++-2m", grid)) - plain).square().mean().sqrt()))
""",
)

Curve = list[tuple[float, float]]
STEPS, MEMBER, TOGETHER, PARTS = 20, 0.35, 8, (0.2, 0.4, 0.6)


def switching(at: Grid, member: torch.nn.Module) -> tuple[Curve, Curve]:
    """By the share of steps that a member takes in place of the network, first or last, how far the samples move."""
    x = on_digits.starts(TOGETHER, at=at)
    full, small = (on_digits.changed(network) for network in (on_digits.digits().network, member))
    goal = on_digits.end(full, "dpm-solver++-2m", at, x)

    def moved(first: Denoiser, second: Denoiser, steps: int) -> float:
        denoise = stitched([first, second], [at.points[steps].lam])
        return on_digits.distance(on_digits.end(denoise, "dpm-solver++-2m", at, x), goal)

    early = [(part, moved(small, full, round(part * at.steps))) for part in PARTS]
    late = [(part, moved(full, small, at.steps - round(part * at.steps))) for part in PARTS]
    return early, late


def measure_inheritance() -> Measured:
    network = on_digits.digits().network
    member = low_rank(network, ranks_of(network, MEMBER), patch_moments())
    early, late = switching(on_digits.time_grid(STEPS), member)
    early_lambda, late_lambda = switching(on_digits.lambda_grid(STEPS), member)
    return Measured(
        number=round(late[1][1] / early[1][1], 1),  # the member's weights are of single precision
        head=HEAD,
        rows=tuple(unet_rows(inherited)[0]),
        curves={
            "first, equal in t": early,
            "last, equal in t": late,
            "first, equal in lambda": early_lambda,
            "last, equal in lambda": late_lambda,
        },
        x="share of the steps with the small network",
        y="distance to the full network's samples",
    )


INHERITANCE = Technique(
    name="a-sdm",
    system="A-SDM, assembly and inheritance",
    title="A-SDM: model assembly and feature inheritance",
    cite="zhu2024asdm",
    claimed="Features of a block, layer or unit inherited from an earlier step speed Stable Diffusion up by 40 %; a "
    "light network assembled from distilled blocks by 22.4 %; a small network can replace the full one at early steps.",
    verdict="inheritance below the finest level has the order min(p, m), as all stale features; a small network costs "
    "least in the first steps where these are equal in t, not where they are equal in lambda",
    quantity="distance with a member of low rank in the last 40 % of steps equal in t, over that in the first 40 %",
    within=(5.0, 1e3),
    covered="mechanism: inheritance below the finest level, switching to a member of low rank, on the U-Net of digits",
    formula=r"""As in [Faster Diffusion](faster-diffusion.md), with another cut: the finest level of encoder and decoder
is evaluated at every step, and what the levels below it pass to it at every $q$-th, extrapolated in $\lambda$ through
the last $m$ refreshes. Switching is [T-Stitch](t-stitch.md)'s.""",
    provenance="abstracts only; no code was found. Which blocks and units the paper inherits, and its patterns of "
    "steps, are not known here: the cut is this project's.",
    proved=("stale-features", "stale-features-leading", "break-even"),
    methods=("ddim", "dpm-solver++-2m", "exp-adams-3"),
    measure=measure_inheritance,
    needs="sklearn",
    known="The table is that of Faster Diffusion for the other cut: here 0.51 of the multiply-accumulates are below "
    "it. The figure has a member of the network of low rank, as the weighted one of [PLRD](plrd.md) at 0.35 and "
    "without training, in 20 steps of 2M: distances to the samples of the full network, from eight common starts. What "
    "a share of the steps costs depends on the grid: equal in t the first 40 % end at lambda = -1.8, equal in lambda "
    "at -0.3, where the member in the first steps moves the samples nearly as far as in the last.",
    unknown="Not reproduced: the speed-ups, which are those of Stable Diffusion on a GPU, FID; model assembly, which "
    "needs training (blocks distilled to zero loss compose to the full network).",
    code="""
from dataclasses import replace
import torch, samplerproof as sp
digits = sp.load_checkpoint("digits")
changed = replace(digits, network=sp.techniques.inherited(digits.network, q=2, m=2))
grid = sp.grid(sp.schedule("edm"), "karras", 10, sigma_min=0.05, sigma_max=20)
x = 20 * torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
ends = [sp.sample(c.denoiser(), x, sp.tabulate("ddim", grid)) for c in (digits, changed)]
print(float((ends[1] - ends[0]).square().mean().sqrt()))
""",
)

TECHNIQUES = (PROPAGATION, INHERITANCE)
