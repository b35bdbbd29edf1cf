"""The project's own format: a folder with checkpoint.toml, which describes, and model.safetensors, which weighs.

The network is told lambda of the process in units of the data: y = a x0/d + s eps with a^2 + s^2 = 1, where
log(a/s) = lambda + log d and d is the data's root mean square. Giving v there is EDM's preconditioning (Karras et al.
2022, table 1), written so that both ends are regular.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from safetensors.torch import save_file
from torch import nn

from ..errors import InputError, nearest
from ..support import reading
from ..support.consent import NONE, Consent
from ..support.files import whole, write_text
from ..support.limits import DEEP, LIMITS, NAME
from .checkpoint import Checkpoint, unit_point
from .description import FILE, FORMAT, Gives, Sides, Table, toml, validated
from .own_networks import ARCHITECTURES, Perceptron, UNet
from .tensor_files import check_fit, check_size, digest, fill, read_weights

WEIGHTS = "model.safetensors"
SAME = "samplerproof"  # the key under which the weights say what they are


def _within(field: str) -> Any:
    """The ends of a field, as pydantic takes them."""
    return Field(ge=LIMITS[field].low, le=LIMITS[field].high)


class Network(Table):
    """How the network is built: see networks.py."""

    architecture: Annotated[str, Field(max_length=NAME)]
    widths: Annotated[list[Annotated[int, _within("network.widths")]], Field(min_length=1, max_length=DEEP)]
    told: Annotated[int, _within("network.told")]
    patch: Annotated[int, _within("network.patch")] = 1


class Described(Table):
    """checkpoint.toml of a network of ours.  span: the lambda it was trained on; sigma_data: the d above."""

    format: int
    kind: Literal["network"]
    name: Annotated[str, Field(max_length=NAME)]
    prediction: Gives
    shape: Sides
    sigma_data: Annotated[float, _within("sigma_data")]
    span: Annotated[list[Annotated[float, _within("span")]], Field(min_length=2, max_length=2)]
    network: Network
    provenance: dict[str, str] = Field(default_factory=dict)


def described(name: str, shape: Sequence[int], sigma_data: float, span: Sequence[float], network: Network) -> Described:
    """A description of a network that gives v."""
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


def build(shape: Sequence[int], told: Network) -> nn.Module:
    """The untrained network; InputError on an unknown architecture, or sizes that do not go together."""
    if told.architecture not in ARCHITECTURES:
        known = nearest(told.architecture, ARCHITECTURES)
        raise InputError("network.architecture", told.architecture, f"not an architecture of ours; {known}")
    if told.architecture == "perceptron":
        if len(shape) != 1 or told.patch != 1:
            raise InputError("shape", list(shape), "a perceptron takes points, shape [d], and no patch")
        return Perceptron(shape, told.widths, told.told)
    halved = told.patch * 2 ** (len(told.widths) - 1)
    if len(shape) != 3 or any(side % halved for side in shape[1:]):
        raise InputError(
            "shape", list(shape), f"this U-Net takes [channels, height, width], sides a multiple of {halved}"
        )
    return UNet(shape, told.widths, told.told, told.patch)


def save(folder: Path, network: nn.Module, description: Described) -> None:
    """Write the checkpoint into an existing folder, every file whole or not at all; checkpoint.toml comes last."""
    tensors = {name: value.detach().cpu().float().contiguous() for name, value in network.state_dict().items()}
    with whole(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, {SAME: _essence(description)})
    write_text(folder / FILE, toml(description.model_dump()))


def load_own(folder: Path, data: dict[str, Any], consent: Consent = NONE) -> Checkpoint:
    """The checkpoint of a folder whose checkpoint.toml says kind = "network".  Raises InputError.

    A network of the sizes described is made only once its weights were seen to have them.
    """
    told = validated(Described, data)
    with torch.device("meta"):  # shapes without memory
        outline = build(told.shape, told.network)
    path = folder / WEIGHTS
    check_size([path], told.shape, consent)
    tensors, said = read_weights(path)
    _check_same(told, said, path)
    check_fit(outline, tensors, path)
    network = build(told.shape, told.network)
    fill(network, tensors, path)
    shift = math.log(told.sigma_data)
    return Checkpoint(
        name=told.name,
        network=network,
        gives=told.prediction,
        native=lambda lam: unit_point(lam + shift),
        shape=tuple(told.shape),
        span=(told.span[0], told.span[1]),
        sha256=digest(folder / FILE, path),
        folder=folder,
        unit=told.sigma_data,
    )


def _essence(told: Described) -> str:
    """What the weights know of themselves, so that a description of other weights is noticed."""
    return json.dumps(told.model_dump(exclude={"provenance"}), sort_keys=True)


def _check_same(told: Described, said: dict[str, str], path: Path) -> None:
    if SAME not in said:
        raise InputError("weights", str(path), "weights written by samplerproof, which say what they are")
    written = reading.json_object(said[SAME], f"{path}: {SAME}", "weights")
    differ = [key for key, value in json.loads(_essence(told)).items() if written.get(key) != value]
    if differ:
        key = differ[0]
        raise InputError(
            f"{FILE}: {key}", getattr(told, key), f"the weights beside it were written with {written.get(key)!r}"
        )
