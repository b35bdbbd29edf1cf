"""The training loop. A run that was killed is resumed from its last state.

Every batch is a function of the seed and the number of its step, so that no random state has to be saved; the rest of
the state is written whole every SAVE_EVERY steps. On a CPU a resumed run ends in the same bits.
"""

from __future__ import annotations

import json
import math
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..checkpoints import own_format
from ..checkpoints.description import FILE
from ..errors import InputError, SamplingError
from ..support.devices import device_of, kind_of_cpu
from ..support.files import check_writable, whole, write_text
from ..support.manifest import source
from ..support.progress import Progress, silent
from .data import DATA
from .denoiser_task import denoiser_task
from .recipes import Recipe, StudentRecipe
from .task import Task

STATE = "state.safetensors"
SAVE_EVERY = 200  # steps between two saved states
CURVE_EVERY = 100  # steps between two points of the loss curve


@dataclass
class State:
    """The progress of a run: steps taken, losses [step, mean of the last CURVE_EVERY steps], and seconds."""

    step: int
    curve: list[list[float]]
    seconds: float


def train(recipe: Recipe, out: Path, device: str = "cpu", progress: Progress = silent) -> dict[str, Any]:
    """Train a network by its recipe, and write the checkpoint and its record, training.json, into `out`.

    Resumes an unfinished run of the same recipe in that folder.  Returns the record.
    Raises InputError for a device that does not exist, and for a folder that cannot be written, or that has a
    checkpoint or a run of another recipe.
    """
    where = device_of(device)
    if (out / FILE).exists():
        raise InputError("--out", str(out), "a folder without a checkpoint; choose another one")
    # Networks, optimiser and state: fresh, or those of an unfinished run.
    task = _task(recipe, where)
    check_writable(out)
    torch.manual_seed(recipe.seed)
    network = task.build().to(where)
    average = task.build().to(where)
    average.load_state_dict(network.state_dict())
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.rate, betas=(0.9, 0.99))
    state = _restored(out / STATE, recipe, network, average, optimiser)
    recent: list[Tensor] = []
    begun = time.monotonic() - state.seconds
    # Steps of Adam, with points of the loss curve and saved states in between.
    while state.step < recipe.steps:
        progress(state.step, recipe.steps, f"loss {state.curve[-1][1]:.4f}" if state.curve else "")
        recent.append(_step(recipe, task, state.step, network, average, optimiser))
        state.step += 1
        if state.step % CURVE_EVERY == 0:
            mean = float(torch.stack(recent).mean())
            if not math.isfinite(mean):
                raise SamplingError(f"step {state.step}: the loss is not finite")
            state.curve.append([state.step, mean])
            recent.clear()
        if state.step % SAVE_EVERY == 0 and state.step < recipe.steps:
            state.seconds = time.monotonic() - begun
            _save_state(out / STATE, recipe, network, average, optimiser, state)
    # The averaged weights are the checkpoint; its file checkpoint.toml is written last, and makes the folder complete.
    progress(recipe.steps, recipe.steps, "")
    state.seconds = time.monotonic() - begun
    record = _record(recipe, where, average, task.outcome(average), state)
    provenance = {key: str(record[key]) for key in ("command", "commit", "data", "device")}
    write_text(out / "training.json", json.dumps(record, indent=1, allow_nan=False) + "\n")
    task.save(out, average, provenance)
    (out / STATE).unlink(missing_ok=True)
    return record


def _task(recipe: Recipe, where: torch.device) -> Task:
    if isinstance(recipe, StudentRecipe):
        from .student_task import student_task  # loads samplers, which a denoiser's training does not need

        return student_task(recipe, where)
    return denoiser_task(recipe, where)


def _step(
    recipe: Recipe, task: Task, step: int, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer
) -> Tensor:
    """One step of Adam, its rate warmed up, then decreased along a cosine; returns the loss."""
    for group in optimiser.param_groups:
        group["lr"] = recipe.rate * min(1, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    loss = task.loss(network, average, step)
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    # The exponential average of the weights, with a shorter memory in the first steps.
    decay = min(task.decay, (1 + step) / (10 + step))
    with torch.no_grad():
        for mean, now in zip(average.parameters(), network.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)
    return loss.detach()


def _record(
    recipe: Recipe, where: torch.device, network: nn.Module, outcome: dict[str, Any], state: State
) -> dict[str, Any]:
    return {
        "command": f"samplerproof train {recipe.name}",
        **source(),
        "data": f"{DATA[recipe.data].__name__}: {' '.join(str(DATA[recipe.data].__doc__).split())}",
        "recipe": {own_format.STORED if key == "embedding" else key: value for key, value in asdict(recipe).items()},
        "parameters": sum(p.numel() for p in network.parameters()),
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else f"{where.type}, {platform.machine()}",
        **({"cpu": kind_of_cpu()} if where.type == "cpu" else {}),
        "threads": torch.get_num_threads(),
        "seconds": round(state.seconds, 1),
        **outcome,
        "curve": state.curve,
    }


def _state_tensors(network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
    for name, parameter in network.named_parameters():
        tensors |= {f"adam.{name}.{part}": value for part, value in optimiser.state[parameter].items()}
    return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}


def _metadata(recipe: Recipe, state: State) -> dict[str, str]:
    return {"recipe": json.dumps(asdict(recipe)), "state": json.dumps(asdict(state))}


def _save_state(
    path: Path, recipe: Recipe, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, state: State
) -> None:
    """Write the state, whole or not at all."""
    with whole(path) as temporary:
        save_file(_state_tensors(network, average, optimiser), temporary, _metadata(recipe, state))


def _restored(
    path: Path, recipe: Recipe, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer
) -> State:
    """The state saved in a file, loaded into the networks and the optimiser; a fresh one where there is no file."""
    if not path.exists():
        return State(0, [], 0.0)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dictionary)
    except (SafetensorError, OSError) as fault:
        raise InputError("--out", str(path), f"a state that can be read ({fault}); move it away") from None
    if metadata.get("recipe") != json.dumps(asdict(recipe)):
        raise InputError("--out", str(path), "the state of another recipe; move it away or choose another folder")
    for prefix, goal in (("network.", network), ("average.", average)):
        goal.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    for name, parameter in network.named_parameters():
        parts = {k.removeprefix(f"adam.{name}."): v for k, v in tensors.items() if k.startswith(f"adam.{name}.")}
        parts = {part: value for part, value in parts.items() if "." not in part}
        optimiser.state[parameter] = {k: v if k == "step" else v.to(parameter.device) for k, v in parts.items()}
    return State(**json.loads(metadata["state"]))
