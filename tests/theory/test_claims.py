"""Every claim holds, and a claim about an altered record does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp
from faults import altered_weights
from shapes import by_shape

from samplerproof.theory.claims import CLAIMS, Claim, Proof
from samplerproof.theory.claims.claim import claim
from samplerproof.theory.claims.weight_claims import _polynomial_residual
from samplerproof.theory.exponential import collapsed, exact
from samplerproof.theory.frames import FRAMES, flow_residual
from samplerproof.theory.method import Method
from samplerproof.theory.methods import ODE_METHODS, find
from samplerproof.theory.notation import h
from samplerproof.theory.phi_functions import is_zero
from samplerproof.theory.rows import NOW, Row

TINY = 1 + sp.Rational(1, 10**6)


# Seconds each, of many weights or of series: left to the full run, as `polynomial-exactness` of the whole catalogue.
LONG = (
    "polynomial-exactness", "unipc-noise-published", "predictions", "moments", "splitting-weak-order-1",
    "policy-gradient-identity", "splitting-order-2", "stale-features", "phase-space-exponential-order",
    "phase-space-covariance", "anderson-affine",
)  # fmt: skip


@pytest.mark.parametrize(
    "claim", [pytest.param(c, id=c.name, marks=pytest.mark.slow if c.name in LONG else ()) for c in CLAIMS]
)
def test_claim_holds(claim: Claim) -> None:
    proof = claim.prove()
    assert proof.zero, "a claim proves something"
    assert proof.holds


def test_claims_have_one_name_each() -> None:
    names = [claim.name for claim in CLAIMS]
    assert len(set(names)) == len(names)


def test_a_claim_keeps_name_statement_and_citation_apart() -> None:
    """Assert that a name is a word and a statement a sentence, in a claim made here and in all."""
    made = claim("a-name", "A statement.", "cited2026")(lambda: Proof((h - h,)))
    assert (made.name, made.statement, made.cite, made.prove().holds) == ("a-name", "A statement.", "cited2026", True)
    for one in CLAIMS:
        assert " " not in one.name
        assert " " in one.statement


def test_a_proof_with_a_false_line_does_not_hold() -> None:
    assert not Proof((h,)).holds
    assert not Proof((sp.S.Zero,), nonzero=(h - h,)).holds


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_a_frame_with_another_weight_is_no_frame(name: str) -> None:
    frame = FRAMES[name]
    if frame.rate is not None:
        assert not is_zero(flow_residual(replace(frame, rate=frame.rate * TINY)))
        return
    assert not is_zero(flow_residual(replace(frame, c=frame.c * TINY)))
    assert not is_zero(flow_residual(replace(frame, kappa=frame.kappa + 1)))


@pytest.mark.parametrize("method", by_shape(m for m in ODE_METHODS if m.provenance == "derived"))
def test_a_weight_off_by_a_millionth_breaks_the_polynomial_claim(method: Method) -> None:
    last = len(method.rows) - 1
    for j in range(len(method.rows[-1].nodes)):
        altered = tuple(w * (TINY if i == j else 1) for i, w in enumerate(method.weights[-1]))
        assert not is_zero(_polynomial_residual(altered_weights(method, last, altered), last, 0))


def test_another_midpoint_is_another_method() -> None:
    two_m = find("dpm-solver++-2m")
    moved = replace(two_m, rows=(replace(two_m.rows[0], rule=collapsed(at=sp.Rational(1, 3))),))
    assert not is_zero(moved.weights[0][0] - two_m.weights[0][0])


def test_history_in_the_wrong_order_is_another_method() -> None:
    adams = find("exp-adams-3")
    nodes = adams.rows[0].nodes
    swapped = replace(adams, rows=(Row((nodes[0], nodes[2], nodes[1]), exact),))
    assert not is_zero(swapped.weights[0][1] - adams.weights[0][1])
    assert is_zero(swapped.weights[0][1] - adams.weights[0][2])


def test_one_node_rule_of_ddim_is_the_first_row_of_heun_up_to_its_frame() -> None:
    assert find("edm-heun").rows[0] == Row((NOW,), exact)
