"""Draws of normal noise that code makes by itself, from torch or numpy: those shaped like a state are intercepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ...external_run import Draw
from .repeated_draws import OfNumpy, OfTorch, RepeatedDraws, Source


class DrawMode(TorchFunctionMode):
    """Draws by `draw` the normal noise shaped like a state that code draws from torch, by a generator or not."""

    def __init__(self, draw: Draw, like: Tensor) -> None:
        super().__init__()
        self.draws, self.like = RepeatedDraws(draw), like

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if func in (torch.randn_like, torch.randn):
            shape = args[0].shape if func is torch.randn_like else named.get("size", args)
            shape = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else tuple(shape)
            if shape == self.like.shape:
                return self.drawn(named.get("dtype"), OfTorch(named.get("generator")))
        elif func is torch.Tensor.normal_ and args[0].shape == self.like.shape:
            given = {"mean": 0.0, "std": 1.0} | dict(zip(("mean", "std"), args[1:3], strict=False)) | named
            noise = self.drawn(args[0].dtype, OfTorch(named.get("generator")))
            return args[0].copy_(given["mean"] + given["std"] * noise)
        elif func is torch.normal:
            return self._normal(func, args, named)
        return func(*args, **named)

    def drawn(self, dtype: torch.dtype | None, source: Source) -> Tensor:
        """One draw from a source."""
        return self.draws.drawn(self.like.to(dtype or self.like.dtype), source)

    def _normal(self, func: Any, args: Any, named: dict[str, Any]) -> Any:
        """torch.normal(mean, std) or (mean, std, size)."""
        given = dict(zip(("mean", "std", "size"), args, strict=False)) | named
        mean, std = given.get("mean", 0.0), given.get("std", 1.0)
        shape = given.get("size") or (torch.as_tensor(mean) + torch.as_tensor(std)).shape
        if tuple(shape) != tuple(self.like.shape):
            return func(*args, **named)
        return mean + std * self.drawn(given.get("dtype"), OfTorch(given.get("generator")))


class _Generator:
    """A generator of numpy whose normal draws shaped like a state are intercepted: drawn(size, source)."""

    def __init__(self, own: Any, drawn: Callable[[Any, Source], Any], source: Source) -> None:
        self._own, self._from, self._source = own, drawn, source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def _drawn(self, size: Any) -> Any:
        return self._from(size, self._source)

    def standard_normal(self, size: Any = None, *args: Any, **named: Any) -> Any:
        found = self._drawn(size)
        return self._own.standard_normal(size, *args, **named) if found is None else found

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        found = self._drawn(size)
        return self._own.normal(loc, scale, size) if found is None else loc + scale * found

    def randn(self, *size: int) -> Any:
        found = self._drawn(size)
        return self._own.randn(*size) if found is None else found


@contextmanager
def drawing_from(draw: Draw, like: Tensor) -> Iterator[None]:
    """Context in which normal noise shaped like a state, from torch or from numpy.random, is `draw`.

    A generator that is seeded anew in a run gives the same noise again.  Those of numpy that were made before keep
    their own draws.
    """
    mode = DrawMode(draw, like)

    def drawn(size: Any, source: Source) -> Any:
        shape = (size,) if isinstance(size, int) else tuple(size or ())
        return mode.drawn(None, source).numpy() if shape == tuple(like.shape) else None

    def made(*given: Any) -> _Generator:
        generator = held["default_rng"](*given)
        return _Generator(generator, drawn, OfNumpy(generator))

    random = np.random
    names = ("randn", "standard_normal", "normal", "default_rng")
    held = {name: getattr(random, name) for name in names}
    own = _Generator(SimpleNamespace(**held), drawn, OfNumpy())
    try:
        for name in names[:3]:
            setattr(random, name, getattr(own, name))
        random.default_rng = made  # type: ignore[assignment]
        with mode:
            yield
    finally:
        for name, value in held.items():
            setattr(random, name, value)
        mode.draws.restore()
