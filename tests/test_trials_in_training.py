"""Trials that train networks of digits: arms differ by what is tried alone, and the records have what is said."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cosine_similarity

from samplerproof.book.records.technique_results import OF_TRIALS
from samplerproof.book.techniques import features_in_training
from samplerproof.book.techniques.features_in_training import Clock, Judged, Student, compared, trained

SMALL = {"BATCH": 8, "JUDGED": 8, "LEVELS": 2, "UPDATES": 3}


def arm(monkeypatch: pytest.MonkeyPatch, name: str, **changes: object) -> Judged:
    """An arm in a short training, with some names of the module set otherwise."""
    with monkeypatch.context() as here:
        for key, value in {**SMALL, **changes}.items():
            here.setattr(features_in_training, key, value)
        return trained.__wrapped__(name, 0)  # type: ignore[arg-type]


@pytest.mark.slow  # the classifier and the digits
def test_arms_differ_by_what_is_tried_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert equal bits of a plain network and of an aligned one at weight 0 or a memory of zeros, and others else."""
    plain, aligned, memory = (arm(monkeypatch, name) for name in ("plain", "aligned", "memory"))
    assert (
        plain.losses == arm(monkeypatch, "plain", WEIGHT=0.0).losses == arm(monkeypatch, "aligned", WEIGHT=0.0).losses
    )
    assert {*plain.losses} == {
        *arm(monkeypatch, "memory", features_of=lambda images: torch.zeros(len(images), 16)).losses
    }
    assert len({*plain.losses, *aligned.losses, *memory.losses}) == 5
    assert plain.cosine != aligned.cosine


def test_the_parts_of_a_student() -> None:
    """Assert the cosine by hand, and that a linear image of the features is added to the clock."""
    torch.manual_seed(0)
    network, y, lam, goal = Student(), torch.randn(3, 1, 8, 8), torch.tensor([-1.0, 0.0, 2.0]), torch.randn(3, 16)
    pooled = network.encode(y, lam)[-1].flatten(2).mean(2)
    assert torch.allclose(network.pooled, pooled, atol=1e-6)
    by_hand = cosine_similarity(pooled @ network.project.weight.T + network.project.bias, goal).mean()
    assert torch.allclose(network.cosine(pooled, goal), by_hand, atol=1e-6)
    clock = Clock()
    without = clock(lam)
    clock.features = goal
    assert torch.allclose(clock(lam) - without, goal @ clock.image.weight.T, atol=1e-6)


def test_a_mean_difference_has_its_standard_error() -> None:
    number, words = compared([(1.0, 1.1), (2.0, 2.2), (3.0, 3.3)])
    assert number == pytest.approx(0.2)
    assert words == f"+0.2000 ± {0.1 / math.sqrt(3):.4f}"


def kept_rows(trial: str) -> tuple[list[list[float]], list[str]]:
    """The kept numbers of five seeds, and the row of mean differences, which is theirs to a digit of rounding."""
    kept = OF_TRIALS.read(trial)
    assert kept is not None
    seeds = [[float(number) for number in row[1:]] for row in kept["rows"][:5]]
    assert float(kept["rows"][5][2].split()[0]) == pytest.approx(sum(b - a for a, b, *_ in seeds) / 5, abs=1.1e-4)
    return seeds, kept["rows"][5]


def test_what_is_said_of_alignment_is_kept() -> None:
    """Assert a cost at every seed, and cosines above and not above the one of a constant vector."""
    seeds, means = kept_rows("repa-training")
    kept = OF_TRIALS.read("repa-training")
    assert kept is not None
    constant = float(kept["rows"][6][3])
    assert means[2].startswith("+0.012")
    for plain, aligned, alone, cosine in seeds:
        assert aligned > plain
        assert alone < constant < 0.6 < cosine < 0.63


def test_what_is_said_of_given_features_is_kept() -> None:
    """Assert at every seed a gain by own features, most of it by the nearest digit's, and a loss by another digit's."""
    seeds, means = kept_rows("gmem-training")
    assert [round(float(words.split()[0]), 3) for words in means[2:4]] == [-0.08, -0.075]
    for plain, own, nearest, other in seeds:
        assert own < nearest < plain < other
        assert plain - nearest > 0.9 * (plain - own)
