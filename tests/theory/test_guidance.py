"""The exact step on a constant gain: what the generated table does, by another route."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from shapes import by_shape

from samplerproof.numerics.stability import growth as measured
from samplerproof.theory.guided_step import gain_matrix, growth
from samplerproof.theory.method import Method
from samplerproof.theory.methods import ODE_METHODS, find
from samplerproof.theory.notation import gain, h

IN_LAMBDA = [m for m in ODE_METHODS if m.frame.column == "lam"]


def radius(method: Method, step: sp.Rational, g: sp.Rational) -> float:
    """The spectral radius of the exact matrix, whose entries are rounded once."""
    matrix = gain_matrix(method).to_Matrix().subs({h: step, gain: g}).applyfunc(lambda e: e.rewrite(sp.exp).evalf(30))
    return float(abs(np.linalg.eigvals(np.array(matrix.tolist(), dtype=np.float64))).max())


@pytest.mark.parametrize(("step", "g"), [("1/10", "-13/2"), ("3/2", "-2"), ("3", "1/3")])
@pytest.mark.parametrize("method", by_shape(IN_LAMBDA))
def test_table_and_exact_step_grow_alike(method: Method, step: str, g: str) -> None:
    exact = radius(method, sp.Rational(step), sp.Rational(g))
    assert float(measured(method.name, float(sp.Rational(step)), [float(sp.Rational(g))])) == pytest.approx(
        exact, rel=1e-9
    )
    last = method.rows[-1]
    weights = tuple(w * (1 + h / 10**6) for w in method.weights[-1])
    altered = replace(method, rows=(*method.rows[:-1], replace(last, rule=None, published=weights)))
    assert radius(altered, sp.Rational(step), sp.Rational(g)) != pytest.approx(exact, rel=1e-9)


def test_another_clock_and_more_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="not equal in rho"):
        gain_matrix(find("edm-heun"))
    with pytest.raises(ValueError, match="no single factor"):
        growth(find("dpm-solver++-2m"))
