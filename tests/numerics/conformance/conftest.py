"""Shared by the tests of planted faults."""

from __future__ import annotations

from collections.abc import Iterator

import planted
import pytest

from samplerproof.numerics.conformance.judge import differences


@pytest.fixture(scope="module")
def remembered_references() -> Iterator[None]:
    """The references on a grid, made once for a whole file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(differences, "candidates", planted.remembering(differences.candidates))
        yield
