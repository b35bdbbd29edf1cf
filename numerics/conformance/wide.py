"""A module in float64: what remains of a deviation there is not roundoff."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import torch


class _Wide(ModuleType):
    """A module that answers float64 where float32 is asked for."""

    def __init__(self, module: ModuleType, float64: Any) -> None:
        super().__init__(module.__name__)
        self._module, self._float64 = module, float64

    def __getattr__(self, name: str) -> Any:
        return self._float64 if name in ("float32", "float", "single") else getattr(self._module, name)


@contextmanager
def widened(namespace: dict[str, Any]) -> Iterator[None]:
    """While it lasts: float32 is float64 in the code of a namespace, a tensor's .float() and torch's default too."""
    held = {name: value for name, value in namespace.items() if value is torch or value is np}
    default, method = torch.get_default_dtype(), torch.Tensor.float
    try:
        for name, module in held.items():
            namespace[name] = _Wide(module, torch.float64 if module is torch else np.float64)
        torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]
        torch.set_default_dtype(torch.float64)
        yield
    finally:
        torch.set_default_dtype(default)
        torch.Tensor.float = method  # type: ignore[method-assign]
        namespace.update(held)
