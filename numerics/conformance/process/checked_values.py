"""Values of given types from plain containers that are not trusted, with every part checked."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union

MANY = 1_000_000  # items of a tuple
LONG = 10_000  # characters of a text
NUMBERS = (float, int, bool)
Value = TypeVar("Value")


def checked(kind: type[Value], plain: Any, where: str = "it") -> Value:
    """The value of a type: a dataclass, a named tuple, or any type that their fields may have.

    Raises ValueError, in one line that names the place, on anything that is not exactly of that type.
    """
    found: Value = _checked(kind, plain, where)
    return found


def shown(text: str) -> str:
    """A text with its control characters as Python writes them, so that no terminal interprets them."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _checked(kind: Any, plain: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, UnionType):
        return _any_of(arguments, plain, where)
    if origin is tuple:
        return _tuple(arguments, plain, where)
    if origin is not None and issubclass(origin, Mapping):
        return {
            _checked(arguments[0], key, where): _checked(arguments[1], value, f"{where}[{str(key)[:20]!r}]")
            for key, value in _of(dict, plain, where).items()
        }
    if is_dataclass(kind) or hasattr(kind, "_fields"):
        return _fields(kind, plain, where)
    if kind is float and type(plain) is int and abs(plain) < 2**53:
        return float(plain)
    found = _of(kind, plain, where)
    if isinstance(found, str) and (len(found) > LONG or len(found.splitlines()) > 1):
        raise ValueError(f"{where} is a text of {len(found)} characters, too long or not in one line")
    return shown(found) if isinstance(found, str) else found


def _of(kind: type, plain: Any, where: str) -> Any:
    """The value, if its type is `kind` or, unless that is a number, a subclass of it; a bool is not an int."""
    if type(plain) is not kind and not (isinstance(plain, kind) and kind not in (int, float)):
        raise ValueError(f"{where} is {type(plain).__name__}, not {kind.__name__}")
    return plain


def _any_of(kinds: tuple[Any, ...], plain: Any, where: str) -> Any:
    if NoneType in kinds and plain is None:
        return None
    (kind,) = (k for k in kinds if k is not NoneType)
    return _checked(kind, plain, where)


def _tuple(kinds: tuple[Any, ...], plain: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(plain, tuple | list) or len(plain) > MANY:
        raise ValueError(f"{where} is {type(plain).__name__}, not a tuple of at most {MANY}")
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(plain)
    if len(kinds) != len(plain):
        raise ValueError(f"{where} has {len(plain)} items, not {len(kinds)}")
    if _numbers(kinds, plain):
        return tuple(plain)
    return tuple(_checked(kind, item, f"{where}[{n}]") for n, (kind, item) in enumerate(zip(kinds, plain, strict=True)))


def _fields(kind: Any, plain: Any, where: str) -> Any:
    """A dataclass or named tuple from its fields by name, or in order; those with a default may be missing."""
    names, needed, hints = _declared(kind)
    if isinstance(plain, tuple | list) and len(plain) <= len(names):
        plain = dict(zip(names, plain, strict=False))
    given = _of(dict, plain, where)
    if not needed <= given.keys() <= set(names):
        raise ValueError(f"{where} has the fields {sorted(map(str, given))[:20]}, not {names}"[:300])
    if _numbers([hints[name] for name in given], given.values()):
        return kind(**given)
    return kind(**{name: _checked(hints[name], value, f"{where}.{name}") for name, value in given.items()})


def _numbers(kinds: Iterable[Any], values: Iterable[Any]) -> bool:
    """Whether every value is a number of its kind: a trace has thousands, and no other check applies to them."""
    return all(kind in NUMBERS and type(value) is kind for kind, value in zip(kinds, values, strict=True))


@cache
def _declared(kind: Any) -> tuple[list[str], set[str], dict[str, Any]]:
    """The fields of a dataclass or named tuple, those without a default, and the types of all."""
    hints = typing.get_type_hints(kind)
    if is_dataclass(kind):
        needed = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
        return [field.name for field in fields(kind)], needed, hints
    return list(kind._fields), set(kind._fields) - set(kind._field_defaults), hints
