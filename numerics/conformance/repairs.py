"""The smallest changes that repair what deviates in diffusers 0.42.1: applied to a copy of the module, in memory."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from ..errors import InputError
from .diffusers import of_class
from .target import Target, split

PACKAGE = "diffusers.schedulers"


@dataclass(frozen=True)
class Repair:
    """What is to be read in place of what in the module of a scheduler, and what that mends.

    target: the one that deviates.  changes: (old, new), each at the one place where it applies.
    against: the record that it is then, if another than the target's reference.
    """

    target: str
    module: str
    changes: tuple[tuple[str, str], ...]
    what: str
    against: str | None = None


REPAIRS: tuple[Repair, ...] = ()


def repair_of(target: str) -> Repair | None:
    """The repair of that target, if one is known."""
    return next((repair for repair in REPAIRS if repair.target == target), None)


def repaired(target: str) -> Target:
    """The target made from the repaired copy of its module.  Raises InputError where there is none for this version."""
    repair = repair_of(target)
    if repair is None:
        raise InputError("target", target, "no repair of it is known")
    _, name, options = split(target)
    return of_class(getattr(_copy(repair), name), options)


def _copy(repair: Repair) -> ModuleType:
    original = import_module(f"{PACKAGE}.{repair.module}")
    source = inspect.getsource(original)
    for old, new in repair.changes:
        if source.count(old) != 1:
            raise InputError("target", repair.target, f"{old!r} stands {source.count(old)} times in {repair.module}")
        source = source.replace(old, new)
    copy = ModuleType(f"{original.__name__}_repaired")
    copy.__package__, copy.__file__ = PACKAGE, original.__file__
    sys.modules[copy.__name__] = copy  # a class is looked up there by the adapter
    exec(compile(source, f"<{repair.module} repaired>", "exec"), vars(copy))
    return copy
