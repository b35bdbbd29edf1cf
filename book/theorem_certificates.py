"""A theorem of this appendix by name, proved when it is asked for, with a certificate and its hash.

The certificate of an order is that of `samplerproof prove NAME --json`; a weak order has its conditions and leading
residuals. That of an identity is its list of expressions: those that vanish, and those that do not.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..names.input_error import InputError, nearest
from ..numerics.catalogue import METHODS, NAMES, resolve

if TYPE_CHECKING:
    import sympy as sp

    from ..theory.claims import Claim

CLAIM, ORDER = "claim-", "order-"


@dataclass(frozen=True)
class Theorem:
    """A theorem that was proved.  label: its anchor on the page of all theorems."""

    label: str
    statement: str
    certificate: dict[str, Any]

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the certificate as JSON in ASCII, with sorted keys and without spaces."""
        text = json.dumps(self.certificate, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def theorem(name: str) -> Theorem:
    """The theorem of that name, proved now.

    name: a label of the page of all theorems, such as claim-weight-sum or order-ddim, or what follows its first hyphen;
    after order- any name of a sampler goes, with values of its parameters.
    Raises InputError on a name that is not known, or that two theorems have.

    >>> from samplerproof.book.theorem_certificates import theorem
    >>> theorem("order-ddim").certificate["order"]
    1
    """
    from ..theory.claims import CLAIMS

    claims = {claim.name: claim for claim in CLAIMS}
    if name in claims and _is_sampler(name):
        raise InputError("--theorem", name, f"{CLAIM}{name}, the identity, or {ORDER}{name}, the order of the sampler")
    if (claim := name.removeprefix(CLAIM)) in claims:
        return _identity(claims[claim])
    if not _is_sampler(sampler := name.removeprefix(ORDER)):
        known = [*(CLAIM + claim for claim in claims), *(ORDER + method for method in METHODS)]
        raise InputError("--theorem", name, f"a theorem of the book; {nearest(name, known)}")
    return _order(sampler)


def _is_sampler(name: str) -> bool:
    return name.partition("?")[0] in NAMES


def _identity(claim: Claim) -> Theorem:
    proof = claim.prove()
    if not proof.holds:
        raise AssertionError(f"{claim.name} is not proved")
    parts = {"zero": [*map(_text, proof.zero)], "nonzero": [*map(_text, proof.nonzero)]}
    return Theorem(CLAIM + claim.name, claim.statement, {"statement": claim.statement, **parts})


def _text(expression: sp.Expr) -> str:
    """The expression as text; its dummies, which sympy numbers through the process, are x_1, x_2, … in their order."""
    import sympy as sp

    dummies = sorted(expression.atoms(sp.Dummy), key=lambda dummy: dummy.dummy_index)
    return str(expression.xreplace({dummy: sp.Symbol(f"x_{k}") for k, dummy in enumerate(dummies, 1)}))


def _order(name: str) -> Theorem:
    from .proofs import prove

    record = resolve(name, "--theorem")
    (entry,) = prove([name], everything=False, certified=True)
    if not entry["proved"]:
        raise AssertionError(f"{name} is not of the order that is claimed")
    weak = {key: entry[key] for key in ("name", "statement", "proved_order", "conditions", "leading_defects")}
    return Theorem(ORDER + record.name, entry["statement"], entry.get("certificate", weak))
