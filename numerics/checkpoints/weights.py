"""Weights from a file into a network: safetensors, every tensor finite, names and shapes the network's."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..errors import InputError

PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl")


def read_weights(path: Path, allow_pickle: bool = False) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file by name, and what it says of itself.

    InputError for a file that is missing, cut short or no safetensors file, for a pickle unless it is allowed (then
    it is read by torch.load(weights_only=True)), and for a value that is not finite.
    """
    try:
        if path.suffix in PICKLES:
            tensors, told = _pickled(path, allow_pickle), {}
        else:
            with safe_open(path, "pt") as file:
                told = dict(file.metadata() or {})
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dictionary)
    except (SafetensorError, OSError, RuntimeError, EOFError, pickle.UnpicklingError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) and fault.strerror else _one_line(fault)
        raise InputError("weights", str(path), f"a whole safetensors file ({reason})") from None
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError("weights", str(path), f"finite numbers only; {name} holds others")
    return tensors, told


def fill(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Put the tensors into the network, in float32; InputError, naming the first, if a name or a shape is not its."""
    own = network.state_dict()
    for name, tensor in tensors.items():
        if name not in own:
            raise InputError("weights", str(path), f"weights of the architecture named; it has no {name}")
        if tensor.shape != own[name].shape:
            found, wanted = list(tensor.shape), list(own[name].shape)
            raise InputError(
                "weights", str(path), f"weights of the architecture named; {name} is {found}, not {wanted}"
            )
    missing = [name for name in own if name not in tensors]
    if missing:
        raise InputError("weights", str(path), f"weights of the architecture named; {missing[0]} is missing")
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})


def digest(*paths: Path) -> str:
    """SHA-256 over the bytes of files, in this order."""
    whole = hashlib.sha256()
    for path in paths:
        whole.update(path.read_bytes())
    return whole.hexdigest()


def _pickled(path: Path, allowed: bool) -> dict[str, Tensor]:
    if not allowed:
        raise InputError(
            "weights", str(path), "safetensors; a pickle may run code: give --allow-pickle if you trust it"
        )
    found = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise InputError("weights", str(path), "a dictionary of tensors")
    return found


def _one_line(fault: Exception) -> str:
    return " ".join(str(fault).split())[:120]
