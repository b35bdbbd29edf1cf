"""The precision in which code computes: noted in a run as shipped, raised to float64 to tell roundoff from a fault."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ...readback import Trace

NARROW = (torch.bfloat16, torch.float16, torch.float32)  # the coarsest first
PLAIN = frozenset((int, float, bool, str, slice, type(None), torch.Size, torch.device))  # they have no dtype
OF_NUMPY = {np.float32: torch.float32, np.float16: torch.float16}
NEUTRAL = {"torch", "numpy", "samplerproof"} | sys.stdlib_module_names
ROUNDED = 1e-10, 1e-6  # deviations from superposition by rounding to float32
MOST = 500  # modules whose names are looked at
Namespace = dict[str, Any]


class Precision(TorchFunctionMode):
    """Notes the coarsest floating dtype, narrower than that of a run, with which torch is called; `inside`.

    raised: whether float32 in the arguments of every call becomes float64, and so do narrow tensors. A half as an
    argument stays: a default of a library is float32, a half is the choice of who wrote it.
    """

    def __init__(self, dtype: torch.dtype, raised: bool = False) -> None:
        super().__init__()
        self.raised, self.inside = raised, None
        self.narrow = frozenset(d for d in NARROW if torch.finfo(d).eps > torch.finfo(dtype).eps)

    inside: torch.dtype | None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # A run makes a million calls: what has the dtype of the run, or none, is passed on at once.
        named = kwargs or {}
        if not self.raised:
            return self._noted(func(*args, **named))
        if func is torch.Tensor.float:
            return args[0].double()
        if not named and self._as_they_are(args):
            return self._raised(self._noted(func(*args)))
        name, raised = getattr(func, "__name__", ""), self._raised
        if name == "__deepcopy__":  # its memo knows tensors by their id, so those given are kept
            return raised(func(*args, **named))
        writes = "out" in named or (name[-1:] == "_" and name[-2:] != "__") or name == "__setitem__"
        changed = [value if writes and not k else raised(value) for k, value in enumerate(args)]
        found = func(*changed, **{k: v if k == "out" else raised(v) for k, v in named.items()} if named else named)
        return found if writes else raised(self._noted(found))

    def _as_they_are(self, values: Iterable[Any]) -> bool:
        """Whether no value is a dtype, a narrow tensor, or something that could hold one."""
        for value in values:
            if type(value) not in PLAIN and (type(value) is not Tensor or value.dtype in self.narrow):
                return False
        return True

    def _noted(self, found: Any) -> Any:
        """The result, whose dtype is noted."""
        if type(found) in PLAIN or (type(found) is Tensor and found.dtype not in self.narrow):
            return found
        for value in found if isinstance(found, tuple | list) else (found,):
            if isinstance(value, Tensor) and value.dtype in self.narrow:
                self._note(value.dtype)
        return found

    def _note(self, dtype: torch.dtype) -> None:
        if self.inside is None or torch.finfo(dtype).eps > torch.finfo(self.inside).eps:
            self.inside = dtype

    def _raised(self, value: Any) -> Any:
        """A value with float64 in place of a narrower dtype."""
        if type(value) in PLAIN or (type(value) is Tensor and value.dtype not in self.narrow):
            return value
        if isinstance(value, torch.dtype):
            return torch.float64 if value is torch.float32 else value
        if isinstance(value, Tensor) and value.dtype in self.narrow:
            self._note(value.dtype)
            return value.double()
        kind = value.dtype.type if isinstance(value, np.ndarray) else type(value)
        if kind in OF_NUMPY:
            self._note(OF_NUMPY[kind])
        elif isinstance(value, list | tuple) and type(value) in (list, tuple) and len(value) <= MOST:
            return type(value)(self._raised(item) for item in value)
        return value


class _Float64Module(ModuleType):
    """A module whose types in single precision are float64."""

    NAMES = frozenset(("float32", "float", "single", "FloatTensor"))

    def __init__(self, module: ModuleType) -> None:
        super().__init__(module.__name__)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        if name not in self.NAMES:
            return getattr(self._module, name)
        if self._module is not torch:
            return np.float64
        return torch.DoubleTensor if name.endswith("Tensor") else torch.float64


def _in_float64(value: Any) -> Any:
    """What stands for a value of a namespace: a module, a type or a constant in float64; None where it stays."""
    if value is torch or value is np:
        return _Float64Module(value)
    if value is torch.float32:
        return torch.float64
    return np.float64 if value is np.float32 else None


@contextmanager
def in_float64(*namespaces: Namespace) -> Iterator[Precision]:
    """Context in which float32 is float64: in the code of the namespaces, in every call of torch, in casts, and as
    torch's default. Yields what notes the narrow dtypes that are left: constants, and halves.
    """
    default, held = torch.get_default_dtype(), []
    for space in namespaces:
        replaced = {name: raised for name, value in list(space.items()) if (raised := _in_float64(value)) is not None}
        held.append({name: space[name] for name in replaced})
        space.update(replaced)
    try:
        torch.set_default_dtype(torch.float64)
        with Precision(torch.float64, raised=True) as mode:
            yield mode
    finally:
        torch.set_default_dtype(default)
        for space, values in zip(namespaces, held, strict=True):
            space.update(values)


def with_precision(found: Trace, seen: Precision | None) -> Trace:
    """The trace with the dtype that was noted, or whose rounding shows in a run in float64: a state that passes through
    numpy in float32 is no linear image, by that rounding.
    """
    inside = seen.inside if seen is not None else None
    if inside is None and found.dtype is torch.float64 and ROUNDED[0] < max(found.superposition) < ROUNDED[1]:
        inside = torch.float32
    return found if inside is None else replace(found, inside=inside)


def entered(namespace: Namespace) -> list[Namespace]:
    """The namespace of a function and those of the modules that its code can enter: the modules, functions and classes
    in it, and modules imported in its functions; without torch, numpy, the standard library and this package.
    """
    found, left = {id(namespace): namespace}, [namespace]
    while left and len(found) < MOST:
        for module in _named(left.pop()):
            if id(module) not in found:
                found[id(module)] = module
                left.append(module)
    return list(found.values())


def _named(namespace: Namespace) -> Iterator[Namespace]:
    """The namespaces of what a namespace names."""
    for value in list(namespace.values()):
        if isinstance(value, ModuleType):
            names: Iterable[str] = (value.__name__,)
            if value.__name__ not in sys.modules and value.__name__.partition(".")[0] not in NEUTRAL:
                yield vars(value)
        elif inspect.isclass(value):
            names = (base.__module__ for base in value.__mro__)
        elif isinstance(value, FunctionType):
            if str(value.__globals__.get("__name__", "")).partition(".")[0] not in NEUTRAL:
                yield value.__globals__
            names = _imported(value.__code__)
        else:
            names = (type(value).__module__,)
        for name in names:
            if isinstance(name, str) and name.partition(".")[0] not in NEUTRAL and name in sys.modules:
                yield vars(sys.modules[name])


def _imported(code: CodeType) -> Iterator[str]:
    """The names in the code of a function, and of those inside, that may be imported modules."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imported(constant)
