"""What a choice is worth that is made in full knowledge of the errors on a few samples."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch

from samplerproof.book.studies.advice_regret import known_regret


def test_a_candidate_that_is_best_on_every_sample_is_chosen() -> None:
    """Its regret is 1 for all draws, and more than 1 where one sample misleads."""
    sizes = torch.tensor([[1.0, 2.0, 3.0, 4.0], [2.0, 4.0, 6.0, 8.0]], dtype=torch.float64)
    assert known_regret(sizes, 1) == pytest.approx(1.0, abs=1e-12)
    assert known_regret(torch.tensor([[1.0] * 4, [0.1, 9.0, 9.0, 9.0]], dtype=torch.float64), 1) > 1.0


def test_it_is_the_mean_over_draws() -> None:
    """Two samples of six: the mean of logarithms over all orders, by Python's own means, within their spread."""
    generator = torch.Generator().manual_seed(1)
    sizes = torch.randn(5, 6, generator=generator, dtype=torch.float64).exp()
    rows, logs = sizes.tolist(), []
    for order in permutations(range(6)):
        chosen = min(rows, key=lambda row: row[order[0]] * row[order[1]])
        # torch takes the lower of two middle ones.
        lower = [sorted(row[n] for n in order[2:])[1] for row in rows]
        logs.append(sorted(chosen[n] for n in order[2:])[1] / min(lower))
    logs = [torch.tensor(value).log().item() for value in logs]
    spread = torch.tensor(logs).std().item() / 50**0.5
    assert abs(torch.tensor(known_regret(sizes, 2)).log().item() - sum(logs) / len(logs)) < 4 * spread
