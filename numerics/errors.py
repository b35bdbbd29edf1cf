"""The one exception a user of bad input meets: field, value, what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Bad input, said in one line: which field, which value, what is allowed."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field, self.value, self.allowed = field, value, allowed
        super().__init__(f"{field}: got {value!r}; {allowed}")


class SamplingError(ArithmeticError):
    """A run that cannot go on: a denoiser answered with a wrong shape or a non-finite value."""


class DependsError(SamplingError):
    """A sampler that asks its model, or draws noise, otherwise in one run than in another: it depends on the values."""


def nearest(name: str, known: Iterable[str]) -> str:
    """What to say after an unknown name: the nearest known ones, or all of them if none is near."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return ("nearest: " if close else "known: ") + ", ".join(close or names)
