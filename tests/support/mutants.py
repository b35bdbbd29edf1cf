"""Mutants: one small change of a module's code, drawn by a seed, and run without writing a file.

An operator turns a node of the syntax tree into another: a comparison, an arithmetic or logical operator, a number, a
condition, a returned value. Text, types and what only a type checker reads are left alone.
"""

from __future__ import annotations

import ast
import copy
import functools
import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("theory", "numerics")
GENERATED = "numerics/generated/"
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult},
    **{ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.MatMult: ast.Mult},
}


@dataclass(frozen=True)
class Mutant:
    """A change in a file: by which operator, and the place of its node among all nodes, with its line."""

    file: str
    place: int
    line: int
    operator: str

    @property
    def generated(self) -> bool:
        return self.file.startswith(GENERATED)

    def statement(self) -> tuple[range, bool]:
        """The lines of the statement, without those of a block in it; and whether it runs on import."""
        tree = _tree(self.file)
        node = next(itertools.islice(_nodes(tree), self.place, None))
        *outer, inner = (part for part in _path(tree, node) if isinstance(part, ast.stmt))
        block = getattr(inner, "body", None)
        end = max(block[0].lineno - 1, inner.lineno) if block else inner.end_lineno or inner.lineno
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        return range(inner.lineno, end + 1), not any(isinstance(part, functions) for part in outer)

    def shown(self) -> dict[str, Any]:
        """File, line and operator, with the code before and after."""
        node, changed = self._change(_tree(self.file))
        if isinstance(node, ast.If | ast.IfExp) and isinstance(changed, ast.If | ast.IfExp):
            node, changed = node.test, changed.test
        before, after = (" ".join(ast.unparse(part).split()) for part in (node, changed))
        return {"file": self.file, "line": self.line, "operator": self.operator, "before": before, "after": after}

    def code(self) -> CodeType:
        """The module with the change, compiled."""
        tree = _tree(self.file)
        _Replace(*self._change(tree)).visit(tree)
        return compile(ast.fix_missing_locations(tree), str(ROOT / self.file), "exec", dont_inherit=True)

    def _change(self, tree: ast.Module) -> tuple[ast.AST, ast.AST]:
        node = next(itertools.islice(_nodes(tree), self.place, None))
        return node, next(changed for operator, changed in _changes(node) if operator == self.operator)

    def plant(self) -> None:
        """From now on this process imports the mutant in the place of its module."""
        get_code: Callable[[SourceFileLoader, str], CodeType | None] = SourceFileLoader.get_code
        path, code = (ROOT / self.file).resolve(), self.code()

        def planted(loader: SourceFileLoader, name: str) -> CodeType | None:
            return code if Path(loader.path).resolve() == path else get_code(loader, name)

        SourceFileLoader.get_code = planted  # type: ignore[method-assign]


class _Replace(ast.NodeTransformer):
    def __init__(self, target: ast.AST, replacement: ast.AST) -> None:
        self.target, self.replacement = target, replacement

    def visit(self, node: ast.AST) -> Any:
        return self.replacement if node is self.target else self.generic_visit(node)


def mutants_of(file: str) -> list[Mutant]:
    """Every mutant of a file."""
    return [
        Mutant(file, place, node.lineno, operator)  # type: ignore[attr-defined]
        for place, node in enumerate(_nodes(_tree(file)))
        for operator, _ in _changes(node)
    ]


def _tree(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def files() -> list[str]:
    """The modules of theory and numerics."""
    found = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def drawn(by_hand: int, generated: int, seed: int, only: str = "") -> list[Mutant]:
    """So many mutants of hand-written and of generated code, each as likely as another of its sort, in random order.

    only: the beginning of the paths of the files that they are drawn from.
    """
    everything = [mutant for file in files() if file.startswith(only) for mutant in mutants_of(file)]
    draw, chosen = random.Random(seed), []
    for sort, count in ((False, by_hand), (True, generated)):
        those = [mutant for mutant in everything if mutant.generated is sort]
        chosen += draw.sample(those, min(count, len(those)))
    draw.shuffle(chosen)
    return chosen


def _path(tree: ast.AST, node: ast.AST) -> list[ast.AST]:
    """From the tree to the node, both included; empty where it is not in the tree."""
    if tree is node:
        return [tree]
    below = next(filter(None, (_path(child, node) for child in ast.iter_child_nodes(tree))), [])
    return [tree, *below] if below else []


@functools.cache
def imports() -> tuple[tuple[str, str, int, bool], ...]:
    """Every import of one module of theory and numerics by another: the module, the one that imports, the line there,
    and whether a function does it.
    """
    names, found = {module_name(file): file for file in files()}, []
    for file in files():
        tree = _tree(file)
        local = {id(one) for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) for one in ast.walk(one)}
        for node in ast.walk(tree):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                above = module_name(file).split(".")[: -node.level] if node.level else []
                package = ".".join([*above, *filter(None, [node.module])])
                modules = [package, *(f"{package}.{alias.name}" for alias in node.names)]
            found += [
                (names[name], file, node.lineno, id(node) in local)  # type: ignore[attr-defined]
                for name in modules
                if name in names
            ]
    return tuple(found)


def lines_of_functions(file: str) -> set[int]:
    """The lines in the bodies of the functions of a file."""
    functions = (one for one in ast.walk(_tree(file)) if isinstance(one, ast.FunctionDef))
    return {line for one in functions for line in range(one.body[0].lineno, (one.end_lineno or one.lineno) + 1)}


def module_name(file: str) -> str:
    """The name by which a file is imported."""
    return "samplerproof." + file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes in which something runs: no docstrings, annotations, or blocks for type checkers."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "type_comment"):
            continue
        for node in value if isinstance(value, list) else [value]:
            skipped = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if isinstance(node, ast.AST) and not skipped and not docstring and not isinstance(node, ast.JoinedStr):
                if hasattr(node, "lineno"):
                    yield node
                yield from _nodes(node)


def _changes(node: ast.AST) -> Iterable[tuple[str, ast.AST]]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield "comparison", _with(node, ops=[SWAPS[type(node.ops[0])]()])
    elif isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in SWAPS:
        yield "operator", _with(node, op=SWAPS[type(node.op)]())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield "sign", node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "constant", _with(node, value=not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield "constant", _with(node, value=node.value + 1)
    elif isinstance(node, ast.Constant) and isinstance(node.value, float):
        yield "constant", _with(node, value=2 * node.value if node.value else 1.0)
    elif isinstance(node, ast.If | ast.IfExp):
        yield "condition", _with(node, test=ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Return) and node.value is not None and ast.unparse(node.value) != "None":
        yield "return", _with(node, value=ast.Constant(None))


def _with(node: ast.AST, **changed: Any) -> ast.AST:
    other = copy.copy(node)
    for name, value in changed.items():
        setattr(other, name, value)
    return other
