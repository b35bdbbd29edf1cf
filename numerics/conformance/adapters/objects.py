"""Any object of the user's as an external sampler, and objects by path: FILE.py:name, package.module:name."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Protocol, runtime_checkable

from ...errors import InputError, nearest, one_line
from ...external_run import Run
from ...grids import Grid
from ...readback import of_tableau
from ...tableau import Tableau
from ..report import TargetInfo
from .callables import check_options, function
from .diffusers import of_class, of_instance, scheduler_base
from .external_sampler import ExternalSampler
from .process_levels import GRIDS, ZERO, karras
from .step_protocol import MEMBERS, maker, missing, of_adapter
from .target import is_file, typed, with_options

KINDS = (
    "a function (denoise, x, sigmas) -> x, a scheduler of diffusers, an object with tabulate(grid), or one with "
    + MEMBERS
)


@runtime_checkable
class Tabulates(Protocol):
    """A sampler that gives its own table on a grid."""

    def tabulate(self, grid: Grid, /) -> Tableau: ...


def object_at(library: str, name: str) -> Any:
    """The object of that name in a file FILE.py, executed afresh, or in a module.

    Raises InputError where there is no such file, module or name; what the module raises passes through.
    """
    target = f"{library}:{name}"
    found: Any = module_of_file(library) if is_file(library) else _of_module(library, target)
    for part in name.split("."):
        if not hasattr(found, part):
            known = [key for key, value in vars(found).items() if callable(value) and not key.startswith("_")]
            raise InputError("target", target, f"no object of this name in {library}; {nearest(part, known)}")
        found = getattr(found, part)
    return found


def _of_module(library: str, target: str) -> ModuleType:
    try:
        return import_module(library)
    except ModuleNotFoundError as fault:
        if fault.name is None or not f"{library}.".startswith(f"{fault.name}."):
            raise  # the module exists; one that it imports does not
        raise InputError("target", target, f"no module {fault.name}") from None


def module_of_file(file: str | Path) -> ModuleType:
    """The module of a file; its folder is searched for modules that it imports, as in `python FILE.py`."""
    path = Path(file).resolve()
    if not path.is_file():
        raise InputError("target", str(file), "no such file")
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"  # apart from a module of that name
    spec = spec_from_file_location(name, path)
    if spec is None or not isinstance(spec.loader, SourceFileLoader):
        raise InputError("target", str(file), "a file of Python")
    module = module_from_spec(spec)
    sys.modules[name] = module  # where classes look their module up
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    # Its source is compiled here: a cached one passes as current by its size and second.
    exec(compile(spec.loader.get_data(str(path)), str(path), "exec"), vars(module))
    return module


def of_object(found: Any, options: dict[str, Any], target: str | None = None) -> ExternalSampler:
    """Any object as an external sampler: see KINDS.  target: its name in messages, by default MODULE:NAME.

    Raises InputError on other objects, with what they lack, and on options that they do not take; NoTable on
    schedulers of diffusers that are not linear samplers of a diffusion.
    """
    kind = found if isinstance(found, type) else type(found)
    name = name_of(found) if target is None else target
    if scheduler_base(kind) is not None:
        if isinstance(found, type):
            return of_class(found, options, name)
        return of_instance(found, options, name)
    called = with_options(name, options)
    if isinstance(found, Tableau):
        return _of_tabulating(lambda: FixedTable(found), called)
    of_function = not isinstance(found, type) and callable(found)
    if any(base.__name__ == "SchedulerMixin" for base in kind.__mro__) and missing(found):
        known = f"derived from the scheduler of diffusers whose levels it has, such as DDIMScheduler, or with {MEMBERS}"
        raise InputError("target", called, f"a class {known}: SchedulerMixin alone does not say where it steps")
    steps = any(hasattr(kind, part) for part in ("levels", "step"))
    if hasattr(kind, "tabulate") or hasattr(found, "tabulate"):
        return _of_tabulating(_made(found, options, called), called)
    if steps and not (of_function and missing(found)):
        return of_adapter(_made(found, options, called), called)
    if of_function and isinstance(found, FunctionType):
        from .libraries.comfyui import has_interface, own_function  # which needs this module

        if has_interface(found):
            return own_function(found, options, called)
    if of_function:
        return function(found, options, called)
    if not isinstance(found, type):
        raise InputError("target", called if target else found, KINDS)
    raise InputError("target", called, f"how this class is stepped is not known; give it {MEMBERS}")


def name_of(found: Any) -> str:
    """The name of an object as a target: MODULE:NAME, of an instance that of its class."""
    module = str(getattr(found, "__module__", type(found).__module__))
    module = "diffusers" if module.partition(".")[0] == "diffusers" else module
    return typed(module, one_line(getattr(found, "__qualname__", type(found).__qualname__)), {})


def _made(found: Any, options: dict[str, Any], target: str) -> Callable[[], Any]:
    """make() of a class with options, or of an object.  Raises InputError on options that it does not take."""
    if not isinstance(found, type):
        check_options(target, options, {})
        return maker(found, {})
    try:
        parameters = inspect.signature(found).parameters
    except (TypeError, ValueError):
        parameters = {}  # type: ignore[assignment]
    check_options(target, options, {name: p.default for name, p in parameters.items()})
    needed = [
        n for n, p in parameters.items() if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if lacking := [name for name in needed if name not in options]:
        raise InputError("target", target, f"options {', '.join(lacking)}: the class cannot be made without")
    return maker(found, options)


@dataclass(frozen=True)
class FixedTable:
    """A table as an object that has it on the grid that it was made for."""

    table: Tableau

    def tabulate(self, grid: Grid) -> Tableau:
        """The table.  Raises InputError unless it has as many steps as the grid."""
        steps = max(self.table.step)
        if steps != grid.steps:
            raise InputError("grid", f"{grid.steps} steps", f"{steps} steps, for which {self.table.method} was made")
        return self.table


def _of_tabulating(make: Callable[[], Any], target: str) -> ExternalSampler:
    """An object with tabulate(grid), on alpha = 1 where no grid is given."""

    def run_on(grid: Grid) -> Run:
        made = make().tabulate(grid)
        if not isinstance(made, Tableau):
            allowed = f"an object whose tabulate returns a Tableau, not {type(made).__name__}"
            raise InputError("target", target, allowed)
        return of_tableau(made, "data", grid.points)

    info = TargetInfo(target, "ve", grids=tuple(GRIDS), zero=ZERO)
    return ExternalSampler(
        info,
        "data",
        lambda steps, grid=None: run_on(Grid.from_sigmas((GRIDS[grid] if grid else karras)(steps))),
        on_yours=run_on,
    )
