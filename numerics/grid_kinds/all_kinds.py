"""All kinds of grid, and the one way to name one: KIND or KIND?parameter=value&…."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ...names.lookup import Domain, Entry, Names
from ..errors import InputError, nearest
from .discrete_kinds import DISCRETE_KINDS
from .elbo_kind import ELBO_KINDS
from .flow_kinds import FLOW_KINDS
from .given_kinds import LIST, LISTS, check_lists, lengths, opened
from .grid_kind import GridKind
from .published_kinds import PUBLISHED_KINDS
from .sigma_kinds import SIGMA_KINDS
from .smooth_kinds import SMOOTH_KINDS

KINDS: dict[str, GridKind] = {
    kind.name: kind
    for kind in (*SMOOTH_KINDS, *SIGMA_KINDS, *ELBO_KINDS, *FLOW_KINDS, *DISCRETE_KINDS, *PUBLISHED_KINDS, LIST)
}
_ALIASES = {alias: (kind, values) for kind in KINDS.values() for alias, values in kind.aliases}
PREFIX = "scheduler:"  # of scheduler:diffusers:Class?option=value&… and scheduler:k-diffusion:function?…
EXAMPLES = {"t_min": 0.001, "t_max": 1.0, "sigma_min": 0.002, "sigma_max": 80.0}  # of parameters without a default
ENDS = (("t_min", "t_max"), ("sigma_min", "sigma_max"), ("beta_start", "beta_end"))
WORDS = frozenset(p.name for kind in KINDS.values() for p in kind.parameters if p.words)


def parameter_names(name: str) -> tuple[str, ...]:
    """The parameters that a kind takes, by its own name or one of a library; InputError on an unknown kind."""
    kind = _kind(name)
    return LISTS if kind is LIST else tuple(p.name for p in kind.parameters)


def checked(name: str, parameters: Mapping[str, Any]) -> tuple[GridKind, dict[str, Any]]:
    """The kind of that name, and the values of its parameters: those given, of a library's name, or the defaults.

    Raises InputError on an unknown kind, an unknown or missing parameter, and a value that is not allowed.
    """
    kind = _kind(name)
    allowed = parameter_names(name)
    for key, value in parameters.items():
        if key not in allowed:
            raise InputError(f"grid.{key}", value, f"not a parameter of {kind.name}: {', '.join(allowed)}")
    if kind is LIST:
        lists = opened(parameters)
        check_lists(lists)
        return kind, lists
    given = {p.name: _value(p, parameters[p.name]) for p in kind.parameters if p.name in parameters}
    for required in kind.required:
        if required not in given:
            raise InputError(f"grid.{required}", None, f"{kind.name} needs a number")
    defaults = {p.name: p.default for p in kind.parameters} | _presets(name)
    values = {p.name: _plain(p, defaults[p.name]) for p in kind.parameters} | given
    for low, high in ENDS:
        if low in values and high in values and not values[low] < values[high]:
            raise InputError(f"grid.{low}", values[low], f"below {high} = {values[high]}")
    return kind, values


def parse(text: str, ends: Mapping[str, float], field: str = "grid") -> tuple[str, dict[str, Any]]:
    """A kind as it is typed: its name, as grids.grid takes it, and the values of its parameters.

    ends: values of the parameters that have no default.  Raises InputError as names/lookup.py does.
    """
    if text.startswith(f"{LIST.name}?"):
        return LIST.name, opened(_files(text))
    base, given = _read(text, ends, field)
    return base, {name: ends[name] for name in _kind(base).required} | given


def typed(text: str) -> dict[str, Any]:
    """A kind as it is typed, KIND or KIND?parameter=value&…, as a table of a study file; InputError as parse."""
    if "?" not in text or text.startswith(PREFIX):
        return {"kind": text}
    if text.startswith(f"{LIST.name}?"):
        return {"kind": LIST.name, **_files(text)}
    base, given = _read(text, EXAMPLES, "grid")
    defaults = {domain.name: _plain(domain, domain.default) for domain in _entry(base, EXAMPLES).domains}
    names = [pair.partition("=")[0] for pair in text.partition("?")[2].split("&")]
    return {"kind": base, **{name: given.get(name, defaults[name]) for name in names}}


def spelled(kind: str, parameters: Mapping[str, Any]) -> str:
    """A kind with its parameters as it is typed; a list, which is not typed, with its numbers of steps: list-10-20."""
    if own := lengths(parameters):
        return "-".join([kind, *map(str, own)])
    pairs = [f"{name}={str(value).removesuffix('.0')}" for name, value in parameters.items()]
    return kind + ("?" if pairs else "") + "&".join(pairs)


def _files(text: str) -> dict[str, Any]:
    """list?sigmas=FILE or list?timesteps=FILE."""
    name, _, file = text.partition("?")[2].partition("=")
    if name not in LISTS or not file:
        raise InputError("grid", text, f"{LIST.name}?sigmas=FILE or {LIST.name}?timesteps=FILE")
    return {name: file}


def _read(text: str, ends: Mapping[str, float], field: str) -> tuple[str, dict[str, Any]]:
    """The name of a kind, and the values of the parameters that differ from their defaults."""
    base = text.partition("?")[0]
    if base not in KINDS and base not in _ALIASES and (spelling := _read_back(text)):
        raise InputError(field, text, f"not a known kind of grid; {spelling}")
    choice = Names((_entry(name, ends) for name in (*KINDS, *_ALIASES)), "kind of grid").parse(text, field)
    domains = {p.name: p for p in _kind(choice.base).parameters}
    return choice.base, {name: _plain(domains[name], value) for name, value in choice.values}


def _entry(name: str, ends: Mapping[str, float]) -> Entry:
    """A name of a kind with the defaults that it stands for."""
    kind = _kind(name)
    defaults = {p.name: p.default for p in kind.parameters} | _presets(name)
    defaults |= {required: Fraction(ends[required]) for required in kind.required}
    return Entry(name, (), tuple(replace(p, default=defaults[p.name]) for p in kind.parameters))


def _presets(name: str) -> dict[str, Fraction]:
    return dict(_ALIASES[name][1]) if name in _ALIASES else {}


def _kind(name: str) -> GridKind:
    if name in KINDS:
        return KINDS[name]
    if name in _ALIASES:
        return _ALIASES[name][0]
    raise InputError("grid.kind", name, f"not a known grid; {_read_back(name) or nearest(name, [*KINDS, *_ALIASES])}")


def _read_back(name: str) -> str | None:
    """How the levels of a scheduler or a function are spelled, where the name is one without the prefix."""
    library, colon, inner = name.partition("?")[0].rpartition(":")
    if not colon and inner.endswith("Scheduler"):
        library, name = "diffusers", f"diffusers:{name}"
    levels = library == "diffusers" and inner.endswith("Scheduler")
    function = inner.startswith("get_sigmas") if library == "k-diffusion" else "." in library
    if not (levels or function):
        return None
    return f"the levels of {'a scheduler' if levels else 'a function'} are {PREFIX}{name}"


def _value(parameter: Domain, value: object) -> Any:
    """A value that is given, as levels take it; InputError if it is not allowed."""
    field = f"grid.{parameter.name}"
    if parameter.words:
        if value not in parameter.words:
            raise InputError(field, value, f"one of {', '.join(parameter.words)}")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        raise InputError(field, value, "a number")
    number = float(value)
    if not math.isfinite(number) or Fraction(number) not in parameter:
        above = parameter.low == 0 and parameter.high == math.inf
        raise InputError(field, value, "a number > 0" if above else str(parameter))
    return number


def _plain(parameter: Domain, value: Fraction) -> Any:
    return parameter.words[int(value)] if parameter.words else float(value)
