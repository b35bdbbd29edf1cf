"""Checkpoints of any torch module: a callable that makes the module, a file of weights, and a description.

    format = 1
    kind = "module"
    name = "mine"
    prediction = "noise"                # or "data", "v" = alpha eps - sigma x0, "flow" = eps - x0
    shape = [3, 32, 32]

    [network]
    module = "package.module:callable"  # returns net(x, t): x [n, *shape], t [n] -> shaped like x
    weights = "model.safetensors"       # in the same folder

    [schedule]                          # that it was trained on; t is its time
    kind = "discrete"                   # levels 0 … levels - 1; betas "linear" or "scaled-linear", or alpha_bar = [...]
    betas = "linear"
    beta_start = 1e-4
    beta_end = 0.02
    levels = 1000

or a schedule of this package: kind = "vp-linear" with its parameters, t_min, t_max; the network takes time_scale t.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import nn

from ..errors import InputError, one_line
from ..schedules import schedule
from ..support.consent import NONE, Consent
from ..support.limits import LIMITS, NAME, PATH
from ..support.limits import numbers as within
from .checkpoint import Checkpoint, Native
from .description import FILE, Prediction, Sides, Table, validated
from .level_of_lambda import Span, continuous, discrete, linear_betas
from .tensor_files import check_size, digest, fill, read_weights

MODULE = f"{FILE}: network.module"
SECONDS = 60.0  # in which the external code must make its network


class Module(Table):
    """The callable that makes the network, and the file of its weights."""

    module: Annotated[str, Field(max_length=PATH)]
    weights: Annotated[str, Field(max_length=PATH)]


class Described(Table):
    """checkpoint.toml of a plain torch module."""

    format: int
    kind: Literal["module"]
    name: Annotated[str, Field(max_length=NAME)]
    prediction: Prediction
    shape: Sides
    network: Module
    schedule: dict[str, Any]


LEVELS = int(LIMITS["schedule.levels"].high)


class Discrete(Table):
    """[schedule] of a network with levels."""

    kind: Literal["discrete"]
    betas: Literal["linear", "scaled-linear"] | None = None
    beta_start: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    beta_end: Annotated[float, Field(gt=0, lt=1)] = 0.02
    levels: Annotated[int, Field(ge=1, le=LEVELS)] = 1000
    alpha_bar: Annotated[list[float], Field(max_length=LEVELS)] | None = None


def load_module(folder: Path, data: dict[str, Any], consent: Consent = NONE) -> Checkpoint:
    """The checkpoint of a folder whose checkpoint.toml has kind = "module".  Raises InputError.

    Its code is not imported without consent.
    """
    description = validated(Described, data)
    native, span = _levels(description.schedule)
    weights = _inside(folder, description.network.weights)
    name, call = _named(description.network.module)
    if not consent.code:
        allowed = "a description that runs no code; this one runs code of that name: give --allow-code if you trust it"
        raise InputError(MODULE, description.network.module, allowed)
    check_size([weights], description.shape, consent)
    tensors, _ = read_weights(weights, consent)
    probe(description.network.module)
    network = _made(name, call)
    fill(network, tensors, weights)
    files = digest(folder / FILE, weights)
    return Checkpoint(
        description.name, network, description.prediction, native, tuple(description.shape), span, files, folder
    )


def _named(target: str) -> tuple[str, str]:
    name, _, call = target.partition(":")
    if not all(part.isidentifier() for part in (*name.split("."), call)):
        raise InputError(MODULE, target, "package.module:callable")
    return name, call


def probe(target: str, seconds: float = SECONDS) -> None:
    """Call MODULE:CALLABLE in a child process first, which may crash or hang.

    Raises InputError unless it returns a torch module in `seconds`.
    """
    reading, writing = os.pipe()
    program = [sys.executable, str(Path(__file__).with_name("probe_module.py")), *_named(target), str(writing)]
    nothing = subprocess.DEVNULL
    with os.fdopen(reading, "rb") as answers:
        try:
            child = subprocess.Popen(
                program, stdin=nothing, stdout=nothing, stderr=nothing, pass_fds=(writing,), start_new_session=True
            )
        finally:
            os.close(writing)
        try:
            child.wait(seconds)
            answer = _read_at_once(answers.fileno()) or _ended(child.returncode)
        except subprocess.TimeoutExpired:
            answer = f"not finished in {seconds:g} seconds"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    if answer != "good":
        raise InputError(MODULE, target, f"a callable that returns a torch module ({one_line(answer, 150)})")


def _read_at_once(descriptor: int) -> str:
    """The text in a pipe, without waiting: a process that the external code left behind may keep the other end open."""
    os.set_blocking(descriptor, False)
    try:
        return os.read(descriptor, 1000).decode("utf-8", "replace")
    except BlockingIOError:
        return ""


def _ended(code: int) -> str:
    return f"it ended with signal {-code}" if code < 0 else f"it ended with code {code} and no answer"


def _made(name: str, call: str) -> nn.Module:
    """The module that a callable returns; modules of the current folder are found, as with `python -m`."""
    target = f"{name}:{call}"
    sys.path.insert(0, str(Path.cwd()))
    try:
        made = getattr(import_module(name), call)()
    except (Exception, SystemExit) as fault:  # external code may raise anything
        reason = one_line(f"{type(fault).__name__}: {fault}", 150)
        raise InputError(MODULE, target, f"a callable that returns a torch module ({reason})") from None
    finally:
        sys.path.remove(str(Path.cwd()))
    if not isinstance(made, nn.Module):
        raise InputError(MODULE, target, f"a callable that returns a torch module, not {type(made).__name__}")
    return made.float()


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if "\0" in name or path.resolve().parent != folder.resolve():
        raise InputError(f"{FILE}: network.weights", name, "the name of a file in the same folder")
    return path


def _levels(table: dict[str, Any]) -> tuple[Native, Span]:
    if table.get("kind") == "discrete":
        levels = validated(Discrete, table)
        if (levels.betas is None) == (levels.alpha_bar is None):
            raise InputError(f"{FILE}: schedule", levels.betas, "one of betas and alpha_bar")
        if levels.alpha_bar is not None:
            return discrete(levels.alpha_bar)
        betas = linear_betas(levels.beta_start, levels.beta_end, levels.levels, levels.betas == "scaled-linear")
        return discrete(betas)
    numbers = {key: value for key, value in table.items() if key != "kind"}
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{FILE}: schedule.{key}", value, "a number")
        within(f"{FILE}: schedule.{key}", value, *LIMITS["schedule"][1:])
    for key in ("t_min", "t_max"):
        if key not in numbers:
            raise InputError(f"{FILE}: schedule.{key}", None, "a number: an end of the trained interval")
    ends, scale = (numbers.pop("t_min"), numbers.pop("t_max")), numbers.pop("time_scale", 1.0)
    return continuous(schedule(str(table.get("kind"))[:NAME], **numbers), *ends, scale)
