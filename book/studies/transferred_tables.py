"""What a table that was designed for one model reaches on another: every table on every target."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...numerics.advice.advice_targets import question
from ...numerics.advice.candidates import candidates
from ...numerics.advice.question import Question
from ...numerics.advice.recording import Recording
from ...numerics.design.designed import ENOUGH, designed
from ...numerics.design.rivals import middle
from ...numerics.targets.mixture import GaussianMixture
from .design_study import COMPARED, STARTS, TIMES, VP, errors_of, fresh, random_mixture

NFE = 8
SIDE, COMPONENTS = 8, 16  # of the mixture with a spectrum of pictures, on the frequencies of SIDE x SIDE pixels
SCALE = 0.5  # standard deviation of a number of the mixtures, about that of pictures from -1 to 1
WITHIN = 0.3  # share of the deviation that is inside of a component
MIXTURES = ("mixture", "mixture-1/f")
TARGETS = (*MIXTURES, "rings", "digits", "photos")
LIMITED = 16  # starts on a network of pictures; 64 elsewhere
SHAPES = 8  # principal shapes of the curves of a model, as many as evaluations


def target_of(name: str, seed: int) -> GaussianMixture | str:
    """A mixture in eight dimensions, one in 64 whose variance falls as 1/f^2, or the name of a network."""
    if name == "mixture":
        plain = random_mixture(8, COMPONENTS, seed)
        assert plain.variances is not None
        return GaussianMixture(plain.weights, SCALE * plain.means, stds=SCALE * plain.variances.sqrt())
    if name == "mixture-1/f":
        generator = torch.Generator().manual_seed(seed + COMPONENTS)
        frequency = torch.arange(1, SIDE + 1, dtype=torch.float64)
        power = 1 / (frequency[:, None].square() + frequency.square()).flatten()
        deviation = SCALE * (power / power.mean()).sqrt()
        means = (
            (1 - WITHIN**2) ** 0.5
            * deviation
            * torch.randn(COMPONENTS, SIDE**2, generator=generator, dtype=torch.float64)
        )
        weights = torch.full((COMPONENTS,), 1 / COMPONENTS, dtype=torch.float64)
        return GaussianMixture(weights, means, stds=WITHIN * deviation.expand(COMPONENTS, -1))
    return name


def transferred(seed: int) -> dict[str, Any]:
    """The error of every designed table on every target, over that of the best of COMPARED on its best levels there.

    Returns {"targets", "ratios": {made for: {run on: ratio}}, "outside": the same of curves, see outside, "dimension":
    how many principal shapes hold all but 1e-4 of the square of a target's curves}.
    """
    asked = {name: _question(target_of(name, seed), seed) for name in TARGETS}
    made = {name: designed(of).designed.table for name, of in asked.items()}
    ratios: dict[str, dict[str, float]] = {name: {} for name in TARGETS}
    curves = {}
    for name, of in asked.items():
        recorded = fresh(of, LIMITED if name in ("digits", "photos") else STARTS["rings"], seed)
        curves[name] = _curves(recorded)
        tables = [c.table for c in candidates(VP, of.begin, of.end, NFE) if c.method in COMPARED]
        errors = [middle(sizes) for sizes in errors_of(of, recorded, [*made.values(), *tables])]
        best = min(errors[len(made) :])
        for source, error in zip(made, errors, strict=False):
            ratios[source][name] = error / best
    return {
        "targets": list(TARGETS),
        "ratios": ratios,
        "outside": {a: {b: outside(curves[a], curves[b]) for b in TARGETS} for a in TARGETS},
        "dimension": {name: dimension(of_target) for name, of_target in curves.items()},
    }


def _question(target: GaussianMixture | str, seed: int) -> Question:
    return question(target, VP, NFE, begin=TIMES[0], end=TIMES[1], budget=ENOUGH, seed=seed)


def _curves(recorded: Recording) -> Tensor:
    """The curves D(lambda) - D(first lambda) of every number of every trajectory, [curves, points], of mean square 1.

    A table integrates a constant exactly, so that the differences alone make its error.
    """
    data = recorded.data.flatten(1).T
    curves = data - data[:, :1]
    return curves / curves.square().mean().sqrt()


def outside(source: Tensor, target: Tensor) -> float:
    """The share of the square of the target's curves outside of the first SHAPES principal shapes of the source's."""
    _, _, shapes = torch.linalg.svd(source, full_matrices=False)
    basis = shapes[:SHAPES]
    left = target - target @ basis.T @ basis
    return float(left.square().sum() / target.square().sum())


def dimension(curves: Tensor) -> int:
    """How many principal shapes hold all but 1e-4 of the square of the curves."""
    squares = torch.linalg.svdvals(curves).square()
    left = 1 - squares.cumsum(0) / squares.sum()
    return int((left > 1e-4).sum()) + 1
