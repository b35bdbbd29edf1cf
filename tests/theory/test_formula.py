"""Formulas as papers write them."""

from __future__ import annotations

import json

import pytest
import sympy as sp

from samplerproof.theory.latex import describe, latex
from samplerproof.theory.method import Method
from samplerproof.theory.methods import ODE_METHODS, find


def test_2m_is_the_formula_of_the_paper() -> None:
    """Assert that it is algorithm 2 of Lu et al. 2022 (DPM-Solver++), with the step ratio r_1."""
    text = " ".join(latex(find("dpm-solver++-2m")).split())
    assert r"x_{n+1} &= \frac{\sigma_{n+1}}{\sigma_{n}} x_n -\alpha_{n+1} \left(e^{-h} - 1\right)" in text
    assert r"\left(1 + \frac{1}{2 r_{1}}\right) \hat x_0(x_{n}) - \frac{1}{2 r_{1}} \hat x_0(x_{n-1})" in text


@pytest.mark.parametrize("method", ODE_METHODS, ids=lambda m: m.name)
def test_every_method_has_a_formula_with_balanced_braces_and_json(method: Method) -> None:
    text = latex(method)
    assert text.count("{") == text.count("}")
    assert text.count(r"\left") == text.count(r"\right")
    assert json.loads(json.dumps(describe(method)))["name"] == method.name


def test_described_weights_can_be_read_again() -> None:
    rows = describe(find("exp-adams-2"))["rows"]
    names = {"phi": sp.Function("phi")}
    weights = [sp.sympify(w, locals=names) for w in rows[0]["weights"]]
    assert sp.simplify(sum(weights) - sp.sympify("h*phi(1, -h)", locals=names)) == 0
