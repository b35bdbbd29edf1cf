"""A Frechet distance between generated and real digits, in the features of a small classifier that is trained here.

It is not FID, whose features and images are others. It only compares samplers on one network.
|m - m'|^2 + tr(C + C' - 2 (C C')^{1/2}), the square of W2 between Gaussians with the features' moments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from ...numerics.catalogue import resolve
from ...numerics.checkpoints.load import load
from ...numerics.laws.gaussian import Gaussian, w2
from ...numerics.studies.store import Store, Value
from ...numerics.support.manifest import TRAINING, fingerprint
from ...numerics.training.data import Data, digits
from . import STUDIES
from .sample_pictures import EVALUATIONS, FINE, grid_for, samples_of

NETWORK = "digits"
FEATURES = 16
TRAINED = 400  # steps of the classifier
GENERATED, FEW = 256, 64


class Classifier(nn.Module):
    """8 x 8 images to ten classes, through FEATURES features."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, FEATURES), nn.Tanh())
        self.leave = nn.Linear(FEATURES, 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.leave(self.features(x))
        return out


def trained(data: Data) -> tuple[Classifier, float]:
    """The classifier, the same on every run on one machine, and its accuracy on held-out digits."""
    assert data.labels is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Classifier()
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(TRAINED):
        chosen = torch.randint(len(data.train), (64,), generator=generator)
        loss = nn.functional.cross_entropy(network(data.train[chosen]), data.labels[0][chosen])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        right = float((network(data.held_out).argmax(1) == data.labels[1]).double().mean())
    return network.eval(), right


@torch.no_grad()
def moments(network: Classifier, images: Tensor) -> Gaussian:
    """Mean and covariance of the features of images [n, 1, 8, 8]."""
    features = network.features(images.float()).double()
    return Gaussian(features.mean(0), torch.cov(features.T))


def frechet(goal: Gaussian, law: Gaussian) -> float:
    """The Frechet distance between two sets of moments."""
    return w2(goal, law) ** 2


@cache
def reference() -> tuple[Data, Classifier, float]:
    """The digits, the classifier and its accuracy."""
    data = digits()
    return data, *trained(data)


def distances(
    methods: Sequence[str],
    noise_schedule: Mapping[str, Any],
    spacing: Mapping[str, Any],
    store: Store,
    device: torch.device,
    quick: bool,
) -> list[dict[str, Any]]:
    """Rows {"method", "evaluations", "distance", "samples"}: distances from the training digits.

    The row "as good as exact" has the error of the network itself, "held-out digits" the distance of real ones; the
    last row has the classifier's accuracy in place of a distance.
    """
    count = FEW if quick else GENERATED
    data, classifier, right = reference()
    checkpoint = load(NETWORK)
    goal = moments(classifier, data.train)
    rows = []
    wanted = [("as good as exact", FINE[0], FINE[1] * resolve(FINE[0]).nfe_per_step)]
    wanted += [(method, method, evaluations) for method in methods for evaluations in EVALUATIONS]
    # Distances of generated digits, stored once computed.
    for label, method, evaluations in wanted:
        way = grid_for(method, evaluations, noise_schedule, spacing)
        spec = {
            "frechet": label,
            "evaluations": evaluations,
            "count": count,
            "grid": [dict(noise_schedule), dict(spacing)],
        }
        spec |= {"sha256": checkpoint.sha256, "code": fingerprint(others=(STUDIES, TRAINING))}
        found = store.get(spec)
        if found is None:
            samples = samples_of(checkpoint, method, way, count, device)
            value = None if samples is None else frechet(goal, moments(classifier, samples))
            found = Value(evaluations, value).finite
            store.put([(spec, found)])
        rows.append({"method": label, "evaluations": evaluations, "distance": found.value, "samples": count})
    # Held-out digits for comparison, and the accuracy of the classifier.
    real = frechet(goal, moments(classifier, data.held_out))
    rows.append({"method": "held-out digits", "evaluations": None, "distance": real, "samples": len(data.held_out)})
    rows.append({"method": "classifier's accuracy", "evaluations": None, "distance": right, "samples": None})
    return rows
