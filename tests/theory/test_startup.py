"""A start-up is one step of a one-step method: its order and its leading defects, against plain runs in 150 digits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import sympy as sp
from mpmath import mp

from samplerproof.theory.emit.leading_defects import entries, nested, predictable
from samplerproof.theory.exponential import exact as exact_rule
from samplerproof.theory.method import Method
from samplerproof.theory.methods import ODE_METHODS
from samplerproof.theory.notation import a1, h, next_rho, r, rho
from samplerproof.theory.order import prove_order
from samplerproof.theory.rows import NOW, Row, past
from samplerproof.theory.startup import length, method_of_step, startup
from samplerproof.theory.trees import Tree

BY_NAME = {m.name: m for m in ODE_METHODS}
STARTED = [m.name for m in ODE_METHODS if m.start is not None and predictable(m)]
LIMITED = [name for name in STARTED if len(entries(BY_NAME[name])) > 1 + BY_NAME[name].corrects]
Z, U = sp.symbols("z u")
G = sp.sin(Z + U / 3) + U * Z / 2 + sp.Rational(1, 3)
HERE = {Z: sp.Rational(2, 5), U: sp.Rational(-3, 7)}
STEP = mp.mpf(2) ** -40


@pytest.fixture(autouse=True)
def digits() -> Iterator[None]:
    """The weights lose some fifty digits at so small a step."""
    with mp.workdps(150):
        yield


@pytest.mark.parametrize("name", STARTED)
def test_its_order_makes_the_asymptotic_order(name: str) -> None:
    """Assert that the first steps have order order_asymptotic - 1 exactly, or more where they do not set it."""
    method = BY_NAME[name]
    order = prove_order(startup(method)).order
    assert order == method.order_asymptotic - 1 if name in LIMITED else order >= method.order_asymptotic


def differential(tree: Tree) -> sp.Expr:
    result = sp.diff(G, Z, len(tree.children), U, tree.legs)
    for child in tree.children:
        result *= differential(child)
    return result


def leading(method: Method) -> Any:
    """The start-up's error over h^{q+1}, as the generated table has it."""
    first, factor = next((m, f) for name, m, f in entries(method) if name == f"{method.name}-start")
    terms = [
        factor * d.coefficient.subs(dict.fromkeys(r, 1)) / d.tree.sigma * differential(d.tree)
        for d in prove_order(first).leading_defects
    ]
    return mp.mpf(sp.N(sum(terms, start=sp.S.Zero).subs(HERE), 30))


@cache
def weight(expression: sp.Expr) -> Any:
    """A weight by the step and by the clock at its start, which is rho where a weight depends on that."""
    equal = sp.sympify(expression).subs({**dict.fromkeys(r, 1), a1: 1, next_rho: rho + h})
    return sp.lambdify((h, rho), equal.rewrite(sp.exp), modules=[{"arc": arc}, "mpmath"])


def arc(z: Any) -> Any:
    return (z - mp.atan(z)) / z**3


def run(method: Method, steps: int) -> Any:
    """z after that many steps of size STEP from HERE, by the records themselves."""
    g = sp.lambdify((Z, U), G, modules="mpmath")
    kappa, start = method.frame.kappa, mp.mpf(HERE[U].p) / HERE[U].q
    z = mp.mpf(HERE[Z].p) / HERE[Z].q
    outputs = [(start, g(z, start))]  # (place, G there) at every grid point
    for n in range(steps):
        step, stages = method_of_step(method, n), []
        for row, weights in zip(step.rows, step.weights, strict=True):
            end = start + (n + (row.to if isinstance(row.to, int) else mp.mpf(row.to.p) / row.to.q)) * STEP
            at = [stages[node.stage - 1] if node.stage else outputs[n - node.back] for node in row.nodes]
            moved = z + sum(
                weight(w)(STEP, start + n * STEP) * mp.exp(kappa * (end - u)) * value
                for w, (u, value) in zip(weights, at, strict=True)
            )
            stages.append((end, g(moved, end)))
        outputs.append(stages[-1] if step.rows[-1].evaluated else stages[-2])
        z = moved
    return z


@cache
def derivatives() -> list[Any]:
    """z, z', z'', … along the exact path through HERE."""
    found, expression = [], Z
    for _ in range(6):
        found.append(mp.mpf(sp.N(expression.subs(HERE), 150)))
        expression = sp.diff(expression, U) + G * sp.diff(expression, Z)
    return found


def exact(steps: int) -> Any:
    """The exact z that many steps on, by its Taylor series."""
    return sum(value * (steps * STEP) ** k / mp.factorial(k) for k, value in enumerate(derivatives()))


@pytest.mark.parametrize("name", [n for n in LIMITED if n[-1] in "24e" or n.startswith("unipc")])
def test_its_leading_defects_are_what_a_run_leaves(name: str) -> None:
    """Assert so for one function G of z and u, run step by step; two steps more change nothing at this order."""
    method = BY_NAME[name]
    steps = length(method) if method.frame.name == "variance" else length(method) + 2  # Li et al.'s a_{t+1} is not 1
    error = (run(method, steps) - exact(steps)) / STEP**method.order_asymptotic
    assert abs(error / leading(method) - 1) < 1e-9


def test_a_predictor_corrector_left_too_early_has_other_defects() -> None:
    """Assert that the outputs at the start-up's predicted points count after its last step as well."""
    method = BY_NAME["unipc-2"]
    early = (run(method, length(method) - 1) - exact(length(method) - 1)) / STEP**method.order_asymptotic
    assert abs(early / leading(method) - 1) > 1e-3


def test_a_start_up_of_full_order_is_not_counted() -> None:
    """Assert that a start of exp-adams-2 by a step of order 2 would leave nothing at order 2."""
    names = [name for name, _, _ in entries(replace(BY_NAME["exp-adams-2"], start=BY_NAME["dpm-solver++-2s"]))]
    assert names == ["exp-adams-2"]
    assert [name for name, _, _ in entries(BY_NAME["exp-adams-2"])] == ["exp-adams-2", "exp-adams-2-start"]


def test_a_start_whose_weights_depend_on_its_place_is_refused_after_the_first_step() -> None:
    li = BY_NAME["li-accelerated-ode"]
    longer = replace(li, name="longer", rows=(Row((NOW, past(1), past(2)), rule=exact_rule),), start=li)
    with pytest.raises(ValueError, match="depend on where the step begins"):
        startup(longer)


def test_trees_are_written_as_nested_tuples() -> None:
    leaf = Tree()
    assert nested(Tree(2, (leaf, Tree(0, (leaf,))))) == "(2, ((0, ()), (0, ((0, ()),))))"
