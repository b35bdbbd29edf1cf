"""NAME or NAME?parameter=value&…: the record that a name stands for, and the values of its parameters.

Both sides of the wall read names by this parser, from their own records: a proof is of the record that was measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from .input_error import InputError, nearest, of_type
from .library_names import LibraryName, library_names

METHOD = "method"  # what a record of the catalogue is called in messages
LONGEST = 200  # characters of a name with its parameters
# A number is bounded by its text, before it is made: a Fraction of "1e99999999" would have 10^8 digits.
NUMBER = re.compile(r"[+-]?(?:[0-9]+/[0-9]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)")
DIGITS = 30  # characters of a number
AS_FRACTION = 90  # of a fraction: the longest that a decimal of DIGITS in RANGE reduces to is shorter
SMALLEST, LARGEST = Fraction(1, 10**9), Fraction(10**9)  # magnitudes of a number that is not 0
RANGE = f"0, or 1e-9 to 1e9 in magnitude, in at most {DIGITS} characters"


@dataclass(frozen=True)
class Domain:
    """A parameter: its values lie between low and high, ends included if closed, less the excluded ones.

    words: the values as they are typed, where they are not numbers; a value is then the index of its word.
    whole: whether values are whole numbers.
    """

    name: str
    default: Fraction
    low: Fraction | float
    high: Fraction | float
    closed: bool
    excluded: tuple[Fraction, ...] = ()
    words: tuple[str, ...] = ()
    whole: bool = False

    def __contains__(self, value: Fraction) -> bool:
        inside = self.low <= value <= self.high and (self.closed or value not in (self.low, self.high))
        return inside and value not in self.excluded and (value.denominator == 1 or not self.whole)

    def read(self, text: str) -> Fraction | None:
        """The value that is written; None if it is no word of a list of words, or no number."""
        if self.words:
            return Fraction(self.words.index(text)) if text in self.words else None
        return number(text)

    def written(self, value: Fraction) -> str:
        """The value as it is typed."""
        return self.words[int(value)] if self.words else str(value)

    @property
    def example(self) -> str:
        """The default as it may be typed, rounded where its fraction is long."""
        exact = self.written(self.default)
        return exact if len(exact) <= 12 else f"{float(self.default):g}"

    @property
    def form(self) -> str:
        """How a value is written."""
        if self.words:
            return f"{self.name} is one of {', '.join(self.words)}"
        return f"{self.name} is a number such as {self.example}: {RANGE}"

    def __str__(self) -> str:
        if self.words:
            return self.form
        if self.whole:
            return f"{self.name} is a whole number, {self.low} <= {self.name} <= {self.high}"
        first, last = ("<=" if self.closed and end not in self.excluded else "<" for end in (self.low, self.high))
        but = "".join(f", not {v}" for v in self.excluded if v not in (self.low, self.high))
        return f"{self.low} {first} {self.name} {last} {self.high}{but}"


@dataclass(frozen=True)
class Entry:
    """What a parser of names knows of a record: its names, and its parameters."""

    name: str
    aliases: tuple[str, ...]
    domains: tuple[Domain, ...]


@dataclass(frozen=True)
class Choice:
    """A record by its name, and the parameters that differ from their defaults, in the order of the record."""

    base: str
    values: tuple[tuple[str, Fraction], ...] = ()


class Names:
    """All names of some records.  called: what one of them is called in a message."""

    def __init__(self, entries: Iterable[Entry], called: str = METHOD) -> None:
        self._called = called
        self._entries = {name: entry for entry in entries for name in (entry.name, *entry.aliases)}

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def parse(self, text: str, field: str = "method") -> Choice:
        """The record and values that a name stands for; 1/2 and 0.5 are the same value.

        Raises InputError on an unknown name (with the nearest ones), parameter or value, and on the name of a sampler
        that has no record, with the reason.
        """
        of_type(field, text, str, f"the name of a {self._called}, a string")
        if len(text) > LONGEST:
            raise InputError(field, f"a name of {len(text)} characters", f"at most {LONGEST}")
        base, mark, query = text.partition("?")
        if (known := self._of_library(text)) is not None:
            if known.record is not None:
                return self.parse(known.record, field)
            near = "" if known.near is None else f"; nearest: {known.near}"
            raise InputError(field, text, f"without a record: {known.why}{near}")
        if base not in self._entries:
            raise InputError(field, text, f"not a known {self._called}; {self._hint(base)}")
        entry = self._entries[base]
        if not mark:
            return Choice(entry.name)
        if not entry.domains:
            raise InputError(field, text, f"{base} takes no parameters")
        return Choice(entry.name, _values(entry, query, field, text))

    def _of_library(self, text: str) -> LibraryName | None:
        """What is known of a name of a library that is no alias; with its options, the name of a library or paper."""
        if text in self._entries or self._called != METHOD:
            return None
        return library_names().get(text)

    def _hint(self, base: str) -> str:
        """The nearest names. A name without a library is also compared with the libraries' names for each record."""
        if ":" in base:
            more = library_names() if self._called == METHOD else ()
            return nearest(base, dict.fromkeys([*self._entries, *more]))
        tails = {name.partition(":")[2]: entry.name for name, entry in self._entries.items() if ":" in name}
        return nearest(base, (name for name in self._entries if ":" not in name), tails)


def _values(entry: Entry, query: str, field: str, text: str) -> tuple[tuple[str, Fraction], ...]:
    known = {domain.name: domain for domain in entry.domains}
    given: dict[str, Fraction] = {}
    for pair in query.split("&"):
        key, _, written = pair.partition("=")
        if key not in known or key in given:
            example = "&".join(f"{d.name}={d.example}" for d in entry.domains)
            raise InputError(field, text, f"{entry.name} takes {', '.join(known)}, each once: {entry.name}?{example}")
        value = known[key].read(written)
        if value is None:
            raise InputError(field, text, known[key].form)
        if value not in known[key]:
            raise InputError(field, text, str(known[key]))
        given[key] = value
    chosen = ((d.name, given.get(d.name, d.default)) for d in entry.domains)
    return tuple((name, value) for name, value in chosen if value != known[name].default)


def number(text: str) -> Fraction | None:
    """The number that an ASCII text is; None for other text, and outside of RANGE."""
    if len(text) > (AS_FRACTION if "/" in text else DIGITS) or not NUMBER.fullmatch(text):
        return None
    try:
        value = Fraction(text)
    except ZeroDivisionError:
        return None
    return value if value == 0 or SMALLEST <= abs(value) <= LARGEST else None


def with_values(label: str, values: Mapping[str, object]) -> str:
    """A method's label with the values of its parameters: "BDIA-DDIM, gamma = 9/10"."""
    return ", ".join([label, *(f"{name} = {value}" for name, value in values.items())])
