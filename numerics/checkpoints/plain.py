"""A network of anybody's: a callable that makes the module, a file of weights, and a few lines about both.

    format = 1
    kind = "module"
    name = "mine"
    prediction = "noise"                # or "data", "v" = alpha eps - sigma x0, "flow" = eps - x0
    shape = [3, 32, 32]

    [network]
    module = "package.module:callable"  # gives net(x, t), x [n, *shape], t [n] -> shaped like x
    weights = "model.safetensors"       # in the same folder

    [schedule]                          # what it was trained on, and is told
    kind = "discrete"                   # levels 0 … levels - 1; betas "linear" or "scaled-linear", or alpha_bar = [...]
    betas = "linear"
    beta_start = 1e-4
    beta_end = 0.02
    levels = 1000

or a schedule of ours: kind = "vp-linear" with its parameters, t_min, t_max, and time_scale if a multiple of t is told.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import nn

from ..errors import InputError
from ..schedules import schedule
from .checkpoint import Checkpoint, Native
from .clocks import Span, continuous, discrete, linear_betas
from .described import FILE, Gives, Positive, Table, validated
from .weights import digest, fill, read_weights


class Module(Table):
    """Where the network comes from."""

    module: str
    weights: str


class Described(Table):
    """checkpoint.toml of a plain torch module."""

    format: int
    kind: Literal["module"]
    name: str
    prediction: Gives
    shape: Annotated[list[Positive], Field(min_length=1)]
    network: Module
    schedule: dict[str, Any]


class Discrete(Table):
    """[schedule] of a network with levels."""

    kind: Literal["discrete"]
    betas: Literal["linear", "scaled-linear"] | None = None
    beta_start: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    beta_end: Annotated[float, Field(gt=0, lt=1)] = 0.02
    levels: Positive = 1000
    alpha_bar: list[float] | None = None


def load_module(folder: Path, data: dict[str, Any], allow_pickle: bool = False) -> Checkpoint:
    """The checkpoint of a folder whose checkpoint.toml says kind = "module".  Raises InputError."""
    told = validated(Described, data)
    native, span = _clock(told.schedule)
    weights = _inside(folder, told.network.weights)
    tensors, _ = read_weights(weights, allow_pickle)
    network = _made(told.network.module)
    fill(network, tensors, weights)
    files = digest(folder / FILE, weights)
    return Checkpoint(told.name, network, told.prediction, native, tuple(told.shape), span, files, folder)


def _made(target: str) -> nn.Module:
    """The module that a callable makes; its own folder is where the command is run, as with `python -m`."""
    name, colon, call = target.partition(":")
    field = f"{FILE}: network.module"
    if not colon or not name or not call:
        raise InputError(field, target, "package.module:callable")
    sys.path.insert(0, str(Path.cwd()))
    try:
        made = getattr(import_module(name), call)()
    except Exception as fault:  # whatever a stranger's code raises
        reason = " ".join(f"{type(fault).__name__}: {fault}".split())
        raise InputError(field, target, f"a callable that gives a torch module ({reason})") from None
    finally:
        sys.path.remove(str(Path.cwd()))
    if not isinstance(made, nn.Module):
        raise InputError(field, target, f"a callable that gives a torch module, not {type(made).__name__}")
    return made.float()


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if path.resolve().parent != folder.resolve():
        raise InputError(f"{FILE}: network.weights", name, "the name of a file in the same folder")
    return path


def _clock(told: dict[str, Any]) -> tuple[Native, Span]:
    if told.get("kind") == "discrete":
        levels = validated(Discrete, told)
        if (levels.betas is None) == (levels.alpha_bar is None):
            raise InputError(f"{FILE}: schedule", levels.betas, "one of betas and alpha_bar")
        if levels.alpha_bar is not None:
            return discrete(levels.alpha_bar)
        betas = linear_betas(levels.beta_start, levels.beta_end, levels.levels, levels.betas == "scaled-linear")
        return discrete(betas)
    numbers = {key: value for key, value in told.items() if key != "kind"}
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{FILE}: schedule.{key}", value, "a number")
    for key in ("t_min", "t_max"):
        if key not in numbers:
            raise InputError(f"{FILE}: schedule.{key}", None, "a number: the end of what was trained on")
    ends, scale = (numbers.pop("t_min"), numbers.pop("t_max")), numbers.pop("time_scale", 1.0)
    return continuous(schedule(str(told.get("kind")), **numbers), *ends, scale)
