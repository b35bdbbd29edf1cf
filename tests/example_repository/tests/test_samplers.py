"""The sampler is the method that it names, of its order, on its levels."""

from __future__ import annotations

import pytest
from my_samplers import levels, sample_2m


@pytest.mark.samplerproof(sample_2m, conforms="dpm-solver++-2m", order=2, steps=10)
def test_sample_2m() -> None:
    """The marker asserts; a body may add what else holds."""


def test_levels(samplerproof) -> None:  # type: ignore[no-untyped-def]
    samplerproof.assert_grid(levels(20), "karras?rho=7")


def test_the_library_is_documented() -> None:
    """A test without the marker, which `-m samplerproof` leaves out."""
    assert sample_2m.__doc__
