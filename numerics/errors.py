"""Exceptions: bad input (names/input_error.py), and runs that cannot be completed."""

from __future__ import annotations

from ..names.input_error import (
    LONGEST,
    InputError,
    finite_number,
    nearest,
    not_negative,
    number,
    of_type,
    one_line,
    positive,
    runnable,
    whole,
)

__all__ = [
    "LONGEST",
    "DependsError",
    "InputError",
    "NonFiniteError",
    "SamplingError",
    "finite_number",
    "nearest",
    "not_negative",
    "number",
    "of_type",
    "one_line",
    "positive",
    "runnable",
    "whole",
]


class SamplingError(ArithmeticError):
    """A run that cannot be completed: a denoiser returned a wrong shape or a non-finite value.

    >>> import torch
    >>> import samplerproof as sp
    >>> table = sp.tabulate("ddim", sp.Grid.from_sigmas([2.0, 1.0, 0.5]))
    >>> try:
    ...     sp.sample(lambda x, point, prediction: x * torch.nan, torch.zeros(4, 1), table)
    ... except sp.SamplingError as fault:
    ...     print("not completed:", "nan" in str(fault).lower() or "finite" in str(fault))
    not completed: True
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message)


class DependsError(SamplingError):
    """A sampler whose evaluations or noises differ between runs: they depend on the values of the state."""


class NonFiniteError(SamplingError):
    """A sampler that evaluates its model at a noise level that is not finite."""
