"""Records with a fault that the record itself would refuse: what a mistake in a derivation would make."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from samplerproof.theory.method import Method

TINY = 1 + sp.Rational(1, 10**6)


def altered_weights(method: Method, row: int, new: tuple[sp.Expr, ...]) -> Method:
    """The record with other weights in a row, its rules untouched and nothing checked.

    The summary makes it unequal to the record: proofs are remembered by record.
    """
    altered = replace(method, summary=f"altered in row {row + 1}: {new}")
    altered.__dict__["weights"] = (*method.weights[:row], new, *method.weights[row + 1 :])
    return altered
