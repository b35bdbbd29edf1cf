"""Weights from a file into a network: safetensors, every tensor finite, names and shapes the network's."""

from __future__ import annotations

import hashlib
import math
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from ..errors import InputError, one_line
from ..support.consent import NONE, Consent
from ..support.reading import check_regular, size

PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl")
LARGEST = 2**40  # bytes of a file of weights, even with consent
MEMORY = 1e9  # bytes that a checkpoint may need without consent
COPIES = 4  # the file as read, the network in float32, and in float64, which is twice as large
LAYERS = 200  # arrays of the size of a batch, float64, that the answers of a network keep at a time
BATCH = 2**12  # numbers in a batch, or one sample


def check_size(files: Iterable[Path], shape: Sequence[int], consent: Consent) -> None:
    """InputError for files of weights that are no regular files, or for more memory than is used without consent.

    shape: of one sample of the network.
    """
    held = sum(check_regular(path, "weights", LARGEST) for path in files)
    needed = COPIES * held + 8 * LAYERS * max(BATCH, math.prod(shape))
    if needed > MEMORY and not consent.large:
        of = f"this checkpoint, samples {list(shape)} and weights of {size(held)}"
        allowed = f"it needs about {size(needed)}; allowed without --large: {size(MEMORY)}"
        raise InputError("checkpoint", of, allowed)


def read_weights(path: Path, consent: Consent = NONE) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file by name, and what it says of itself.

    InputError for a file that is missing, cut short or no safetensors file, for a pickle unless it is allowed (then
    it is read by torch.load(weights_only=True)), and for a value that is not finite.
    """
    check_regular(path, "weights", LARGEST)
    try:
        if path.suffix in PICKLES:
            tensors, told = _pickled(path, consent), {}
        else:
            with safe_open(path, "pt") as file:
                told = dict(file.metadata() or {})
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dictionary)
    except InputError:
        raise
    except Exception as fault:  # of safetensors, torch, pickle, zipfile: whatever a file that is no such file leads to
        reason = fault.strerror if isinstance(fault, OSError) and fault.strerror else one_line(fault, 120)
        raise InputError("weights", str(path), f"a whole safetensors file ({reason})") from None
    for name, tensor in tensors.items():
        if tensor.is_complex() or tensor.is_quantized:
            raise InputError("weights", str(path), f"real numbers only; {name} is {tensor.dtype}")
        if tensor.is_floating_point() and not _finite(tensor, name, path):
            raise InputError("weights", str(path), f"finite numbers only; {name} holds others")
    return tensors, told


def check_fit(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """InputError, naming the first, if a name or a shape is not the network's; which may be one without memory."""
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


def fill(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Put the tensors into the network, in float32; InputError as check_fit."""
    check_fit(network, tensors, path)
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})


def check_stored(path: Path) -> None:
    """InputError for an archive of weights that is larger unpacked than it is: torch stores its files as they are."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > path.stat().st_size:
        allowed = f"files stored as torch does; unpacked these would be {size(unpacked)}"
        raise InputError("weights", str(path), allowed)


def _finite(tensor: Tensor, name: str, path: Path) -> bool:
    """Whether all of it is; in float32 where it has eight bits, of which torch cannot tell."""
    try:
        return bool(torch.isfinite(tensor.float() if tensor.element_size() == 1 else tensor).all())
    except RuntimeError:
        raise InputError("weights", str(path), f"numbers that torch converts; {name} is {tensor.dtype}") from None


def digest(*paths: Path) -> str:
    """SHA-256 over the bytes of files, in this order."""
    whole = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(2**20):
                whole.update(block)
    return whole.hexdigest()


def _pickled(path: Path, consent: Consent) -> dict[str, Tensor]:
    if not consent.pickles:
        raise InputError(
            "weights", str(path), "safetensors; a pickle may run code: give --allow-pickle if you trust it"
        )
    check_stored(path)
    found = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise InputError("weights", str(path), "a dictionary of tensors")
    return found
