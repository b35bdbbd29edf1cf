"""Run a module in float64: a deviation that remains is not roundoff."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode


class _Float64Mode(TorchFunctionMode):
    """Replaces float32 by float64 in the arguments of every call of torch."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = {key: _replaced(value) for key, value in (kwargs or {}).items()}
        return func(*(_replaced(value) for value in args), **named)


def _replaced(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value


class _Float64Module(ModuleType):
    """A module whose attribute float32 is float64."""

    def __init__(self, module: ModuleType, float64: Any) -> None:
        super().__init__(module.__name__)
        self._module, self._float64 = module, float64

    def __getattr__(self, name: str) -> Any:
        return self._float64 if name in ("float32", "float", "single") else getattr(self._module, name)


@contextmanager
def in_float64(*namespaces: dict[str, Any]) -> Iterator[None]:
    """Context in which float32 is float64: in the code of the namespaces, in every call of torch, in Tensor.float() and
    as torch's default.
    """
    held = [{name: value for name, value in space.items() if value is torch or value is np} for space in namespaces]
    default, method = torch.get_default_dtype(), torch.Tensor.float
    try:
        for space, modules in zip(namespaces, held, strict=True):
            for name, module in modules.items():
                space[name] = _Float64Module(module, torch.float64 if module is torch else np.float64)
        torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]
        torch.set_default_dtype(torch.float64)
        with _Float64Mode():
            yield
    finally:
        torch.set_default_dtype(default)
        torch.Tensor.float = method  # type: ignore[method-assign]
        for space, modules in zip(namespaces, held, strict=True):
            space.update(modules)
