"""Trials that train networks of digits: arms differ by what is tried alone, and the records have what is said."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cosine_similarity

from samplerproof.book.records.technique_results import OF_TRIALS
from samplerproof.book.techniques import features_in_training
from samplerproof.book.techniques.features_in_training import Recalled, alignment, compared, middle, trained
from samplerproof.numerics.checkpoints.own_networks import UNet

SMALL = {"BATCH": 8, "JUDGED": 8, "LEVELS": 2}


def arm(monkeypatch: pytest.MonkeyPatch, name: str, updates: int) -> features_in_training.Judged:
    for size, value in {**SMALL, "UPDATES": updates}.items():
        monkeypatch.setattr(features_in_training, size, value)
    trained.cache_clear()
    return trained(name, 0)  # type: ignore[arg-type]


@pytest.mark.slow  # the classifier and the digits
def test_arms_share_first_weights_and_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert equal losses before an update, others after, and that features of others are seen by a memory alone."""
    before = {name: arm(monkeypatch, name, 0) for name in ("plain", "aligned", "memory")}
    assert before["plain"].loss == before["aligned"].loss == before["plain"].of_others
    after = {name: arm(monkeypatch, name, 3) for name in ("plain", "aligned", "memory")}
    assert len({after["plain"].loss, after["aligned"].loss, after["memory"].loss, before["plain"].loss}) == 4
    assert after["plain"].of_others == after["plain"].loss
    assert after["memory"].of_others != after["memory"].loss
    assert after["aligned"].cosine > before["aligned"].cosine
    trained.cache_clear()


def test_the_parts_of_an_arm() -> None:
    """Assert the cosine by hand, and that a memory adds a linear image of the features to the clock."""
    torch.manual_seed(0)
    network = UNet((1, 8, 8), (8, 16), 64)
    x, noise, goal = torch.randn(3, 1, 8, 8), torch.randn(3, 1, 8, 8), torch.randn(3, 16)
    lam = torch.tensor([-1.0, 0.0, 2.0])
    projector = torch.nn.Linear(16, 16)
    a, s = ((1 / (1 + (-sign * 2 * lam).exp())).sqrt()[:, None, None, None] for sign in (1, -1))
    by_hand = cosine_similarity(projector(middle(network, a * x + s * noise, lam)), goal).mean()
    assert torch.allclose(alignment(network, projector, x, noise, lam, goal), by_hand, atol=1e-6)
    recalled = Recalled(network.clock)
    recalled.features = goal
    assert torch.allclose(recalled(lam) - network.clock(lam), recalled.image(goal), atol=1e-6)


def test_a_mean_difference_has_its_standard_error() -> None:
    found = compared(("seed", "a", "b", "c"), [("0", "1", "2", "3")], [0.1, 0.2, 0.3])
    assert found.number == pytest.approx(0.2)
    assert found.rows[-1] == ("mean difference", "", f"+0.2000 ± {0.1 / math.sqrt(3):.4f}", "")


@pytest.mark.parametrize(("trial", "sign"), [("repa-training", 1), ("gmem-training", -1)])
def test_what_is_said_of_the_trainings_is_in_their_records(trial: str, sign: int) -> None:
    """Assert that alignment costs and memory gains at every seed, that memories of others lose, and the cosine."""
    kept = OF_TRIALS.read(trial)
    assert kept is not None
    *seeds, last = kept["rows"]
    assert len(seeds) == 3
    assert all(sign * (float(other) - float(plain)) > 0 for _, plain, other, _ in seeds)
    assert last[2].startswith("+" if sign > 0 else "-")
    for _, plain, _, extra in seeds:
        assert float(extra) > (0.3 if trial == "repa-training" else float(plain))
