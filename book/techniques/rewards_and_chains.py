"""RG-LCD and T2V-Turbo: rewards; EMDM: draws of the posterior."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...numerics.few_step.posterior_chain import Guess, posterior_chain
from ...numerics.points import Point
from ...numerics.targets.flow import quantile
from ...numerics.targets.mixture import GaussianMixture
from .on_the_line import M1, uniform_t
from .technique import Measured, Technique

CLEAN = Point(alpha=1.0, sigma=0.0)
SHARPNESS, CENTRE = 0.5, 1.5  # r(x) = -SHARPNESS/2 (x - CENTRE)^2
LEVELS = 4001


def _quantiles(law: GaussianMixture, at: Point, count: int) -> Tensor:
    """The quantiles of (i + 1/2)/count."""
    lower = ((torch.arange(count, dtype=torch.float64) + 0.5) / count)[:, None]
    return quantile(law, lower.log(), (1 - lower).log(), at)[:, 0]


def rewards(beta: float) -> tuple[float, float, float, float]:
    """W2 of the tilt from M1; the mean rewards of the tilt and of the transport at that W2; its largest weight."""
    tilted = M1.tilted([[SHARPNESS]], [CENTRE], beta)
    x = torch.linspace(-9, 9, LEVELS, dtype=torch.float64)[:, None]
    reward = -SHARPNESS / 2 * (x[:, 0] - CENTRE).square()

    def mean(law: GaussianMixture) -> float:
        return float(torch.trapezoid(reward * law.log_density(x, CLEAN).exp(), x[:, 0]))

    moved = _quantiles(tilted, CLEAN, LEVELS) - _quantiles(M1, CLEAN, LEVELS)
    distance, plain = math.sqrt(float(moved.square().mean())), mean(M1)
    # Transport: y -> c + kappa (y - c) has W2 = (1 - kappa) sqrt(E (y - c)^2) and the reward kappa^2 E r.
    kappa = 1 - distance / math.sqrt(-2 * plain / SHARPNESS)
    return distance, mean(tilted), kappa**2 * plain, float(tilted.weights.max())


def measure_rewards() -> Measured:
    betas = (3.0, 1.0, 0.4, 0.2, 0.1)
    found = [(beta, *rewards(beta)) for beta in betas]
    return Measured(
        number=min(transport - tilt for _, _, tilt, transport, _ in found),
        head=(
            "beta",
            "W2 from the teacher",
            "mean reward, tilt",
            "mean reward, transport",
            "larger weight of the tilt",
        ),
        rows=tuple((f"{found_[0]:g}", *(f"{v:.4f}" for v in found_[1:])) for found_ in found),
        curves={
            "tilt": [(w2, -tilt) for _, w2, tilt, _, _ in found],
            "transport": [(w2, -transport) for _, w2, _, transport, _ in found],
        },
        x="W2 from the teacher",
        y="minus the mean reward",
    )


REWARDS = Technique(
    name="rg-lcd",
    system="RG-LCD, T2V-Turbo",
    title="RG-LCD and T2V-Turbo: reward guided latent consistency distillation, with mixed rewards for video",
    cite="li2024rglcd",
    claimed="A reward of the single-step sample, added to the loss of consistency distillation, gives samples in 2 to "
    "4 steps that people prefer to 50 steps of the teacher.",
    verdict="at the optimum of a squared loss every level is a proximal map of the reward: samples move and modes keep "
    "their weights; it climbs the reward at least cost in transport, and does not sample p exp(r/beta)",
    quantity="least gain in reward of the transport over the tilt, at equal W2, of five",
    within=(1e-4, 1.0),
    covered="mechanism: a mixture on the line and a quadratic reward",
    formula=r"""For $r = -\tfrac q2 (y - c)^2$ with weight b a level takes $y$ to $c + \kappa (y - c)$, $\kappa =
2/(2 + b
q)$, and N levels contract by $\kappa^N$. The tilt $p\, e^{r/\beta}$ is a mixture with $S' = 1/(1/S + H)$, $\mu' =
S'(\mu/S +
H c)$, $H = q/\beta$, and weights times $(1 + S H)^{-1/2} e^{-(\mu - c)^2 H/(2 + 2 S H)}$.""",
    provenance="read in the released code of both: the target network of T2V-Turbo is the network itself, so that the "
    "map compounds over levels; RG-LCD averages weights at 0.95. Their loss is a pseudo-Huber one, which has no "
    "optimum where the reward's slope is too large; that is not treated here.",
    proved=("reward-prox", "reward-tilt", "ideal-student"),
    measure=measure_rewards,
    known="Over-optimisation grows with the number of levels of the distillation, and not with b alone. Quadratic "
    "rewards of frames and of the whole video add their matrices.",
    unknown="The latent proxy of the reward, the pseudo-Huber loss, VBench and human preference: not reproduced.",
    code="""
import samplerproof as sp
mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
for beta in (1.0, 0.4, 0.1):
    tilted = mixture.tilted([[0.5]], [1.5], beta)
    print(beta, tilted.weights.tolist(), tilted.means[:, 0].tolist())
print([(2 / (2 + 0.1 * 0.5)) ** levels for levels in (8, 16, 50)])
""",
)

COUNT = 100_000


def chain_error(guess: Guess, steps: int) -> float:
    """W1 from the exact law of the end of a chain of COUNT states, at the quantiles."""
    at, chance = uniform_t(steps), torch.Generator().manual_seed(0)
    end = posterior_chain(guess, M1.sample(COUNT, at.points[0], chance), at, chance)
    return float((end[:, 0].sort().values - _quantiles(M1, at.points[-1], COUNT)).abs().mean())


def measure_chain() -> Measured:
    chance = torch.Generator().manual_seed(1)
    steps = (1, 2, 4, 8)
    draws = [chain_error(lambda x, at: M1.posterior_sample(x, at, chance), n) for n in steps]
    means = [chain_error(lambda x, at: M1(x, at, "data"), n) for n in steps]
    floor = float((M1.sample(COUNT, CLEAN, chance)[:, 0].sort().values - _quantiles(M1, CLEAN, COUNT)).abs().mean())
    return Measured(
        number=max(draws),
        head=("steps", "W1, draws of the posterior", "W1, its mean", "W1 of exact draws"),
        rows=tuple(
            (str(n), f"{a:.4f}", f"{b:.3f}", f"{floor:.4f}") for n, a, b in zip(steps, draws, means, strict=True)
        ),
        curves={
            "draws of the posterior": [(float(n), v) for n, v in zip(steps, draws, strict=True)],
            "its mean": [(float(n), v) for n, v in zip(steps, means, strict=True)],
        },
        x="steps N",
        y="W1",
    )


CHAIN = Technique(
    name="emdm",
    system="EMDM",
    title="EMDM: efficient motion diffusion model for fast and high-quality motion generation",
    cite="zhou2024emdm",
    claimed="A generator that is trained against a discriminator captures the multimodal law of the data given a noisy "
    "state, so that ten large steps make motions in real time.",
    verdict="the reason is exact: with draws of the posterior the chain has the right law in any number of steps, "
    "with its mean it has not; that a generator learns those draws is not shown here",
    quantity="largest W1 of chains of 1, 2, 4 and 8 steps with draws of the posterior",
    within=(0.0, 0.012),
    covered="mechanism: a mixture on the line, 100,000 states",
    formula=r"""$x' = c_1 x_0' + c_2 x + \sigma' \sqrt{1 - r^2}\, z$ with $c_1 = \alpha'(1 - r^2)$, $c_2 = r^2
\alpha'/\alpha$, $r = \sigma' \alpha/(\sigma \alpha')$, and $x_0' \sim q(x_0 \mid x)$. With the mean in place of the
draw the
variance is short by $c_1^2 \operatorname{Var}(x_0 \mid x)$ in every step.""",
    provenance="read in the released code (`train_ddgan.py`): ten steps, a logistic loss with a penalty on the "
    "gradient every 15 updates, and losses on positions, velocities and feet of the motions.",
    proved=("posterior-chain",),
    measure=measure_chain,
    known="At the optimum the losses are log 2 and 2 log 2; they are that for a weak discriminator too, so they prove "
    "nothing about the law.",
    unknown="A trained generator, the geometric losses, motions: not reproduced.",
    code="""
import torch, samplerproof as sp
mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
grid = sp.grid(sp.schedule("vp-linear"), "uniform-t", 2, t_min=1e-3, t_max=1.0)
chance = torch.Generator().manual_seed(0)
x = mixture.sample(20_000, grid.points[0], chance)
draw = lambda x, at: mixture.posterior_sample(x, at, chance)
mean = lambda x, at: mixture(x, at, "data")
for guess in (draw, mean):
    print(sp.techniques.posterior_chain(guess, x, grid, chance).std())
""",
    methods=("ddpm",),
)

TECHNIQUES = (REWARDS, CHAIN)
