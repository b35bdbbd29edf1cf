"""The leading error of a method as a formula, read from the generated leading defects; no proof is run here."""

from __future__ import annotations

import ast
import inspect

import sympy as sp

from ...numerics.generated.defects import DEFECTS
from ...theory.latex import tex
from ...theory.methods import find
from ...theory.notation import NOTATION
from ...theory.trees import Tree

SHOWN = 8  # terms; a method of order 4 has some forty


def symbols(name: str) -> dict[str, sp.Symbol]:
    """What stands in the formulas of a method, by name: its parameters, and the symbols of the notation."""
    known = {parameter.name: parameter.shown for parameter in find(name).parameters}
    return known | {key: entry.symbol for key, entry in NOTATION.items()}


def leading_error(name: str) -> tuple[str, int] | None:
    """The local error up to its leading power in LaTeX, and the number of terms left out; None if it is not known."""
    if name not in DEFECTS:
        return None
    source = inspect.getsource(DEFECTS[name])
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    divisor = str(ast.get_docstring(function)).rpartition("local error / ")[2].rstrip(".")
    returned = function.body[-1]
    assert isinstance(returned, ast.Return)
    assert isinstance(returned.value, ast.Tuple)
    known, terms = symbols(name), []
    for term in returned.value.elts:
        assert isinstance(term, ast.Tuple)
        coefficient = sp.sympify(ast.unparse(term.elts[0]), locals=known, rational=True)
        terms.append((coefficient, _tree(ast.literal_eval(term.elts[1]))))
    scale = divisor.removeprefix("((1 + c_1) ").removesuffix(")")
    share = r"\frac{1}{1 + c_1}\," if scale != divisor else ""
    power = int(scale.removeprefix("h^"))
    body = r" \\ & ".join(" ".join(map(_term, terms[i : i + 2])) for i in range(0, min(len(terms), SHOWN), 2))
    rest = r" + \dots" if len(terms) > SHOWN else ""
    bracket = rf"\Big({body.lstrip('+ ')}{rest}\Big)"
    formula = rf"\begin{{aligned}} {share}\text{{error of a step}} = h^{{{power}}} & {bracket} + O(h^{{{power + 1}}})"
    return rf"{formula} \end{{aligned}}", max(0, len(terms) - SHOWN)


def _tree(nested: tuple[int, tuple]) -> Tree:  # type: ignore[type-arg]  # it holds itself
    legs, children = nested
    return Tree(legs, tuple(map(_tree, children)))


def _term(term: tuple[sp.Expr, Tree]) -> str:
    coefficient, tree = term
    negative = coefficient.could_extract_minus_sign()
    size = -coefficient if negative else coefficient
    number = "" if size == 1 else tex(size)
    if isinstance(size, sp.Add):
        number = rf"\left({number}\right)"
    return rf"{'-' if negative else '+'} {number}\, {tree.latex}"
