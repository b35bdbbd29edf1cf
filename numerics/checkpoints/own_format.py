"""The project's own format: a folder with checkpoint.toml, the description, and model.safetensors, the weights.

The network takes lambda in units of the data: y = a x0/d + s eps with a^2 + s^2 = 1, where log(a/s) = lambda + log d
and d is the root mean square of the data. Predicting v there is EDM's preconditioning (Karras et al. 2022, table 1),
written so that both ends are regular.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import ConfigDict, Field
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import InputError, nearest
from ..support import reading
from ..support.consent import NONE, Consent
from ..support.files import whole, write_text
from ..support.limits import DEEP, EMBEDDING, LIMITS, NAME
from .checkpoint import Checkpoint, unit_point
from .description import FILE, FORMAT, Prediction, Sides, Table, toml, validated
from .own_networks import ARCHITECTURES, Perceptron, UNet
from .tensor_files import check_fit, check_size, digest, fill, read_weights

WEIGHTS = "model.safetensors"
DESCRIPTION = "samplerproof"  # the key of the description in the metadata of the weights
# What the files of the format call the embedding of lambda: the key of its width, and part of the tensors' names.
STORED = EMBEDDING.rpartition(".")[2]


def _within(field: str) -> Any:
    """The limits of a field as a constraint of pydantic."""
    return Field(ge=LIMITS[field].low, le=LIMITS[field].high)


class Network(Table):
    """The architecture and its sizes: see own_networks.py.  embedding: width of the embedding of lambda."""

    model_config = ConfigDict(populate_by_name=True)

    architecture: Annotated[str, Field(max_length=NAME)]
    widths: Annotated[list[Annotated[int, _within("network.widths")]], Field(min_length=1, max_length=DEEP)]
    embedding: Annotated[int, _within(EMBEDDING), Field(alias=STORED)]
    patch: Annotated[int, _within("network.patch")] = 1


class OfNetwork(Table):
    """The part of checkpoint.toml that all of the project's networks have.  sigma_data: d above."""

    format: int
    name: Annotated[str, Field(max_length=NAME)]
    shape: Sides
    sigma_data: Annotated[float, _within("sigma_data")]
    network: Network
    provenance: dict[str, str] = Field(default_factory=dict)


class Described(OfNetwork):
    """checkpoint.toml of one of the project's denoisers.  span: the lambda it was trained on."""

    kind: Literal["network"]
    prediction: Prediction
    span: Annotated[list[Annotated[float, _within("span")]], Field(min_length=2, max_length=2)]


def described(name: str, shape: Sequence[int], sigma_data: float, span: Sequence[float], network: Network) -> Described:
    """The description of a network that predicts v."""
    return Described(
        format=FORMAT,
        kind="network",
        name=name,
        prediction="v",
        shape=list(shape),
        sigma_data=sigma_data,
        span=list(span),
        network=network,
    )


def build(shape: Sequence[int], sizes: Network) -> nn.Module:
    """The untrained network; InputError on an unknown architecture, or sizes that do not match."""
    if sizes.architecture not in ARCHITECTURES:
        known = nearest(sizes.architecture, ARCHITECTURES)
        raise InputError("network.architecture", sizes.architecture, f"not an architecture of this package; {known}")
    if sizes.architecture == "perceptron":
        if len(shape) != 1 or sizes.patch != 1:
            raise InputError("shape", list(shape), "a perceptron takes points, shape [d], and no patch")
        return Perceptron(shape, sizes.widths, sizes.embedding)
    halved = sizes.patch * 2 ** (len(sizes.widths) - 1)
    if len(shape) != 3 or any(side % halved for side in shape[1:]):
        raise InputError(
            "shape", list(shape), f"this U-Net takes [channels, height, width], sides a multiple of {halved}"
        )
    return UNet(shape, sizes.widths, sizes.embedding, sizes.patch)


def save(folder: Path, network: nn.Module, description: Table) -> None:
    """Write the checkpoint into an existing folder, every file whole or not at all; checkpoint.toml is the last."""
    tensors = {name: value.detach().cpu().float().contiguous() for name, value in network.state_dict().items()}
    with whole(folder / WEIGHTS) as temporary:
        save_file(_renamed(tensors, "embedding", STORED), temporary, {DESCRIPTION: _fingerprint(description)})
    write_text(folder / FILE, toml(description.model_dump(by_alias=True)))


def load_own(folder: Path, data: dict[str, Any], consent: Consent = NONE) -> Checkpoint:
    """The checkpoint of a folder whose checkpoint.toml has kind = "network".  Raises InputError."""
    description = validated(Described, data)
    sizes = description.network
    network, sha256 = load_network(folder, description, lambda: build(description.shape, sizes), consent)
    shift = math.log(description.sigma_data)
    return Checkpoint(
        name=description.name,
        network=network,
        prediction=description.prediction,
        native=lambda lam: unit_point(lam + shift),
        shape=tuple(description.shape),
        span=(description.span[0], description.span[1]),
        sha256=sha256,
        folder=folder,
        unit=description.sigma_data,
    )


def load_network(
    folder: Path, description: OfNetwork, made: Callable[[], nn.Module], consent: Consent = NONE
) -> tuple[nn.Module, str]:
    """The network of a folder with its weights, and the SHA-256 of both files.  made: builds it untrained.

    No memory is allocated for the network before its weights are known to have the sizes described.
    Raises InputError where the weights are not as described.
    """
    with torch.device("meta"):  # shapes without memory
        outline = made()
    path = folder / WEIGHTS
    check_size([path], description.shape, consent)
    # The weights, as described and as the architecture has them.
    stored, metadata = read_weights(path)
    tensors = _renamed(stored, STORED, "embedding")
    _check_same(description, metadata, path)
    check_fit(outline, tensors, path)
    # The network with its weights.
    network = made()
    fill(network, tensors, path)
    return network, digest(folder / FILE, path)


def _renamed(tensors: dict[str, Tensor], old: str, new: str) -> dict[str, Tensor]:
    """The tensors under names in which the part `old` is `new`."""
    return {".".join(new if part == old else part for part in name.split(".")): t for name, t in tensors.items()}


def _fingerprint(description: Table) -> str:
    """What the file of the weights repeats of the description, so that a mismatch is found."""
    return json.dumps(description.model_dump(exclude={"provenance"}, by_alias=True), sort_keys=True)


def _check_same(description: Table, metadata: dict[str, str], path: Path) -> None:
    """InputError where the description is not the one that the weights were written with."""
    if DESCRIPTION not in metadata:
        raise InputError("weights", str(path), "weights written by samplerproof, with their description")
    written = reading.json_object(metadata[DESCRIPTION], f"{path}: {DESCRIPTION}", "weights")
    differ = [key for key, value in json.loads(_fingerprint(description)).items() if written.get(key) != value]
    if differ:
        key = differ[0]
        allowed = f"the weights beside it were written with {written.get(key)!r}"
        raise InputError(f"{FILE}: {key}", getattr(description, key), allowed)
