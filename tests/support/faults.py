"""Records with a fault that their own checks would refuse, as a mistake in a derivation would make."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from samplerproof.theory.method import Method

TINY = 1 + sp.Rational(1, 10**6)


def altered_weights(method: Method, row: int, new: tuple[sp.Expr, ...]) -> Method:
    """The record with other weights in a row, with its rules unchanged and nothing checked.

    Its summary makes it unequal to the record: proofs are cached by record.
    """
    altered = replace(method, summary=f"altered in row {row + 1}: {new}")
    altered.__dict__["weights"] = (*method.weights[:row], new, *method.weights[row + 1 :])
    return altered
