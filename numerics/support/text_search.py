"""Search in names and titles by the starts of their words."""

from __future__ import annotations


def finds(search: str, text: str) -> bool:
    """Whether every word of a search is in a text, in any case, where a word starts: after a sign or a space, at a
    capital or at a digit.

    >>> finds("edict", "EDICT"), finds("edict", "predictor"), finds("multistep 2m", "DPMSolverMultistep dpm-2m")
    (True, False, True)
    """
    return all(_starts(word, text) for word in search.lower().split())


def _starts(word: str, text: str) -> bool:
    lower, place = text.lower(), -1
    while (place := lower.find(word, place + 1)) >= 0:
        before, first = text[place - 1 : place], text[place]
        if not before.isalnum() or first.isupper() or (first.isdigit() and not before.isdigit()):
            return True
    return False
