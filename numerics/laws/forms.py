"""Numbers of a run as functions of the vector of the law and of the carried numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .chebyshev import Array
from .elimination import Symbol, Terms

Range = tuple[float, float]


class Form(NamedTuple):
    """f(v) + sum_s shares[s] q_s."""

    values: Array  # f at the points of a grid [n]
    shares: Terms


def total(terms: Terms, forms: Mapping[Symbol, Form]) -> Form:
    """The form of a sum of terms."""
    values: Array = np.sum([c * forms[symbol].values for symbol, c in terms.items()], axis=0)
    shares: Terms = defaultdict(float)
    for symbol, c in terms.items():
        for s, share in forms[symbol].shares.items():
            shares[s] += c * share
    return Form(values, {s: share for s, share in shares.items() if share != 0})


def span(form: Form, ranges: Mapping[Symbol, Range]) -> Range:
    """A range of the values of a form, given the ranges of the carried numbers."""
    low, high = float(form.values.min()), float(form.values.max())
    for s, share in form.shares.items():
        ends = [share * end for end in ranges[s]]
        low, high = low + min(ends), high + max(ends)
    return low, high
