"""`samplerproof prove`: the order of every named method, decided exactly."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..numerics.catalogue import METHODS, resolve
from ..numerics.errors import InputError

if TYPE_CHECKING:
    from ..theory.forests import Forest
    from ..theory.method import Method
    from ..theory.trees import Tree


def prove(names: Sequence[str], everything: bool, certified: bool = False) -> list[dict[str, Any]]:
    """One entry a method: claimed and proved order, and the leading defects.

    proved: the claim is the exact order, neither more nor less.  proved_order_free: the order for free step ratios,
    which is lower where the weights assume equal steps and the claim is for ratios 1 + O(h); the defects are then in
    e_k = (r_k - 1)/h.  Of a stochastic sampler the orders are weak ones, the leading defects residuals of forests;
    proved_law_order and proved_gaussian_order are those in law with an exact score, null where there is history.
    certified: add the certificate, all that a checker needs (theory/certificate.py), and the file that states the order
    in Coq; weak orders have none.
    Raises InputError on an unknown name, and where names and --all are both or neither given.
    """
    if bool(names) == everything:
        raise InputError("NAME", " ".join(names) or "nothing", "names of methods, or --all")
    wanted = list(METHODS) if everything else list(dict.fromkeys(resolve(name, "NAME").name for name in names))

    from ..theory.methods import find

    found = [find(name) for name in wanted]
    # At strength 0, as at tau = 0, a method is one of the flow: trees decide its order.
    return [
        _weak(method) if method.strength != 0 or method.order == 0 else _proved(method, certified) for method in found
    ]


def defect_entry(tree: Tree | Forest, power: int, coefficient: str) -> dict[str, Any]:
    """One of the leading defects of an answer: coefficient h^power D(tree) / sigma(tree)."""
    return {"tree": str(tree), "differential": tree.latex, "power": power, "coefficient": coefficient}


def term(defect: dict[str, Any]) -> str:
    """A leading defect on one line: its coefficient, a sum in brackets, the power of h and the tree or forest."""
    coefficient = outside = defect["coefficient"]
    while (shorter := re.sub(r"\([^()]*\)", "", outside)) != outside:
        outside = shorter
    if " + " in outside or " - " in outside:
        coefficient = f"({coefficient})"
    return f"{coefficient} h^{defect['power']}  {defect['tree']}"


def _weak(method: Method) -> dict[str, Any]:
    """The weak order for every smooth G, and the orders in law with the exact score, of one-step samplers."""
    from ..theory.order_in_law import prove_law_order
    from ..theory.weak_order import prove_weak_order

    started = time.perf_counter()
    proof = prove_weak_order(method)
    record = resolve(method.name)
    claimed = record.order_in_law(gaussian=False), record.order_in_law(gaussian=True)
    found: tuple[int, int] | None = None
    if method.order == 0:
        found = 0, 0
    elif not method.history and not method.corrects:
        law = prove_law_order(method)
        found = law.order, law.gaussian_order
    return {
        "name": method.name,
        "statement": proof.statement,
        "claimed_order": method.order,
        "proved_order": proof.order,
        "proved_order_free": proof.order,
        "proved": proof.order == method.order and found in (None, claimed),
        "proved_law_order": found and found[0],
        "proved_gaussian_order": found and found[1],
        "order_asymptotic": method.order_asymptotic,
        "conditions": proof.conditions,
        "leading_defects": [
            defect_entry(residual.forest, residual.power, str(method.shown(residual.coefficient)))
            for residual in proof.leading_residuals
        ],
        "seconds": round(time.perf_counter() - started, 3),
    }


def _proved(method: Method, certified: bool) -> dict[str, Any]:
    from ..theory.certificate import certificate, coefficient
    from ..theory.order import prove_order

    started = time.perf_counter()
    proof = prove_order(method)
    return {
        "name": method.name,
        "statement": proof.statement,
        "claimed_order": method.order,
        "proved_order": proof.order,
        "proved_order_free": prove_order(method, free=True).order if method.equal_steps else proof.order,
        "proved": proof.order == method.order,
        "order_asymptotic": method.order_asymptotic,
        "conditions": proof.conditions,
        "leading_defects": [
            defect_entry(d.tree, d.power, coefficient(method.shown(d.coefficient), method.equal_steps))
            for d in proof.leading_defects
        ],
        "seconds": round(time.perf_counter() - started, 3),
        **({"certificate": certificate(method), "coq": _coq_file(method)} if certified else {}),
    }


def _coq_file(method: Method) -> str | None:
    """The file of the repository that states the order in Coq, for all parameters; None where some are given."""
    from ..theory.formal.order_file import coq_file

    return coq_file(method.name) if method.name in METHODS else None
