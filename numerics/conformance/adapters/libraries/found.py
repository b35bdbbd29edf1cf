"""Find a library or an official file: in the folder that the user names, else where Python looks for modules."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

from ....errors import InputError, nearest, one_line
from ..objects import module_of_file


@dataclass(frozen=True)
class Library:
    """name: before the colon of a target.  file: in its checkout.  source: where to get it, in a message."""

    name: str
    file: str
    source: str

    def folder(self, path: str | None) -> Path:
        """The folder that has the file: `path` or, without one, a folder of sys.path.

        path: the checkout, or any folder inside it on the way to the file.
        Raises InputError where no folder has it.
        """
        if path is None:
            for entry in sys.path:
                if (Path(entry or ".") / self.file).is_file():
                    return Path(entry or ".").resolve()
            here = f"{self.file} where Python looks for modules, or --path DIR, a folder with {self.source}"
            raise InputError("target", self.name, here)
        for depth, base in enumerate((Path(path), *Path(path).resolve().parents)):
            if depth > self.file.count("/"):
                break
            if (base / self.file).is_file():
                return base.resolve()
        raise InputError("path", path, f"a folder with {self.file}, as {self.source} has it")

    def module(self, path: str | None, instead: Mapping[str, ModuleType | None] | None = None) -> ModuleType:
        """The file as a module of its folder, which is searched first.

        instead: stand-ins for modules that the file imports and no sampler needs; None: any, where it is missing.
        Raises InputError where the file cannot be imported.
        """
        folder = self.folder(path)
        with first_in_path(folder), standing_in(instead or {}):
            try:
                if "/" not in self.file:
                    return module_of_file(folder / self.file)
                name = self.file.removesuffix(".py").replace("/", ".")
                _forget(name, folder / self.file)
                found = importlib.import_module(name)
            except ImportError as fault:
                raise InputError("target", self.name, f"{self.file} with what it imports ({one_line(fault)})") from None
            except SyntaxError as fault:
                newer = f"another version of Python: this one cannot read {fault.filename}, line {fault.lineno}"
                raise InputError("target", self.name, newer) from None
        if Path(found.__file__ or "").resolve() != (folder / self.file).resolve():
            raise InputError("path", path, f"a folder whose {self.file} is imported; {found.__file__} comes before it")
        return found

    def file_module(self, path: str | None) -> ModuleType:
        """As `module`, without its package, whose other modules it does not need."""
        folder = self.folder(path)
        try:
            return module_of_file(folder / self.file)
        except ImportError as fault:
            raise InputError("target", self.name, f"{self.file} with what it imports ({one_line(fault)})") from None

    def member(self, module: ModuleType, name: str, known: list[str]) -> Any:
        """An attribute of its module.  Raises InputError with the file and the nearest of the known names."""
        if name not in known or not hasattr(module, name):
            what = f"a sampler of {self.name}" if name not in known else f"a name in {self.file}; it has none such"
            near = nearest(name, [key for key in known if hasattr(module, key)])
            raise InputError("target", f"{self.name}:{name}", f"{what}; {near}")
        return getattr(module, name)


@contextmanager
def first_in_path(folder: Path) -> Iterator[None]:
    """Context in which modules are looked for in a folder first."""
    held = list(sys.path)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = held


def _forget(name: str, file: Path) -> None:
    """Forget a package that is loaded from another folder."""
    loaded, top = sys.modules.get(name), name.partition(".")[0]
    if loaded is not None and Path(loaded.__file__ or "").resolve() != file.resolve():
        for key in [key for key in sys.modules if key.partition(".")[0] == top]:
            del sys.modules[key]


@contextmanager
def standing_in(names: Mapping[str, ModuleType | None]) -> Iterator[None]:
    """Context in which stand-ins are modules."""
    held = {}
    for name, module in names.items():
        if module is None and _there(name):
            continue
        held[name] = sys.modules.get(name)
        sys.modules[name] = MagicMock(name=name) if module is None else module
    try:
        yield
    finally:
        for name, before in held.items():
            if before is None:
                del sys.modules[name]
            else:
                sys.modules[name] = before


def _there(name: str) -> bool:
    """Whether a module can be imported."""
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True
