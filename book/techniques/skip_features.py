"""Skip-Tuning: what a factor at the deepest skip does to the loss in pixels and to that in features of digits."""

from __future__ import annotations

import torch

from ...numerics.checkpoints.load import load
from ...numerics.surgery.scaled_skips import skips
from ..studies.frechet import reference
from .on_digits import changed, lambda_grid
from .technique import Measured

FACTORS, LEVELS = (1.0, 0.8, 0.7, 0.6, 0.5), 12


def measure_feature_loss() -> Measured:
    """Mean squares of x0hat - x0, and of their features, over held-out digits and levels; one noise for all factors."""
    data, classifier, _ = reference()
    clean = data.held_out.double()
    goal = classifier.features(clean.float()).detach()
    points, rows, ratios = lambda_grid(LEVELS - 1).points, [], []
    for factor in FACTORS:
        denoise, generator = changed(skips(load("digits").network, [1.0, factor]), torch.float32), torch.Generator()
        generator.manual_seed(0)
        pixels, features = [], []
        for at in points:
            x = at.alpha * clean + at.sigma * torch.randn(clean.shape, generator=generator, dtype=torch.float64)
            guess = denoise(x, at, "data")
            pixels.append(float((guess - clean).square().mean()))
            with torch.no_grad():
                features.append(float((classifier.features(guess.float()) - goal).square().mean()))
        means = [sum(values) / len(points) for values in (pixels, features)]
        ratios.append(means)
        own = [mean / first - 1 for mean, first in zip(means, ratios[0], strict=True)]
        rows.append((f"{factor:g}", *(f"{mean:.6f}" for mean in means), *(f"{100 * share:+.3f} %" for share in own)))
    head = ("factor", "loss in pixels", "loss in features", "pixels, change", "features, change")
    return Measured(number=ratios[2][1] / ratios[0][1], head=head, rows=tuple(rows))
