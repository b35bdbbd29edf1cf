"""Detect, report and restore changes to global state."""

from __future__ import annotations

import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Part:
    """A piece of global state.  read() returns a value that can be compared by ==, write(value) restores it.

    describe(before, after): the description of a change, which follows the name.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    describe: Callable[[Any, Any], str] = lambda before, after: f": {before} -> {after}"


def _no_description(before: Any, after: Any) -> str:
    return ""


def _keys(before: dict[str, str], after: dict[str, str]) -> str:
    """The names that were added, removed or changed; not the values, which may be secrets."""
    return ": " + ", ".join(sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key)))


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "a folder that is gone"


def _environment(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def _numpy() -> Any:
    state: Any = np.random.get_state(legacy=True)  # noqa: NPY002 (samplers draw from it)
    kind, keys, *rest = state
    return kind, keys.tobytes(), *rest


def _numpy_back(state: Any) -> None:
    kind, keys, *rest = state
    np.random.set_state((kind, np.frombuffer(keys, dtype=np.uint32), *rest))  # noqa: NPY002


PARTS = (
    Part("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Part(
        "torch's default device",
        torch.get_default_device,
        # None, not "cpu": an explicit default device slows every call down.
        lambda device: torch.set_default_device(None if device == torch.device("cpu") else device),
    ),
    Part("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled),
    Part("torch's threads", torch.get_num_threads, torch.set_num_threads),
    Part(
        "torch's random numbers",
        lambda: torch.get_rng_state().numpy().tobytes(),
        lambda state: torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8)),
        _no_description,
    ),
    Part("numpy's random numbers", _numpy, _numpy_back, _no_description),
    Part("Python's random numbers", random.getstate, random.setstate, _no_description),
    Part("environment", lambda: dict(os.environ), _environment, _keys),
    Part("current folder", _folder, os.chdir),
    Part("recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    Part("sys.path", lambda: list(sys.path), lambda path: sys.path.__setitem__(slice(None), path), _no_description),
    Part("sys.stdout", lambda: sys.stdout, lambda stream: setattr(sys, "stdout", stream), _no_description),
    Part("sys.stderr", lambda: sys.stderr, lambda stream: setattr(sys, "stderr", stream), _no_description),
)


@contextmanager
def guarded() -> Iterator[list[str]]:
    """Context that restores global state on exit, also where an exception passes through.

    Yields a list, to which the exit adds a line for every change.
    """
    changed: list[str] = []
    before = [part.read() for part in PARTS]
    with warnings.catch_warnings():  # it puts the filters back itself
        filters = list(warnings.filters)
        try:
            yield changed
        finally:
            if list(warnings.filters) != filters:
                changed.append("changes the warning filters")
            for part, value in zip(PARTS, before, strict=True):
                after = part.read()
                if after != value:
                    changed.append(f"changes {part.name}{part.describe(value, after)}")
                    part.write(value)
