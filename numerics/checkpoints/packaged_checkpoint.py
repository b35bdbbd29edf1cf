"""A checkpoint that is published inside a package: 21cmpsdenoiser 1.0.2 (Breitman et al. 2025, MIT).

Its network predicts the noise of a mean cylindrical power spectrum of the 21-cm signal, given the spectrum of one
simulated volume, on VP-linear with beta from 0.1 to 20; x is log10 of the spectrum, scaled by the package. The package
is not imported, so that only einops is needed beside it: its model.py is run by path, and both files must be those of
the version that was validated. A folder may name it, with a spectrum of its own:

    format = 1
    kind = "package"
    package = "21cmpsdenoiser"
    condition = "spectrum.npy"          # [32, 16] in mK^2, on the bins of the package; in the same folder

Without one the condition is made (`made_spectrum`). The convolutions of the package normalise their weights with
eps = 1e-5 in float32 and 1e-3 in every other dtype, which is another network. Here the weights are normalised once,
with 1e-5, so that a reference in float64 is the flow of the network that was trained.
"""

from __future__ import annotations

import importlib.util
import math
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ..errors import InputError, one_line
from ..schedules import schedule
from ..support.consent import NONE, Consent
from ..support.limits import PATH
from ..support.reading import check_regular
from .checkpoint import Checkpoint
from .description import FILE, Table, validated
from .level_of_lambda import continuous
from .tensor_files import check_size, digest, fill, read_weights

PACKAGE, VERSION = "21cmpsdenoiser", "1.0.2"
INSTALL = f"pip install --no-deps {PACKAGE}=={VERSION}, and pip install einops"
FOLDER = "psdenoiser"  # the package's own name of itself
# File -> its SHA-256 in the version that was validated.
FILES = {
    "model.py": "0739bf1e0143ca35804b0e9b9d5cc5b00743b3fd80def363e45770434dd6b103",
    "denoiser_model.pt": "6dd1962bfeb535826b32dbd3626e2349dda4e33b7fb68adcc2d1c48b761ec934",
    "constants.npz": "a1e65100f0d11ce0ce9bb95429b7b51d0f7bd2ad55e5b5b3ad076630b5291a1e",
}
SHAPE = (1, 32, 16)  # of x: a channel, kperp, kpar
EPS = 1e-5  # of the normalised weights, as in training
T_MIN = 1e-3  # where the package's own sampler ends
TIME_SCALE = 999.0
LARGEST = 2**24  # bytes of the file of a condition
Spectrum = np.ndarray[Any, np.dtype[np.float64]]


class Described(Table):
    """checkpoint.toml of a checkpoint inside a package."""

    format: int
    kind: Literal["package"]
    package: Literal["21cmpsdenoiser"]
    condition: Annotated[str, Field(max_length=PATH)] | None = None


class Conditioned(nn.Module):
    """network(x, t): the package's network with its condition, the second channel of every sample."""

    condition: Tensor

    def __init__(self, network: nn.Module, condition: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("condition", condition)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        value: Tensor = self.network(x, t, x_cdn=self.condition.to(x.dtype).expand(len(x), -1, -1, -1))
        return value


class Embedded(nn.Module):
    """The first two layers of the embedding of t, of which the waves keep the dtype of t: float32 at least."""

    def __init__(self, waves: nn.Module, linear: nn.Linear) -> None:
        super().__init__()
        self.waves, self.linear = waves, linear

    def forward(self, t: Tensor) -> Tensor:
        value: Tensor = self.linear(self.waves(t).to(self.linear.weight.dtype))
        return value


def load_packaged(folder: Path | None, data: dict[str, Any] | None, consent: Consent = NONE) -> Checkpoint:
    """The checkpoint of the package, with the condition of a description or a made one.

    Raises InputError, naming the two installs, where the package or einops is missing, where the package is another
    version, and on a condition that is not a power spectrum on its bins.
    """
    files = _files()
    check_size([files["denoiser_model.pt"]], SHAPE, consent)
    with np.load(files["constants.npz"], allow_pickle=False) as stored:
        constants = {name: np.asarray(stored[name]) for name in ("kperp", "kpar", "Nmodes", "noisy_mean", "noisy_std")}
    described = None if data is None else validated(Described, data)
    read = [*files.values()]
    if folder is None or described is None or described.condition is None:
        spectrum = made_spectrum(constants["kperp"], constants["kpar"], constants["Nmodes"])
    else:
        spectrum = _read_spectrum(folder, described.condition)
        read.append(folder / described.condition)
    condition = 2 * (np.log10(spectrum) - constants["noisy_mean"]) / constants["noisy_std"] - 1
    native, span = continuous(schedule("vp-linear", beta_min=0.1, beta_max=20.0), T_MIN, 1.0, TIME_SCALE)
    return Checkpoint(
        name=PACKAGE,
        network=Conditioned(_network(files), torch.from_numpy(condition).float()[None, None]),
        prediction="noise",
        native=native,
        shape=SHAPE,
        span=span,
        sha256=digest(*read),
        folder=folder or Path(PACKAGE),
        integer_levels=True,
    )


def made_spectrum(kperp: Spectrum, kpar: Spectrum, modes: Spectrum) -> Spectrum:
    """A spectrum of one volume, mK^2: 20 (10 k Mpc)^(1/2) with the sample variance of a Gaussian field, seed 0.

    A bin is the mean of |delta_k|^2 over its modes: its mean times a Gamma(modes)/modes variable. A bin that the volume
    has no mode in is drawn as that with the fewest.
    """
    modes = np.where(modes > 0, modes, modes[modes > 0].min())
    k = np.hypot(kperp[:, None], kpar[None, :])
    drawn: Spectrum = 20 * np.sqrt(10 * k) * np.random.default_rng(0).gamma(modes) / modes
    return drawn


def _files() -> dict[str, Path]:
    """The files of the package by name; InputError where one is missing or not that of the version validated."""
    try:
        found = distribution(PACKAGE)
        distribution("einops")
    except PackageNotFoundError as fault:
        missing = PACKAGE if fault.name == PACKAGE else "einops"
        raise InputError("checkpoint", PACKAGE, f"{missing} is not installed: {INSTALL}") from None
    files = {name: Path(str(found.locate_file(f"{FOLDER}/{name}"))) for name in FILES}
    for name, path in files.items():
        if not path.is_file() or digest(path) != FILES[name]:
            other = (
                f"{FOLDER}/{name} of version {VERSION}; this one, of {found.version}, has another SHA-256: {INSTALL}"
            )
            raise InputError("checkpoint", PACKAGE, other)
    return files


def _read_spectrum(folder: Path, name: str) -> Spectrum:
    """The power spectrum in a file of the folder, float64 [32, 16]."""
    path, field = folder / name, f"{FILE}: condition"
    if "\0" in name or path.resolve().parent != folder.resolve():
        raise InputError(field, name, "the name of a file in the same folder")
    check_regular(path, field, LARGEST)
    try:
        found = np.load(path, allow_pickle=False)
        spectrum: Spectrum = np.asarray(found, dtype=np.float64)
    except (OSError, ValueError, TypeError) as fault:
        raise InputError(field, name, f"an array that numpy saved ({one_line(fault, 120)})") from None
    if spectrum.shape != SHAPE[1:]:
        raise InputError(field, list(spectrum.shape), f"a power spectrum on the bins of the package, {list(SHAPE[1:])}")
    if not (np.isfinite(spectrum).all() and (spectrum > 0).all()):
        raise InputError(field, name, "a power spectrum in mK^2: finite and positive, not its logarithm")
    return spectrum


def _network(files: dict[str, Path]) -> nn.Module:
    """The network of the package with its weights, normalised once."""
    spec = importlib.util.spec_from_file_location(f"{__package__}._{FOLDER}_model", files["model.py"])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with torch.random.fork_rng(devices=[]):  # the package seeds the global generator, layers draw from it
        spec.loader.exec_module(module)
        network: nn.Module = module.UNet(dim=SHAPE[1:], channels=2, dim_mults=(1, 2, 4, 8))
        # Its weights may be read: they are those that were validated, and weights_only runs no code.
        tensors, _ = read_weights(files["denoiser_model.pt"], Consent(pickle=True))
        fill(network, tensors, files["denoiser_model.pt"])
        for name, layer in list(network.named_modules()):
            if isinstance(layer, module.WeightStandardizedConv2d):
                parent, _, own = name.rpartition(".")
                setattr(network.get_submodule(parent), own, _plain(layer))
    waves, linear, *others = network.get_submodule("time_mlp").children()
    assert isinstance(linear, nn.Linear)
    network.set_submodule("time_mlp", nn.Sequential(Embedded(waves, linear), *others))
    return network


def _plain(layer: nn.Conv2d) -> nn.Conv2d:
    """The convolution with normalised weights as a convolution."""
    weight = layer.weight.detach().double()
    variance, mean = torch.var_mean(weight, dim=(1, 2, 3), correction=0, keepdim=True)
    _, _, height, width = weight.shape
    plain = nn.Conv2d(layer.in_channels, layer.out_channels, (height, width), padding=(height // 2, width // 2))
    assert layer.bias is not None
    assert math.prod(layer.stride) == 1
    plain.weight.data = (
        (weight - mean) * (variance + EPS).sqrt()
    ).float()  # as trained: multiplied, where the paper divides
    plain.bias = layer.bias
    return plain
