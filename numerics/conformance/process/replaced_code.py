"""Functions of torch and of this package that a sampler has replaced: after that, no run of it can be judged."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
import torch.nn.functional

PACKAGE = __name__.partition(".numerics.")[0] + ".numerics"
TORCH = Path(torch.__file__).parent
MOST = 3  # names in a message


class Code:
    """The functions of torch, and those of this package that are loaded, as they are now."""

    def __init__(self) -> None:
        self.held = {(id(owner), name): (owner, name, value, _body(value)) for owner, name, value in _functions()}

    def replaced(self) -> list[str]:
        """The names of those that are others now; puts the former ones back."""
        found = []
        for owner, name, value, body in self.held.values():
            now = vars(owner).get(name)
            if (now is value and _body(value) is body) or _of_torch(now):
                continue
            found.append(f"{getattr(owner, '__name__', owner)}.{name}")
            if now is not value:
                setattr(owner, name, value)
            else:
                value.__code__ = body
        return found


def replaced_message(names: list[str]) -> str:
    """One line on what was replaced."""
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return f"it replaces {', '.join(names[:MOST])}{more}: what it computes cannot be read after that"


def _functions() -> Iterator[tuple[Any, str, Any]]:
    for owner in (torch, torch.Tensor, torch.nn.functional):
        for name, value in vars(owner).items():
            if callable(value) and not inspect.isclass(value):
                yield owner, name, value
    for module in [m for name, m in sys.modules.items() if name.startswith(PACKAGE) and m is not None]:
        for name, value in list(vars(module).items()):
            if inspect.isfunction(value):
                yield module, name, value
            elif inspect.isclass(value) and value.__module__ == module.__name__:
                for inner, method in list(vars(value).items()):
                    if inspect.isfunction(method):
                        yield value, inner, method


def _of_torch(value: Any) -> bool:
    """Whether a function is code of torch, which replaces its own when parts of it are loaded later."""
    body = _body(value)
    return body is not None and Path(body.co_filename).is_relative_to(TORCH)


def _body(value: Any) -> Any:
    return value.__code__ if isinstance(value, FunctionType) else None
