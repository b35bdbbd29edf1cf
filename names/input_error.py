"""The exception for bad input: field, value, what is allowed."""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Iterable, Mapping
from operator import index

LONGEST = 300  # characters of a message
ECHOED = 80  # of a value in it, and of a field
LONG = 100  # characters of a name that are compared with the known ones
SHOWN = 12  # known names that fit in a line
NEAREST = 5  # known names in the answer to an unknown one
ALIKE = 0.5  # similarity, by difflib, from which a name is near


class _Repr(reprlib.Repr):
    """repr of a value of any size, in bounded time and length."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = 2 * ECHOED
        self.maxlist = self.maxtuple = self.maxdict = 12

    def repr_int(self, value: int, level: int) -> str:
        """An integer; one beyond float's range by its size, as Python writes 4300 digits at most."""
        return repr(value) if value.bit_length() <= 1024 else f"an integer of {value.bit_length()} bits"

    def repr_instance(self, value: object, level: int) -> str:
        """Another value on one line: torch and NumPy write a line for every row."""
        return " ".join(super().repr_instance(value, level).split())


_REPR = _Repr()


def shortened(text: str, longest: int = ECHOED) -> str:
    """The text, without its middle if it is longer than that."""
    kept = longest - 3
    return text if len(text) <= longest else f"{text[: kept - kept // 3]}...{text[-(kept // 3) :]}"


def one_line(text: object, longest: int = LONGEST) -> str:
    """Foreign text on one line: white space and unprintable characters replaced, the middle of a long one left out.

    Only the ends of the text are read, so that it may be of any length.
    """
    whole = str(text)
    ends = whole if len(whole) <= 4 * longest else f"{whole[: 2 * longest]} {whole[-2 * longest :]}"
    plain = " ".join(ends.split())
    return shortened("".join(c if c.isprintable() else ascii(c)[1:-1] for c in plain), longest)


class InputError(ValueError):
    """Bad input, in one line of bounded length: the field, its value, and what is allowed.

    >>> import samplerproof as sp
    >>> try:
    ...     sp.method("ddmi")
    ... except sp.InputError as error:
    ...     print(error)
    method: got 'ddmi'; not a known method; nearest: ddpm, ddim, d-ddim, li-ddpm, li-ddim
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field, self.value, self.allowed = field, value, allowed
        got = shortened(_REPR.repr(value))
        start = f"{one_line(field, ECHOED)}: got {got}; "
        super().__init__(start + one_line(allowed, LONGEST - len(start)))


def of_type(field: str, value: object, kinds: type | tuple[type, ...], allowed: str) -> None:
    """Raises InputError, with what is allowed, on a value of another type."""
    if not isinstance(value, kinds):
        raise InputError(field, value, allowed)


def whole(field: str, value: object) -> int:
    """The whole number that a value is.  Raises InputError on anything else, truth values included."""
    try:
        found = None if isinstance(value, bool) else index(value)  # type: ignore[arg-type]  # TypeError if it has none
    except TypeError:
        found = None
    if found is None:
        raise InputError(field, value, "a whole number")
    return found


def number(field: str, value: object, allowed: str = "a number") -> None:
    """Raises InputError on what is not a number, text included."""
    if not hasattr(value, "__float__"):
        raise InputError(field, value, allowed)


def finite_number(field: str, value: object, allowed: str = "a finite number") -> float:
    """The finite number that a value is.  Raises InputError on anything else."""
    number(field, value, allowed)
    try:
        found = float(value)  # type: ignore[arg-type]  # it has __float__
    except (TypeError, ValueError, OverflowError, RuntimeError):
        found = math.nan
    if not math.isfinite(found):
        raise InputError(field, value, allowed)
    return found


def positive(field: str, value: object, allowed: str = "a number > 0") -> float:
    """The finite number > 0 that a value is.  Raises InputError on anything else."""
    found = finite_number(field, value, allowed)
    if not found > 0:
        raise InputError(field, value, allowed)
    return found


def not_negative(field: str, value: object, allowed: str = "a number >= 0") -> float:
    """The finite number >= 0 that a value is.  Raises InputError on anything else."""
    found = finite_number(field, value, allowed)
    if not found >= 0:
        raise InputError(field, value, allowed)
    return found


def runnable(field: str, value: object, allowed: str) -> None:
    """Raises InputError on what cannot be called."""
    if not callable(value):
        raise InputError(field, value, allowed)


def nearest(name: str, known: Iterable[str], meant: Mapping[str, str] | None = None) -> str:
    """A hint for an unknown name: the five nearest known ones, ignoring case, or the first of all if none is near.

    meant: other texts that the name may resemble, each with the known name that the hint then gives.
    """
    names = sorted(known)
    alike = {text.lower(): name for text, name in (meant or {}).items()} | {text.lower(): text for text in names}
    typed = name[:LONG].lower()
    if difflib.get_close_matches(typed, alike, n=1, cutoff=ALIKE):
        # Several texts may stand for one name: more are compared than are shown.
        ranked = difflib.get_close_matches(typed, alike, n=4 * NEAREST, cutoff=0.0)
        return "nearest: " + ", ".join(list(dict.fromkeys(alike[text] for text in ranked))[:NEAREST])
    more = f", … ({len(names)} in all)" if len(names) > SHOWN else ""
    return "known: " + ", ".join(names[:SHOWN]) + more
