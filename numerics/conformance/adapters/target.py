"""The syntax of targets, LIBRARY:NAME?option=value&…, and libraries that may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from ...errors import InputError
from ...support.limits import PATH


class NoTable(InputError):
    """A target without a table: not a linear sampler of a diffusion, for the reason in `allowed`."""


class NoSteps(NoTable):
    """A target whose evaluations belong to no steps of its grid: it may still be run on a model."""


def split(target: str) -> tuple[str, str, dict[str, Any]]:
    """The library, name and options of a target; values as Python literals where they read as such.

    Raises InputError on a target without a colon or a name, and on options without a value.
    """
    if len(target) > PATH:
        raise InputError("target", target, f"at most {PATH} characters")
    head, mark, query = target.partition("?")
    library, colon, name = parted(head)
    relative = library.startswith(".") and not is_file(library)  # relative to which package?
    if not colon or not library or not name or relative:
        allowed = "LIBRARY:NAME?option=value&…, FILE.py:name or package.module:name; `verify --help` has the libraries"
        raise InputError("target", target, allowed)
    options: dict[str, Any] = {}
    for pair in query.split("&") if mark else []:
        key, equals, text = pair.partition("=")
        if not equals or not key or key in options:
            raise InputError("target", target, f"{pair!r} is not option=value, each option once")
        options[key] = _value(text)
    return library, name, options


def is_file(library: str) -> bool:
    """Whether a library is a file of Python."""
    return library.endswith(".py")


def parted(head: str) -> tuple[str, str, str]:
    """Library, colon and name of a target without options; the path of a file may have a colon too."""
    path, mark, name = head.rpartition(".py:")
    return (f"{path}.py", ":", name) if mark else head.partition(":")


def typed(library: str, name: str, options: Mapping[str, Any]) -> str:
    """The target as a user types it."""
    return with_options(f"{library}:{name}", options)


def with_options(target: str, options: Mapping[str, Any]) -> str:
    """A target without options, and these."""
    pairs = "&".join(f"{key}={_text(value)}" for key, value in options.items())
    return f"{target}?{pairs}" if pairs else target


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _value(text: str) -> Any:
    """true, false, none, an integer, a number, else the text."""
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def loaded(module: str, install: str) -> ModuleType:
    """A module of a library.  Raises InputError with the command that installs it."""
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as fault:
        raise InputError("target", module.partition(".")[0], f"not installed ({fault}); {install}") from None
