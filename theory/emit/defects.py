"""Leading defects -> the text of numerics/generated/defects.py."""

from __future__ import annotations

from ..method import Method
from ..methods import METHODS
from ..order import equal_steps_proof, predictor
from ..startup import length, startup
from ..trees import Tree
from .printer import to_torch
from .text import header, identifier, lines


def predictable(method: Method) -> bool:
    """Leading defects that hold on every smooth grid, in a frame whose G the numeric side knows.

    Parameters are at their defaults.
    """
    return not method.equal_steps and method.frame.name in ("data", "noise", "noise-rho", "variance")


def render_defects() -> str:
    about = "Leading local errors, from the proofs, for equal steps: sums of coefficient D(tree) over h^{p+1}."
    head = header("theory/order.py and theory/startup.py", about)
    head += "from collections.abc import Callable\n\nfrom torch import Tensor\n\n"
    head += "# (q, subtrees) stands for D = d_u^q D_z^k G[D(subtree), …], a derivative of G in dz/du = G(z, u).\n"
    head += 'Tree = tuple[int, tuple["Tree", ...]]\n'
    head += "Terms = tuple[tuple[float | Tensor, Tree], ...]\n\n\n"
    found = [entry for method in METHODS if predictable(method) for entry in entries(method)]
    functions = "\n\n".join(defect_function(name, method, factor) for name, method, factor in found)
    table = "".join(f'    "{name}": {identifier(name)},\n' for name, _, _ in found)
    return head + functions + f"\n\nDEFECTS: dict[str, Callable[[Tensor], Terms]] = {{\n{table}}}\n"


def entries(method: Method) -> list[tuple[str, Method, int]]:
    """(name, method, factor): the step, the start-up and the last step, if these count at the global order."""
    found = [(method.name, method, 1)]
    if method.start is not None:
        first = startup(method)
        if equal_steps_proof(first).order + 1 == method.order_asymptotic:
            found.append((first.name, first, length(method) ** method.order_asymptotic))
    if method.corrects:  # its last step is only predicted
        last = predictor(method)
        if equal_steps_proof(last).order + 1 == method.order:
            found.append((f"{method.name}-end", last, 1))
    return found


def defect_function(name: str, method: Method, factor: int) -> str:
    proof = equal_steps_proof(method)
    defaults = {p.symbol: p.default for p in method.parameters}
    doc = f'"""{name}: local error / h^{proof.order + 1}."""'
    terms = [
        f"    ({to_torch(factor * d.coefficient.subs(defaults) / d.tree.sigma)}, {nested(d.tree)}),"
        for d in proof.leading_defects
        if d.coefficient.subs(defaults) != 0
    ]
    return f"def {identifier(name)}(alpha: Tensor) -> Terms:\n" + lines(doc, "return (", *terms, ")")


def nested(tree: Tree) -> str:
    """The tree as nested tuples."""
    children = "".join(f"{nested(child)}, " for child in tree.children).rstrip(" ")
    return f"({tree.legs}, ({children if len(tree.children) == 1 else children.rstrip(',')}))"
