"""What can be verified: a sampler that can be put on grids, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...support.limits import PATH

if TYPE_CHECKING:  # torch is not needed to say what is wrong with a target
    from ...readback import Stranger


@dataclass(frozen=True)
class Target:
    """A sampler, and what its name says of it.

    name: as typed.  process: "vp", "ve" or "flow", what ties alpha to sigma.
    on(steps): the sampler on the grid of that many steps.  wide(): its module with float64 in place of float32.
    reference: the record that the name stands for, None if the catalogue has none.
    promises: the order that its name or its options speak of, None if they do not.
    variants: as typed with one option at another of its documented values, for all of them.
    nonlinear: what makes it no linear sampler as it is set, such as "clip_sample=true".
    grids: the same on other grids, by what they are.  zero: the name of the one of them that has a 0 appended.
    """

    name: str
    process: str
    on: Callable[[int], Stranger]
    reference: str | None = None
    promises: int | None = None
    nonlinear: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    wide: Callable[[], AbstractContextManager[None]] = field(default=nullcontext)
    grids: Mapping[str, Callable[[int], Stranger]] = field(default_factory=dict)
    zero: str | None = None


class NoTable(InputError):
    """A target that has no table: it is not a linear sampler of a diffusion, for a reason that can be said."""


def split(target: str) -> tuple[str, str, dict[str, Any]]:
    """LIBRARY:NAME?option=value&… in its parts; values as Python has them where they read as such.

    Raises InputError on a target without a colon or a name, and on options without a value.
    """
    if len(target) > PATH:
        raise InputError("target", target, f"at most {PATH} characters")
    head, mark, query = target.partition("?")
    library, colon, name = head.partition(":")
    relative = library.startswith(".") and not library.endswith(".py")  # of which package?
    if not colon or not library or not name or relative:
        allowed = "diffusers:Class?option=value&…, k-diffusion:function or package.module:callable"
        raise InputError("target", target, allowed)
    options: dict[str, Any] = {}
    for pair in query.split("&") if mark else []:
        key, equals, text = pair.partition("=")
        if not equals or not key or key in options:
            raise InputError("target", target, f"{pair!r} is not option=value, each option once")
        options[key] = _value(text)
    return library, name, options


def typed(library: str, name: str, options: Mapping[str, Any]) -> str:
    """The target as it is typed."""
    pairs = "&".join(f"{key}={_text(value)}" for key, value in options.items())
    return f"{library}:{name}?{pairs}" if pairs else f"{library}:{name}"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def _value(text: str) -> Any:
    """true, false, none, a whole number, a number, else the text."""
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
    """A library's module.  Raises InputError saying what to install."""
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as fault:
        raise InputError("target", module.partition(".")[0], f"not installed ({fault}); {install}") from None
