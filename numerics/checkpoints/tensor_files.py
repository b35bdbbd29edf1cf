"""Weights of a network from a safetensors file; values, names and shapes are checked."""

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
COPIES = 4  # the file as read, the network in float32, and in float64, which counts twice
LAYERS = 200  # float64 arrays of the size of a batch that an evaluation allocates
BATCH = 2**12  # numbers in a batch of more than one sample


def check_size(files: Iterable[Path], shape: Sequence[int], consent: Consent) -> None:
    """Raises InputError for files that are not regular, or that need more memory than is allowed without consent.

    shape: of one sample of the network.
    """
    stored = sum(check_regular(path, "weights", LARGEST) for path in files)
    needed = COPIES * stored + 8 * LAYERS * max(BATCH, math.prod(shape))
    if needed > MEMORY and not consent.large:
        what = f"this checkpoint, samples {list(shape)} and weights of {size(stored)}"
        allowed = f"it needs about {size(needed)}; allowed without --large: {size(MEMORY)}"
        raise InputError("checkpoint", what, allowed)


def read_weights(path: Path, consent: Consent = NONE) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file by name, and its metadata.

    Raises InputError for a file that is missing, truncated or not a safetensors file, for a pickle without consent
    (with consent it is read by torch.load(weights_only=True)), and for a value that is not finite.
    """
    check_regular(path, "weights", LARGEST)
    try:
        if path.suffix in PICKLES:
            tensors, metadata = _pickled(path, consent), {}
        else:
            with safe_open(path, "pt") as file:
                metadata = dict(file.metadata() or {})
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dictionary)
    except InputError:
        raise
    except Exception as fault:  # safetensors, torch, pickle and zipfile raise many kinds on invalid files
        reason = fault.strerror if isinstance(fault, OSError) and fault.strerror else one_line(fault, 120)
        raise InputError("weights", str(path), f"a whole safetensors file ({reason})") from None
    for name, tensor in tensors.items():
        if tensor.is_complex() or tensor.is_quantized:
            raise InputError("weights", str(path), f"real numbers only; {name} is {tensor.dtype}")
        if tensor.is_floating_point() and not _finite(tensor, name, path):
            raise InputError("weights", str(path), f"finite numbers only; {name} has others")
    return tensors, metadata


def check_fit(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """InputError for the first name or shape that is not the network's, which may be on the meta device."""
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
    """InputError for an archive of weights that grows when unpacked: torch stores its files uncompressed."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > path.stat().st_size:
        allowed = f"files stored uncompressed, as torch does; unpacked these would be {size(unpacked)}"
        raise InputError("weights", str(path), allowed)


def _finite(tensor: Tensor, name: str, path: Path) -> bool:
    """Whether every value is finite; eight-bit floats are converted first, as torch.isfinite does not take them."""
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
