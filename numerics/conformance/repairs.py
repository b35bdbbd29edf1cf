"""Repairs, applied to a copy of a module in memory, and as the patch that a library would take."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from difflib import unified_diff
from importlib import import_module
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from ..errors import InputError
from .adapters.diffusers import of_class
from .adapters.external_sampler import ExternalSampler
from .adapters.k_diffusion import sampling
from .adapters.libraries.found import Library
from .adapters.resolve import resolve
from .adapters.target import split
from .known_repairs import PACKAGE, REPAIRS, Repair
from .report import Verdict


def repair_of(target: str) -> Repair | None:
    """The repair of that target, if one is known."""
    return next((repair for repair in REPAIRS if repair.target == target), None)


def with_repair(verdict: Verdict) -> Verdict:
    """A verdict that fails, with the repair of its target where one is known."""
    return replace(verdict, repair=diff_of(verdict.target)) if verdict.exit_code == 1 else verdict


def diff_of(target: str) -> str | None:
    """The repair of a target as a unified diff without context; None where none is known."""
    repair = repair_of(target)
    if repair is None:
        return None
    changed = [
        line
        for old, new in repair.changes
        for line in ("@@", *(f"-{text}" for text in old.splitlines()), *(f"+{text}" for text in new.splitlines()))
    ]
    return "\n".join([f"--- a/{repair.file}", f"+++ b/{repair.file}", *changed])


def patch_of(repair: Repair, path: str | None = None) -> str:
    """A repair as a unified diff that `patch -p1` and `git apply` take, of the library that is there.

    path: its checkout.  Raises InputError where no repair applies to this version.
    """
    before = _source(repair, path)
    after = repair.applied(before)
    lines = unified_diff(before.splitlines(True), after.splitlines(True), f"a/{repair.file}", f"b/{repair.file}")
    return "".join(lines)


def repaired(target: str, path: str | None = None) -> ExternalSampler:
    """The target, from a repaired copy of its module.  Raises InputError where no repair applies to this version."""
    repair = repair_of(target)
    if repair is None:
        raise InputError("target", target, "no repair of it is known")
    library, name, options = split(target)
    if library == "diffusers":
        return of_class(getattr(_copy(repair), name), options, f"diffusers:{name}")
    with _read_as(_file(repair, path), repair.applied(_source(repair, path))):
        return resolve(target, path)


def _source(repair: Repair, path: str | None) -> str:
    """The module as the library has it."""
    if repair.target.startswith("diffusers:"):
        return inspect.getsource(import_module(f"{PACKAGE}.{repair.module}"))
    return _file(repair, path).read_text(encoding="utf-8")


def _file(repair: Repair, path: str | None) -> Path:
    library = repair.target.partition(":")[0]
    if library == "k-diffusion":
        return Path(str(sampling().__file__))
    return Library(library, repair.module, f"the checkout of {library}").folder(path) / repair.module


def _copy(repair: Repair) -> ModuleType:
    original = import_module(f"{PACKAGE}.{repair.module}")
    source = repair.applied(inspect.getsource(original))
    copy = ModuleType(f"{original.__name__}_repaired")
    copy.__package__, copy.__file__ = PACKAGE, original.__file__
    sys.modules[copy.__name__] = copy  # the adapter looks up a class there
    exec(compile(source, f"<{repair.module} repaired>", "exec"), vars(copy))
    return copy


@contextmanager
def _read_as(file: Path, source: str) -> Iterator[None]:
    """Context in which a file is imported, or read as a module of its own, as if it had another text."""
    code, data = SourceFileLoader.get_code, SourceFileLoader.get_data

    def of_file(path: str) -> bool:
        return Path(path).resolve() == file.resolve()

    def get_code(self: SourceFileLoader, name: str) -> CodeType | None:
        if not of_file(self.path):
            return code(self, name)
        found: CodeType = compile(source, self.path, "exec")
        return found

    def get_data(self: SourceFileLoader, path: str) -> bytes:
        return source.encode() if of_file(path) else data(self, path)

    _forget(file)
    SourceFileLoader.get_code, SourceFileLoader.get_data = get_code, get_data  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        SourceFileLoader.get_code, SourceFileLoader.get_data = code, data  # type: ignore[method-assign]
        _forget(file)


def _forget(file: Path) -> None:
    """Forget the modules of a file, so that it is read again."""
    sampling.cache_clear()
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) and Path(module.__file__ or "").resolve() == file.resolve():
            del sys.modules[name]
