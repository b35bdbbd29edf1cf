"""An order proof as plain data, text and numbers only, that a checker without any of our code can verify.

The method, in its frame, advances dz/du = G(z, u) over a step h; every row makes

    z(end h) = sum_k states[k] z_{n-k} + sum_j weights[j] w(end) / w(position_j) G_j

with phi(k, x) = sum_i x^i / (i + k)! and the frame's weight w; and the certificate states that the last row is right
through h^order, and that its error at h^{order + 1} is sum coefficient D(tree) / sigma(tree) over the leading defects.
G_j is G on the exact path at position_j h, or at the result of row `stage` of this step (counted from 1). Where
`predicted`, the outputs of grid points (stage 0) were made at the result of row 1 in the step before them, which
started on the exact path.

The weight w(s h) is e^{kappa s h}; where kappa is null it is any series 1 + q1 s h + q2 (s h)^2 + …, w(end) is left
out, and the weights hold integrals of it over the step: m_k of s^k w, rate_moment(b) of e^{b (s - 1) h} w.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import sympy as sp

from .method import Method
from .order import prove_order
from .rows import Node, Row
from .trees import trees


def certificate(method: Method, free: bool = False) -> dict[str, Any]:
    """What `prove_order(method, free)` proved, for JSON.

    ratios: "free", or "1 + e_k h" where the weights assume equal steps: coefficients are then in e1, e2, …; likewise
    middle = 1/2 + e0 h. a1 = (alpha_{n-1} / alpha_n)^2 and two_step_alpha_ratio = alpha_{n-1} / alpha_{n+1}, where
    log alpha(s h) - log alpha_n is any series l1 s h + l2 (s h)^2 + …. Every other name is a parameter, any number.
    next_rho = rho + h, rho any number, and arc(x) = (x - arctan x)/x^3 = 1/3 - x^2/5 + x^4/7 - ….
    Trees are written like [2 [] [1]]: the number of time legs (none: left out), then the subtrees; 0 is the empty tree.
    """
    proof = prove_order(method, free)
    equal = method.equal_steps and not free

    return {
        "method": method.name,
        "statement": proof.statement,
        "kappa": method.frame.kappa if method.frame.rate is None else None,
        "parameters": [p.symbol.name for p in method.parameters],
        "ratios": "1 + e_k h" if equal else "free",
        "predicted": method.corrects,
        "rows": [_row(method, row, i) for i, row in enumerate(method.rows)],
        "order": proof.order,
        "trees": sum(len(trees(n)) for n in range(proof.order + 1)),
        "conditions": proof.conditions,
        "leading_defects": [
            {"tree": str(d.tree), "power": d.power, "coefficient": coefficient(d.coefficient, equal)}
            for d in proof.leading_defects
        ],
    }


@cache
def coefficient(expression: sp.Expr, equal: bool) -> str:
    """A defect's coefficient as text; for ratios 1 + e_k h, what the proof calls r_k is e_k, and the middle e_0."""
    text = str(expression)
    return re.sub(r"\br(\d)\b", r"e\1", text).replace("middle", "e0") if equal else text


def _row(method: Method, row: Row, index: int) -> dict[str, Any]:
    return {
        "end": str(row.end),
        "nodes": [_node(method, node) for node in row.nodes],
        "weights": [str(w) for w in method.weights[index]],
        "states": [str(c) for c in row.states],
    }


def _node(method: Method, node: Node) -> dict[str, Any]:
    return {"back": node.back, "stage": node.stage, "position": str(method.position(node))}
