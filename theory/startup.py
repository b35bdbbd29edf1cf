"""The start-up of a method as one step of a one-step method, so that the order proof covers it too.

Where history is missing other methods step in: from an exact value the first K steps of size h are one step of size
K h whose stages are the points at which outputs were made. Its leading defects are what the start-up adds to the
error. For a predictor-corrector the steps that use outputs made at the start-up's predicted points count as well.
"""

from __future__ import annotations

import sympy as sp

from .exponential import exact
from .method import Method, settled
from .notation import a1, h, next_rho, rho
from .notation import r as ratios
from .phi_functions import phi
from .rows import NOW, Node, Row, grid_position, stage


def startup(method: Method) -> Method:
    """The first steps of a method that needs history, all equal, as one step; see `length` for how many."""
    count = length(method)
    equal = {h: h / count, **dict.fromkeys(ratios, sp.S.One)}
    made = {0: NOW}  # grid point -> the stage at whose point its output was made
    state: dict[Node, sp.Expr] = {}  # weights of the state at grid point n, in units of c e^{kappa u} there
    rows: list[Row] = []
    for n in range(count):
        step, stages = method_of_step(method, n), list[Node]()
        for row, weights in zip(step.rows, step.weights, strict=True):
            ahead = sp.sympify(grid_position(row.to)).subs(equal)
            total = {node: w * decay(method.frame.kappa * ahead * h / count) for node, w in state.items()}
            for node, weight in zip(row.nodes, weights, strict=True):
                if n and sp.sympify(weight).has(a1, rho, next_rho):
                    raise ValueError(f"{method.name}: start: {step.name}'s weights depend on where the step begins")
                where = stages[node.stage - 1] if node.stage else made[n - node.back]
                total[where] = total.get(where, sp.S.Zero) + sp.sympify(weight).subs(equal)
            place = (n + ahead) / count
            rows.append(Row(tuple(total), to=1 if place == 1 else place, published=tuple(total.values())))
            if row.evaluated:
                stages.append(stage(len(rows)))
        state, made[n + 1] = total, stages[-1]
    name, order, equal_steps = f"{method.name}-start", method.order_asymptotic - 1, method.equal_steps
    return Method(name, method.family, method.frame, tuple(rows), order, method.cite, name, equal_steps=equal_steps)


def length(method: Method) -> int:
    """How many steps count: the start-up's, and in a predictor-corrector those that use its outputs off the path."""
    return method.history + (1 + method.history if method.corrects else 0)


def method_of_step(method: Method, available: int) -> Method:
    """The method that takes a step after that many: the method itself, or one of its starts (or the one-node rule)."""
    step = method
    while step.history > available:
        assert step.start is not None
        step = settled(step.start)
    if step.frame is not method.frame:
        return Method("one-node", method.family, method.frame, (Row((NOW,), exact),), 1, method.cite, "one-node rule")
    return step


def decay(z: sp.Expr) -> sp.Expr:
    """e^{-z}, in phi atoms."""
    return 1 - z * phi(1, -z)
