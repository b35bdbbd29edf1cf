"""Restoration-Degradation on processes with a non-linear drift."""

from __future__ import annotations

import math

from torch import Tensor

from ...numerics.metrics import node_weights, nodes
from ...numerics.restoration import euler, leading_parts, restored
from ...numerics.targets.tilted_process import CLEAN, TiltedProcess
from .on_the_line import M1
from .technique import Measured, Technique

PROCESS = TiltedProcess(M1, 1.0)
T_MAX, T_MIN = 1.5, 0.05
STEPS = (50, 100, 200, 400)


def measure_restoration() -> Measured:
    law = PROCESS.law(T_MAX)
    x = nodes((law, CLEAN), 301)
    weights = node_weights((law, CLEAN), x)
    exact, _ = PROCESS.flow(x, T_MAX, T_MIN)
    first, second = leading_parts(PROCESS, x, T_MAX, T_MIN)

    def rms(error: Tensor) -> float:
        return math.sqrt(float(error[:, 0].square() @ weights))

    labels = ("l = sqrt(h)/2", "A h/l + B l", "l = h", "frozen, l = 0.5", "Euler's method")
    curves: dict[str, list[tuple[float, float]]] = {label: [] for label in labels}
    for n in STEPS:
        h = (T_MAX - T_MIN) / n
        back = math.sqrt(h) / 2
        errors = (
            restored(PROCESS, x, T_MAX, T_MIN, n, back) - exact,
            first * h / back + second * back,
            restored(PROCESS, x, T_MAX, T_MIN, n, h) - exact,
            restored(PROCESS, x, T_MAX, T_MIN, n, 0.5, frozen=True) - exact,
            euler(PROCESS, x, T_MAX, T_MIN, n) - exact,
        )
        for label, error in zip(labels, errors, strict=True):
            curves[label].append((n, rms(error)))
    found = curves[labels[0]]
    return Measured(
        number=math.log2(found[-2][1] / found[-1][1]),
        head=("N", *labels),
        rows=tuple((str(n), *(f"{points[k][1]:.2e}" for points in curves.values())) for k, n in enumerate(STEPS)),
        curves=curves,
        x="steps N",
        y="root mean square distance to the exact flow",
        dashed=("A h/l + B l",),
    )


RESTORATION = Technique(
    name="restoration-degradation",
    system="Restoration-Degradation",
    title="Restoration-Degradation beyond linear diffusions: a non-asymptotic analysis for DDIM-type samplers",
    cite="chen2023restoration",
    claimed="For general forward processes a step along the probability flow is a restoration, gradient ascent on the "
    "conditional log-likelihood at an infinitesimally earlier time, followed by a degradation, the forward process "
    "with the noise that points back to the current iterate; samplers of this kind converge with a polynomial number "
    "of steps.",
    verdict="the reading holds as l and h/l tend to 0; the error is A h/l + B l, so that the rate is sqrt(h), "
    "slower than Euler's method; order 1 once drift and score are frozen",
    quantity="exponent of the error with l = sqrt(h)/2, from 200 to 400 steps",
    within=(0.45, 0.6),
    covered="system: exact scores of a process with the drift tanh(x) in one dimension",
    formula=r"""For $dX = f\,dt + g\,dW$, with $h$ the step and $l \ge h$ the look-back,

$$y = x - l f(x), \quad y' = y + l g^2 \nabla\log q_{t-l}(y), \quad z = \frac{x - y' - l f(y')}{g\sqrt l}, \quad
x_{t-h} = y' + (l - h) f(y') + g\sqrt{l - h}\,z.$$

The process is made so that its law is known: where $dX = f\,dt + g\,dW$ has the law $p_t$ and $h > 0$ solves
$h_t + f h_x + \tfrac12 g^2 h_{xx} = 0$, the drift $f + g^2 (\log h)_x$ has the law $p_t h/Z$. Here $f = 0$, $g = 1$ and
$h = \cosh(ax)\,e^{-a^2t/2}$: the drift is $a\tanh(ax)$, and every law of a mixture is a mixture again.""",
    provenance="read in the text of the abstract and the introduction, which have the two parts of a step and the "
    "limit in which they hold; the update with a finite look-back is our reading of them, the constants of the theorem "
    "were not read, and no code of it was found. The construction of the process is Doob's h-transform.",
    proved=("tilted-process", "tilted-mixture", "restoration-step"),
    measure=measure_restoration,
    known="With |A| = 0.0920 and |B| = 0.7508 from integrals along the exact flow, A h/l + B l is within 4 "
    "% of the measured error at 3200 steps and l = sqrt(h)/2. The best look-back is 0.35 sqrt(h). At "
    "l = h the error does not fall: it stays at 0.254. With the drift and the score of the start of "
    "the step l may stay fixed, and the order is 1, here with a constant below that of Euler's "
    "method, as the part h^2/(8 l) has the other sign.",
    unknown="The constants and the class of processes of the theorem; a bound that is polynomial in the "
    "dimension is not tested by a rate in one.",
    code="""
import torch, samplerproof as sp
mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
process = sp.techniques.TiltedProcess(mixture, rate=1.0)
x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
exact, _ = process.flow(x, 1.5, 0.05)
h = 1.45 / 100
for look_back, frozen in ((h, False), (0.35 * h**0.5, False), (0.5, True)):
    y = sp.techniques.restored(process, x, 1.5, 0.05, 100, look_back, frozen=frozen)
    print(look_back, sp.metrics.trajectory(y, exact))
""",
)

TECHNIQUES = (RESTORATION,)
