"""Leading defects -> the text of numerics/generated/defects.py."""

from __future__ import annotations

import sympy as sp

from ..method import Method
from ..methods import ODE_METHODS
from ..notation import ALPHA_TAYLOR, MIDDLE, rho
from ..notation import r as ratios
from ..order import OrderProof, equal_steps_proof, predictor, prove_order
from ..startup import length, startup
from ..trees import Tree
from .printer import to_torch
from .source_text import header, identifier, lines

# Smooth grids: r_k = 1 + k e_1 h + O(h^2), with e_1 = -u''/u'^2 and u as a function of the fraction of the way.
BEND = sp.Symbol("e1", real=True)
COLUMNS = (BEND, ALPHA_TAYLOR[0], rho)  # numbers that change along the way
SMOOTH = {ratio: k * BEND for k, ratio in enumerate(ratios, start=1)}


def predictable(method: Method) -> bool:
    """Whether the leading defects hold on every smooth grid, in a frame whose G numerics can evaluate."""
    return MIDDLE not in method.symbols and method.frame.name in ("data", "noise", "noise-rho", "variance")


def render_defects() -> str:
    summary = "Leading local errors, from the proofs, on smooth grids: sums of coefficient D(tree) over h^{p+1}."
    head = header("theory/order.py and theory/startup.py", summary)
    head += "from collections.abc import Callable\n\nfrom torch import Tensor\n\n"
    head += "# (q, subtrees) stands for D = d_u^q D_z^k G[D(subtree), …], a derivative of G in dz/du = G(z, u).\n"
    head += 'Tree = tuple[int, tuple["Tree", ...]]\n'
    head += "Terms = tuple[tuple[float | Tensor, Tree], ...]\n\n\n"
    found = [entry for method in variants() if predictable(method) for entry in entries(method)]
    functions = "\n\n".join(defect_function(*entry) for entry in found)
    table = "".join(f'    "{name}": {identifier(name)},\n' for name, _, _ in found)
    table = f"\n\nDEFECTS: dict[str, Callable[..., Terms]] = {{\n{table}}}\n"
    needed = {name: arguments(method) for name, method, _ in found}
    rows = "".join(f'    "{name}": {names},\n' for name, names in needed.items() if names)
    also = "\n# What they need: parameters, e1 = (r_1 - 1)/h, l1 = d log alpha/du, rho.\n"
    return head + functions + table + also + f"ARGUMENTS: dict[str, tuple[str, ...]] = {{\n{rows}}}\n"


def variants() -> list[Method]:
    """The records, and again those with parameters at each value that has an order of its own."""
    special = [(m, p.name, value) for m in ODE_METHODS for p in m.parameters for value, _ in p.orders]
    return [*ODE_METHODS, *(m.at({name: value}) for m, name, value in special)]


def entries(method: Method) -> list[tuple[str, Method, sp.Expr]]:
    """(name, method, factor): the step, the start-up and the last step, if these count at the global order.

    None of them where the defects of the step vanish on smooth grids: there errors fall faster than its order.
    Where two states are carried, errors add up divided by 1 + c_1 (claim bdia-error). At c_1 = 1 those of the start-up
    leave a part that swings from step to step as well, which is not predicted.
    """
    if all(c == 0 for c, _ in coefficients(method)):
        return []
    second = method.second_root
    found = [(method.name, method, sp.S.One if second is None else 1 / (1 - second))]
    if method.start is not None and second != -1:
        first = startup(method)
        if leading(first).order + 1 == method.order_asymptotic:
            found.append((first.name, first, sp.Integer(length(method)) ** method.order_asymptotic))
    if method.corrects:  # its last step is only predicted
        last = predictor(method)
        if equal_steps_proof(last).order + 1 == method.order:
            found.append((f"{method.name}-end", last, sp.S.One))
    return found


def leading(method: Method) -> OrderProof:
    """The proof for smooth grids: how fast steps change matters only to weights that assume equal ones."""
    return prove_order(method) if method.equal_steps else equal_steps_proof(method)


def coefficients(method: Method) -> list[tuple[sp.Expr, Tree]]:
    """The leading defects, step ratios written by e_1."""
    return [(d.coefficient.subs(SMOOTH), d.tree) for d in leading(method).leading_defects]


def arguments(method: Method) -> tuple[str, ...]:
    """The names of the numbers that the defects depend on."""
    free = set().union(*(c.free_symbols for c, _ in coefficients(method)))
    known = method.names | {symbol: symbol.name for symbol in COLUMNS}
    if free - set(known):
        raise ValueError(f"{method.name}: defects: depend on {sorted(map(str, free - set(known)))}")
    return tuple(name for symbol, name in known.items() if symbol in free)


def defect_function(name: str, method: Method, factor: sp.Expr) -> str:
    doc = f'"""{name}: local error / h^{leading(method).order + 1}."""'
    if method.second_root is not None:
        doc = f'"""{name}: local error / ((1 + c_1) h^{leading(method).order + 1})."""'
    terms = [
        f"    ({to_torch(sp.factor(factor * c) / tree.sigma, method.names)}, {nested(tree)}),"
        for c, tree in coefficients(method)
        if c != 0
    ]
    given = ", ".join(f"{a}: {'Tensor' if a in map(str, COLUMNS) else 'float'}" for a in arguments(method))
    return f"def {identifier(name)}({given}) -> Terms:\n" + lines(doc, "return (", *terms, ")")


def nested(tree: Tree) -> str:
    """The tree as nested tuples."""
    children = "".join(f"{nested(child)}, " for child in tree.children).rstrip(" ")
    return f"({tree.legs}, ({children if len(tree.children) == 1 else children.rstrip(',')}))"
