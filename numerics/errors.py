"""What may go wrong: bad input, in names/input_error.py, and a run that cannot go on."""

from __future__ import annotations

from ..names.input_error import LONGEST, InputError, nearest, one_line

__all__ = ["LONGEST", "DependsError", "InputError", "NonFiniteError", "SamplingError", "nearest", "one_line"]


class SamplingError(ArithmeticError):
    """A run that cannot go on: a denoiser answered with a wrong shape or a non-finite value."""


class DependsError(SamplingError):
    """A sampler that asks its model, or draws noise, otherwise in one run than in another: it depends on the values."""


class NonFiniteError(SamplingError):
    """A sampler that asks its model at a level that is no number."""
