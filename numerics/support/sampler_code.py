"""The code that a value comes from, as text: without comments and docstrings, and no more of it than a sampler uses."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from ..catalogue import resolve, starts
from ..generated.defects import DEFECTS
from ..generated.frame_functions import FRAMES
from ..records import Record

GENERATED = Path(__file__).resolve().parents[1] / "generated"
WORDS = ("aliases", "label", "summary", "cite", "since")  # fields of a record on which no value depends
RULES = {"one_node", "one_node_smooth"}  # what any sampler may do at an end; see numerics/coefficients.py
_PARSER = Lock()  # CPython 3.11 counts the depth of its parser for all threads together
PARTS = ("", "-start", "-end")  # leading defects of the steps, of the start-up and of the last step


@dataclass(frozen=True, eq=False)
class Definition:
    """A function, class or constant of a module."""

    node: ast.stmt

    @cached_property
    def code(self) -> str:
        """Its text without comments, docstrings and layout."""
        return ast.unparse(self.node)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that it uses."""
        return frozenset(n.id for n in ast.walk(self.node) if isinstance(n, ast.Name))


@cache
def code(text: str) -> str:
    """A Python module without its comments, docstrings and layout."""
    return ast.unparse(_bare(text))


def definitions(text: str) -> dict[str, Definition]:
    """What a module defines at its top level, by name."""
    return {name: Definition(node) for node in _bare(text).body for name in _defined(node)}


def needed(known: Mapping[str, Definition], names: Iterable[str]) -> dict[str, str]:
    """The code of these definitions and of all that they use in turn, in the order of their names."""
    found: dict[str, str] = {}
    left = [name for name in names if name in known]
    while left:
        name = left.pop()
        if name not in found:
            found[name] = known[name].code
            left += known[name].names & known.keys()
    return dict(sorted(found.items()))


def sampler_code(name: str) -> str:
    """All generated code that the values of a sampler come from, as text.

    Its record without the words in it, those of its start-up, their weight functions, frames and leading defects.
    Raises InputError on an unknown name.
    """
    record = resolve(name)
    used = [record, *starts(record)]
    rows = [row for r in used for row in r.rows]
    functions = {function for row in rows for function in (row.weights, row.states, row.noises) if function}
    frames = {"data", *(r.frame for r in used)}
    of_frames = {f.__name__ for key in frames for f in (FRAMES[key].functions, FRAMES[key].whole) if f is not None}
    return repr(
        [
            *map(_of_record, used),
            sorted((key, _values(FRAMES[key])) for key in frames),
            needed(_generated("frame_functions"), of_frames),
            needed(_generated("weight_functions"), functions | RULES),
            [_leading_defects(r.name) for r in used],
        ]
    )


def _of_record(record: Record) -> list[tuple[str, Any]]:
    return [(key, value) for key, value in _values(record) if key not in WORDS]


def _values(value: Any) -> Any:
    """The fields of a dataclass that differ from their defaults, down to plain values: a new field changes nothing."""
    if is_dataclass(value):
        given = ((f, getattr(value, f.name)) for f in fields(value))
        return [(f.name, _values(v)) for f, v in given if v != f.default and not callable(v)]
    return [_values(v) for v in value] if isinstance(value, tuple) else value


def _leading_defects(name: str) -> dict[str, str]:
    """The functions that give the leading defects of a sampler; see numerics/leading/leading_error.py."""
    base = name if name in DEFECTS else name.partition("?")[0]
    given = (DEFECTS.get(f"{base}{part}") for part in PARTS)
    return needed(_generated("defects"), [function.__name__ for function in given if function is not None])


def _generated(module: str) -> dict[str, Definition]:
    return _definitions((GENERATED / f"{module}.py").read_text(encoding="utf-8"))


_definitions = cache(definitions)


def _defined(node: ast.stmt) -> Iterator[str]:
    """The names that a statement of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id


def _bare(text: str) -> ast.Module:
    """A module without its docstrings."""
    with _PARSER:
        module = ast.parse(text)
    for node in _statements(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or ([] if isinstance(node, ast.Module) else [ast.Pass()])
    return module


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """The node and the statements in it, without their expressions, which are many more."""
    yield node
    for blocks in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, blocks, ()):
            yield from _statements(child)
