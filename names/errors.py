"""The one exception a user of bad input meets: field, value, what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

LONG = 100  # characters of a name that are compared with the known ones
SHOWN = 12  # known names that fit in a line


class InputError(ValueError):
    """Bad input, said in one line: which field, which value, what is allowed."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field, self.value, self.allowed = field, value, allowed
        super().__init__(f"{field}: got {value!r}; {allowed}")


def nearest(name: str, known: Iterable[str], meant: Mapping[str, str] | None = None) -> str:
    """What to say after an unknown name: the nearest known ones, in any case, or the first of all if none is near.

    meant: what else the name may resemble, each with the known name to say for it.
    """
    names = sorted(known)
    alike = {text.lower(): says for text, says in (meant or {}).items()} | {text.lower(): text for text in names}
    close = difflib.get_close_matches(name[:LONG].lower(), alike, n=3, cutoff=0.5)
    if close:
        return "nearest: " + ", ".join(dict.fromkeys(alike[text] for text in close))
    more = f", … ({len(names)} in all)" if len(names) > SHOWN else ""
    return "known: " + ", ".join(names[:SHOWN]) + more
