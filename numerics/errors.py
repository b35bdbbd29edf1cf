"""The one exception a user of bad input meets: field, value, what is allowed."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable

LONGEST = 300  # characters of a message
ECHOED = 80  # of a value in it, and of a field
MATCHED = 100  # a longer name is near to none, and comparing it takes long


class _Repr(reprlib.Repr):
    """repr of a value of any size, in time and length that do not grow with it."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 2 * ECHOED
        self.maxlist = self.maxtuple = self.maxdict = 12

    def repr_int(self, value: int, level: int) -> str:
        """An integer; beyond float's range by its size, as Python writes no more than 4300 digits of it."""
        return repr(value) if value.bit_length() <= 1024 else f"an integer of {value.bit_length()} bits"


_REPR = _Repr()


def shortened(text: str, longest: int = ECHOED) -> str:
    """The text with its middle left out if it is longer than that."""
    kept = longest - 3
    return text if len(text) <= longest else f"{text[: kept - kept // 3]}...{text[-(kept // 3) :]}"


def one_line(text: object, longest: int = LONGEST) -> str:
    """Text of others on one line: white space and signs that do not print replaced, the middle of a long one left out.

    Only ends of the text are looked at, so that it may be of any length.
    """
    whole = str(text)
    ends = whole if len(whole) <= 4 * longest else f"{whole[: 2 * longest]} {whole[-2 * longest :]}"
    plain = " ".join(ends.split())
    return shortened("".join(c if c.isprintable() else ascii(c)[1:-1] for c in plain), longest)


class InputError(ValueError):
    """Bad input, said in one line of bounded length: which field, which value, what is allowed."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field, self.value, self.allowed = field, value, allowed
        got = shortened(_REPR.repr(value))
        start = f"{one_line(field, ECHOED)}: got {got}; "
        super().__init__(start + one_line(allowed, LONGEST - len(start)))


class SamplingError(ArithmeticError):
    """A run that cannot go on: a denoiser answered with a wrong shape or a non-finite value."""


class DependsError(SamplingError):
    """A sampler that asks its model, or draws noise, otherwise in one run than in another: it depends on the values."""


def nearest(name: str, known: Iterable[str]) -> str:
    """What to say after an unknown name: the nearest known ones, or all of them if none is near."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5) if len(name) <= MATCHED else []
    return ("nearest: " if close else "known: ") + ", ".join(close or names)
