"""Faults planted in every record of a method without noise, and the proof or claim that catches each.

Records are judged by proofs only, as an altered record can be emitted anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import pytest
import sympy as sp
from fault_table import report
from faults import TINY, altered_weights
from shapes import by_shape

from samplerproof.book.proofs import prove
from samplerproof.theory import claims
from samplerproof.theory.exponential import collapsed, exact, weights
from samplerproof.theory.method import Method
from samplerproof.theory.methods import ODE_METHODS, find
from samplerproof.theory.notation import r as ratios
from samplerproof.theory.phi_functions import phi
from samplerproof.theory.rows import grid_position

CLAIMS = {claim.name: claim for claim in claims.CLAIMS}


@cache
def proved_order(name: str) -> int:
    return int(prove([name], everything=False)[0]["proved_order"])


def order_proof(altered: Method) -> bool:
    """`samplerproof prove` on the altered record; where only the claim is altered, the order is the record's own."""
    original = find(altered.name)
    if altered.weights == original.weights:
        return proved_order(altered.name) != altered.order
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("samplerproof.theory.methods.find", {altered.name: altered}.__getitem__)
        return not prove([altered.name], everything=False)[0]["proved"]


def claim(name: str, altered: Method) -> bool:
    """A claim of the book, with the altered record in the catalogue; it need not look at the others again."""

    def stand_in(wanted: str) -> Method:
        return altered if wanted == altered.name else find(wanted)

    with pytest.MonkeyPatch.context() as patch:
        for module in [m for n, m in sys.modules.items() if n.startswith(claims.__name__ + ".")]:
            for attribute, value in (("ODE_METHODS", (altered,)), ("find", stand_in)):
                if hasattr(module, attribute):
                    patch.setattr(module, attribute, value)
        return not CLAIMS[name].prove().holds


# Claims about every record, and those that compare published weights with the paper: these see what keeps the order.
OF_ALL = ("weight-sum", "polynomial-exactness")
PUBLISHED = {  # the claim, and a part of the names of the records that it is about
    "3m-published": "3m-published",
    "unipc-vary-published": "vary",
    "unipc-published": "unipc",
    "unipc-noise-published": "unipc-noise",
    "2m-v2": "2m-v2",
    "ipndm-v-published": "ipndm-v",
    "bdia-published": "bdia",
    "etd-rk4": "etd-rk4",
    "res-3s": "res-3s",
    "gradient-estimation-is-ipndm": "gradient-estimation",
}
AS_PUBLISHED = tuple(f"claim {name}" for name in PUBLISHED)


def claim_about(name: str, altered: Method) -> bool:
    """The claim, where it speaks of such a record."""
    return PUBLISHED[name] in altered.name and claim(name, altered)


RECORD_CHECKS: dict[str, Callable[[Method], bool]] = {
    "order proof": order_proof,
    **{f"claim {name}": partial(claim, name) for name in OF_ALL},
    **{f"claim {name}": partial(claim_about, name) for name in PUBLISHED},
}


def off_by_a_millionth(method: Method) -> Iterator[Method]:
    for i, row in enumerate(method.weights):
        for j in range(len(row)):
            yield altered_weights(method, i, tuple(w * (TINY if k == j else 1) for k, w in enumerate(row)))


def outputs_swapped(method: Method) -> Iterator[Method]:
    """Neighbouring outputs take each other's weight; equal weights make it no fault."""
    for i, row in enumerate(method.weights):
        for j in range(len(row) - 1):
            if row[j] != row[j + 1]:
                yield altered_weights(method, i, (*row[:j], row[j + 1], row[j], *row[j + 2 :]))


def ratio_inverted(method: Method) -> Iterator[Method]:
    for i, row in enumerate(method.weights):
        for ratio in ratios:
            if any(ratio in w.free_symbols for w in row):
                yield altered_weights(method, i, tuple(w.subs(ratio, 1 / ratio) for w in row))


def factorial_dropped(method: Method) -> Iterator[Method]:
    """Moments phi_{k+1} without their k!; below k = 2 it is no fault."""

    def rule(coefficients: Any, moment: Any) -> sp.Expr:
        return sum(a * moment(k) / sp.factorial(k) for k, a in enumerate(coefficients))

    def without(atom: sp.Expr) -> sp.Expr:
        return atom / sp.factorial(atom.args[0] - 1)

    for i, (row, old) in enumerate(zip(method.rows, method.weights, strict=True)):
        if row.rule is exact:
            moment = partial(method.frame.moment, end=grid_position(row.to))
            new = weights([method.position(n) for n in row.nodes], rule, moment)
        else:
            new = tuple(w.xreplace({atom: without(atom) for atom in w.atoms(phi)}) for w in old)
        if new != old:
            yield altered_weights(method, i, new)


def collapse_moved(method: Method) -> Iterator[Method]:
    moved = collapsed(at=TINY / 2)
    for i, row in enumerate(method.rows):
        if row.rule not in (None, exact):
            yield replace(method, rows=(*method.rows[:i], replace(row, rule=moved), *method.rows[i + 1 :]))


def claim_off(method: Method, by: int) -> Iterator[Method]:
    yield replace(method, order=method.order + by)


@dataclass(frozen=True)
class Fault:
    """kind, how it is planted, and which checks must catch it: one of them, the cheap first."""

    kind: str
    plant: Callable[[Method], Iterator[Method]]
    checks: tuple[str, ...]


FAULTS = (
    Fault("weight off by 1e-6", off_by_a_millionth, ("claim weight-sum", "order proof")),
    Fault("outputs swapped", outputs_swapped, ("claim polynomial-exactness", "order proof", *AS_PUBLISHED)),
    Fault("step ratio inverted", ratio_inverted, ("claim polynomial-exactness", "order proof", *AS_PUBLISHED)),
    Fault("factorial dropped", factorial_dropped, ("claim polynomial-exactness", *AS_PUBLISHED)),
    Fault("collapse point moved", collapse_moved, ("order proof",)),
    Fault("order claimed one more", partial(claim_off, by=1), ("order proof",)),
    Fault("order claimed one less", partial(claim_off, by=-1), ("order proof",)),
)


# Of rows of four outputs, and of predictor and corrector with three, all faults take ten seconds.
LONG = [method for method in ODE_METHODS if method.name in ("exp-adams-4", "unipc-3")]
LEFT = [pytest.param(method, id=method.name, marks=pytest.mark.slow) for method in LONG]


@pytest.mark.parametrize("method", [*by_shape(method for method in ODE_METHODS if method not in LONG), *LEFT])
def test_faults_in_records_are_caught(method: Method) -> None:
    for fault in FAULTS:
        caught = [next((c for c in fault.checks if RECORD_CHECKS[c](a)), None) for a in fault.plant(method)]
        report(fault.kind, method.name, caught)


@pytest.mark.parametrize("method", by_shape(ODE_METHODS))
def test_the_checks_are_silent_on_the_records_themselves(method: Method) -> None:
    """Or they would catch anything. (That the claims hold of all records together is tested where claims are.)"""
    assert not any(RECORD_CHECKS[name](method) for name in ("order proof", *(f"claim {name}" for name in OF_ALL)))


def test_every_fault_was_planted() -> None:
    for fault in FAULTS:
        assert any(True for method in ODE_METHODS for _ in fault.plant(method)), fault.kind
