"""Global state: changes are reported and restored."""

from __future__ import annotations

import os
import random
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from samplerproof.numerics.conformance.process.global_state import guarded


def filters() -> None:
    warnings.simplefilter("ignore")


def stumble(change: Callable[[], object]) -> None:
    change()
    raise KeyError


@pytest.mark.parametrize(
    ("change", "line_start"),
    [
        (lambda: torch.set_default_dtype(torch.float64), "torch's default dtype: torch.float32 -> torch.float64"),
        (lambda: torch.set_default_device("meta"), "torch's default device: cpu -> meta"),
        (lambda: torch.set_grad_enabled(False), "torch's gradient mode: True -> False"),
        (lambda: torch.set_num_threads(torch.get_num_threads() + 1), "torch's threads: "),
        (lambda: torch.randn(1), "torch's random numbers"),
        (lambda: np.random.rand(), "numpy's random numbers"),  # noqa: NPY002 (what is looked for)
        (lambda: random.random(), "Python's random numbers"),
        (lambda: os.environ.update(SECRET="hidden"), "environment: SECRET"),
        (lambda: os.environ.pop("PATH"), "environment: PATH"),
        (lambda: os.chdir("/"), "current folder: "),
        (filters, "the warning filters"),
        (lambda: sys.setrecursionlimit(sys.getrecursionlimit() + 1), "recursion limit: "),
        (lambda: sys.path.append("/nowhere"), "sys.path"),
        (lambda: setattr(sys, "stdout", sys.stderr), "sys.stdout"),
    ],
)
def test_a_change_is_reported_and_restored(
    change: Callable[[], object], line_start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert it once, and also where an exception passes through; a second look finds nothing."""
    monkeypatch.chdir(tmp_path)
    with guarded() as outer:
        with guarded() as changed:
            change()
        assert [line.startswith(f"changes {line_start}") for line in changed] == [True]
        assert "hidden" not in changed[0]
        with pytest.raises(KeyError), guarded() as changed:
            stumble(change)
        assert len(changed) == 1
    assert outer == []


def test_the_random_numbers_go_on_as_before() -> None:
    """Assert it for all three generators."""
    draws = (lambda: float(torch.randn(())), lambda: float(np.random.rand()), random.random)  # noqa: NPY002
    with guarded():
        first = [draw() for draw in draws]
    assert [draw() for draw in draws] == first


def test_without_a_change_nothing_is_reported() -> None:
    """Assert it for work that draws from a generator of its own."""
    with guarded() as changed:
        torch.randn(3, generator=torch.Generator().manual_seed(0))
    assert changed == []
