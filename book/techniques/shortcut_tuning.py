"""SFT-PG: shortcut fine-tuning with policy gradients."""

from __future__ import annotations

import torch

from ...numerics.policy_gradient import GaussianChain, exact_gradient, policy_gradient
from .technique import Measured, Technique

CHAIN = GaussianChain((0.9, 0.8, 0.7), (0.1, -0.2, 0.3), (0.5, 0.4, 0.3))
PATHS = 100_000


def measure_policy_gradient() -> Measured:
    rows, largest = [], 0.0
    for name, f in (("x^2", torch.square), ("cos 2x", lambda x: torch.cos(2 * x))):
        exact = exact_gradient(CHAIN, f)
        plain, based = (
            policy_gradient(CHAIN, f, PATHS, torch.Generator().manual_seed(0), baseline=b) for b in (False, True)
        )
        largest = max(largest, *(float(((e.mean - exact) / e.stderr).abs().max()) for e in (plain, based)))
        for i, kind in enumerate(("gain", "shift")):
            for k in range(3):
                values = (exact[i, k], plain.mean[i, k], plain.stderr[i, k], based.stderr[i, k])
                rows.append((name, f"{kind} {k + 1}", *(f"{float(value):.4f}" for value in values)))
    return Measured(
        number=largest,
        head=("f", "parameter", "exact", "estimate", "standard error", "standard error with V"),
        rows=tuple(rows),
    )


POLICY = Technique(
    name="sft-pg",
    system="SFT-PG",
    title="SFT-PG: optimizing DDPM sampling with shortcut fine-tuning",
    cite="fan2023sftpg",
    claimed="The gradient of an integral probability metric to the data, in the parameters of a sampler of "
    "few steps, is a policy gradient; descending it finds shortcuts to the data that do not follow "
    "the backward process.",
    verdict="confirmed: the identity is exact, a baseline keeps the mean and lowers the variance, and shortcuts exist",
    quantity="largest of 24 deviations, in standard errors",
    within=(0.0, 4.0),
    covered="identity: chains of Gaussian steps in one dimension",
    formula=r"""For steps $x_{k+1} = A_k x_k + b_k + s_k z_k$ and any $f$,

$$\frac{\partial}{\partial\theta} \operatorname{E} f(x_\text{end}) = \operatorname{E}\Bigl[\bigl(f(x_\text{end}) -
V(x_k)\bigr) \textstyle\sum_k \partial_\theta \log p_\theta(x_{k+1} \mid x_k)\Bigr].$$

With a fixed finite family of f the metric's derivative is that at the maximal f, by the envelope theorem; it does not
exist where two are maximal, as at the optimum. Two steps with given noises reach $N(m, v)$ exactly iff
$s_2^2 \le v$.""",
    provenance="read in the released code, for images (`finetune.py`) and for the toy (`toy_exp/train.py`): the loss "
    "is the mean of (f(x_end) - V(x_k)) log p, with V fitted to f(x_end) by least squares, and the critic minimises "
    "f(data) - f(generated). The code for images averages log p over the pixels, which divides the gradient by their "
    "number, and forces a standard deviation of 0.001 on the last step, which has none; the toy does neither.",
    proved=("policy-gradient-identity", "policy-gradient-baseline", "shortcut-exists"),
    measure=measure_policy_gradient,
    known="The estimate agrees with the exact gradient for x^2 and cos 2x; with the exact value as the "
    "baseline standard errors are 0.52 to 0.73 of those without it for x^2, and 0.89 to 0.95 for cos "
    "2x. A step without noise has no density: it is refused.",
    unknown="Networks, the critic's smoothness, monotone improvement.",
    code="""
import torch, samplerproof as sp
chain = sp.techniques.GaussianChain(gains=(0.9, 0.8, 0.7), shifts=(0.1, -0.2, 0.3), stds=(0.5, 0.4, 0.3))
exact = sp.techniques.exact_gradient(chain, torch.square)
for baseline in (False, True):
    found = sp.techniques.policy_gradient(
        chain, torch.square, 100_000, torch.Generator().manual_seed(0), baseline=baseline
    )
    print((found.mean - exact) / found.stderr, found.stderr)
print(sp.techniques.shortcut(1.0, 0.5, stds=(0.4, 0.3)))
""",
)

TECHNIQUES = (POLICY,)
