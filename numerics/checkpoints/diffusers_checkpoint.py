"""Checkpoints of diffusers, read by its own code: a pipeline's folder, a model's folder, or a repository of the hub.

A folder needs no description if the network takes x and its level only: the network lies in unet/, in transformer/ or
in the folder itself, the scheduler's configuration in scheduler/ or beside it. For a network with more inputs there is
a checkpoint.toml in the folder, or in another folder that names it:

    format = 1
    kind = "diffusers"
    model = "FOLDER"                    # or "owner/name"; default: this folder
    label = 3                           # of a network with classes; for a DiT, the number of classes means no class
    condition = "text.safetensors"      # for cross-attention: one tensor [tokens, width], the output of an encoder
    size = [64, 64]                     # height and width, if the configuration does not fix them

    [guidance]                          # the model is u + scale (c - u), of the outputs with and without the above
    scale = 4.0
    label = 10                          # and condition, as above: what the network takes for u

x is the input of the network: the latent where there is one. No encoder, decoder or text model is read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ..errors import InputError, one_line
from ..support.consent import NONE, Consent
from ..support.limits import NAME, PATH
from .checkpoint import Checkpoint
from .configuration import SIZES, configuration
from .description import FILE, Sides, Table, validated
from .double_precision_embedding import use_double_precision
from .hub import INSTALL, download, is_name
from .scheduler_levels import read_scheduler
from .tensor_files import check_size, check_stored, digest, read_weights

# The class of a network -> its inputs besides x and its level.
CLASSES = {
    "UNet2DModel": ("label",),
    "UNet2DConditionModel": ("condition", "label"),
    "DiTTransformer2DModel": ("label",),
}
# Former name of a class -> its name.
OLD_CLASSES = {"Transformer2DModel": "DiTTransformer2DModel"}
FOLDERS = ("unet", "transformer", ".")
WEIGHTS = "diffusion_pytorch_model"
# Inputs of a network that are not supported.
UNSUPPORTED = ("addition_embed_type", "class_embed_type", "encoder_hid_dim_type")


class Guidance(Table):
    """[guidance]: its scale, and the inputs of the output without label and condition."""

    scale: float
    label: Annotated[int, Field(ge=0, le=SIZES["num_class_embeds"])] | None = None
    condition: Annotated[str, Field(max_length=PATH)] | None = None


class Described(Table):
    """checkpoint.toml of a checkpoint of diffusers."""

    format: int
    kind: Literal["diffusers"]
    name: Annotated[str, Field(max_length=NAME)] | None = None
    model: Annotated[str, Field(max_length=PATH)] = "."
    label: Annotated[int, Field(ge=0, le=SIZES["num_class_embeds"])] | None = None
    condition: Annotated[str, Field(max_length=PATH)] | None = None
    size: Annotated[Sides, Field(min_length=2, max_length=2)] | None = None
    guidance: Guidance | None = None


class Conditioned(nn.Module):
    """The network as net(x, t): its other inputs are fixed, and its other output, the variance, is dropped."""

    condition: Tensor | None

    def __init__(self, model: nn.Module, channels: int, label: int | None, condition: Tensor | None) -> None:
        super().__init__()
        self.model, self.channels, self.label = model, channels, label
        self.register_buffer("condition", condition)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        more: dict[str, Any] = {}
        if self.label is not None:
            more["class_labels"] = torch.full((len(x),), self.label, dtype=torch.long, device=x.device)
        if self.condition is not None:
            more["encoder_hidden_states"] = self.condition.expand(len(x), *self.condition.shape)
        value: Tensor = self.model(x, t, **more, return_dict=False)[0]
        return value[:, : self.channels]


class Guided(nn.Module):
    """net(x, t) = u + scale (c - u), of one network with two sets of its other inputs."""

    def __init__(self, conditional: Conditioned, unconditional: Conditioned, scale: float) -> None:
        super().__init__()
        self.conditional, self.unconditional, self.scale = conditional, unconditional, scale

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        without: Tensor = self.unconditional(x, t)
        guided: Tensor = without + self.scale * (self.conditional(x, t) - without)
        return guided


def load_diffusers(folder: Path, data: dict[str, Any] | None = None, consent: Consent = NONE) -> Checkpoint:
    """The checkpoint of a folder with a pipeline or a model; data: its checkpoint.toml, if it has one.

    Raises InputError: diffusers not installed, no network or no scheduler, an unknown class or prediction, weights that
    are truncated, not finite or those of another network, a label or condition that is missing, superfluous or of
    another shape.
    """
    description = validated(Described, data or {"format": 1, "kind": "diffusers"})
    # The folder of the network, here or from the hub.
    root = folder / description.model
    if "\0" in description.model or not root.is_dir():
        if not is_name(description.model):
            raise InputError(f"{FILE}: model", description.model, "a folder, or owner/name on the hub")
        root = download(description.model, consent)
    # Configurations of the network and of its scheduler.
    place, config = _configuration(root)
    library = _library()
    scheduler, path = _scheduler(root, place, library)
    prediction, native, span = read_scheduler(scheduler)
    name = OLD_CLASSES.get(config["_class_name"], config["_class_name"])
    shape = _shape(config, description)
    condition, guidance = _condition(folder, description, config, name, FILE), description.guidance
    empty = None if guidance is None else _condition(folder, guidance, config, name, f"{FILE}: guidance")
    # The weights; their size is checked before they are read.
    weights, variant, safe = _weights(place, consent)
    check_size(weights, shape, consent)
    model = _read(getattr(library, name), place, variant, safe, weights)
    use_double_precision(model)
    given = Conditioned(model, shape[0], description.label, condition)
    network: nn.Module = given
    if guidance is not None:
        network = Guided(given, Conditioned(model, shape[0], guidance.label, empty), guidance.scale)
    # The files that determine the network.
    files = [place / "config.json", path, *weights]
    texts = (FILE if data else None, description.condition, guidance.condition if guidance else None)
    files += [folder / part for part in texts if part]
    return Checkpoint(
        name=description.name or (root if description.model == "." else Path(description.model)).resolve().name,
        network=network,
        prediction=prediction,
        native=native,
        shape=shape,
        span=span,
        sha256=digest(*files),
        folder=folder,
        integer_levels=True,
    )


def _library() -> ModuleType:
    try:
        return import_module("diffusers")
    except ImportError as fault:
        raise InputError("checkpoint", "diffusers", f"not installed ({fault}); {INSTALL}") from None


def _configuration(root: Path) -> tuple[Path, dict[str, Any]]:
    """The folder with the network, and its configuration."""
    for name in FOLDERS:
        if (root / name / "config.json").is_file():
            config = configuration(root / name / "config.json", "checkpoint")
            break
    else:
        allowed = "a network of diffusers: config.json in unet/, in transformer/ or in the folder itself"
        raise InputError("checkpoint", str(root), allowed)
    kind = config.get("_class_name")
    old = kind in OLD_CLASSES and config.get("norm_type") != "ada_norm_zero"
    if old or (kind not in CLASSES and kind not in OLD_CLASSES):
        raise InputError("checkpoint: class of the network", kind, f"one of {', '.join(CLASSES)}")
    if config.get("time_embedding_type", "positional") != "positional":
        # A table of integer levels is not smooth, so no order would show; with "fourier" the network takes log sigma.
        found, allowed = config["time_embedding_type"], "positional: a network that takes any level, integer or not"
        raise InputError("checkpoint: time_embedding_type", found, allowed)
    for key in UNSUPPORTED:
        if config.get(key) is not None:
            raise InputError(f"checkpoint: {key}", config[key], "a network with no inputs besides label and condition")
    return root / name, config


def _scheduler(root: Path, place: Path, library: ModuleType) -> tuple[Any, Path]:
    """The scheduler, made by the library from its configuration, and the file of the configuration."""
    name = "scheduler_config.json"
    path = next((p for p in (root / "scheduler" / name, root / name, place / name) if p.is_file()), None)
    if path is None:
        wanted = f"a {name} in scheduler/ or beside config.json: it has the noise levels and the prediction"
        raise InputError("scheduler", str(root), wanted)
    config = configuration(path, "scheduler")
    cls: Any = getattr(library, str(config.get("_class_name")), None)
    if not hasattr(cls, "from_config"):
        raise InputError("scheduler: _class_name", config.get("_class_name"), "a scheduler of diffusers")
    with _log_silenced(library):
        try:
            return cls.from_config(config), path
        except Exception as fault:  # the class may raise anything on other values than its own
            raise InputError(
                "scheduler", str(path), f"values that {cls.__name__} takes ({one_line(fault, 160)})"
            ) from None


def _shape(config: dict[str, Any], description: Described) -> tuple[int, ...]:
    size = description.size or config.get("sample_size")
    if size is None:
        raise InputError(f"{FILE}: size", None, "[height, width]; the network's configuration does not fix them")
    if isinstance(size, list) and len(size) != 2:
        raise InputError("checkpoint: sample_size", size, "one number, or [height, width]")
    inputs, out = config.get("in_channels"), config.get("out_channels")
    if not isinstance(inputs, int) or out not in (None, inputs, 2 * inputs):
        raise InputError(
            "checkpoint: channels", [inputs, out], "as many outputs as inputs, or twice as many with a variance"
        )
    return (inputs, *(size if isinstance(size, list | tuple) else (size, size)))


def _condition(
    folder: Path, given: Described | Guidance, config: dict[str, Any], name: str, where: str
) -> Tensor | None:
    """The condition, or None.  InputError unless label and condition are given exactly where the network takes them.

    where: the place of both, in messages.
    """
    # The label: needed by networks with classes, and only by these.
    dit = name == "DiTTransformer2DModel"
    classes = config.get("num_embeds_ada_norm" if dit else "num_class_embeds")
    if classes is None and given.label is not None:
        raise InputError(f"{where}: label", given.label, "none: the network has no classes")
    if classes is not None and (given.label is None or given.label >= classes + dit):
        more = f", or {classes} for no class" if dit else ""
        raise InputError(f"{where}: label", given.label, f"the network needs a class from 0 to {classes - 1}{more}")
    # Whether a condition is needed and given.
    needed = "condition" in CLASSES[name]
    if given.condition is None or not needed:
        if needed or given.condition:
            allowed = "the network needs a file with one tensor [tokens, width]"
            raise InputError(
                f"{where}: condition", given.condition, allowed if needed else "none: it takes no condition"
            )
        return None
    if "\0" in given.condition:
        raise InputError(f"{where}: condition", given.condition, "the name of a file")
    # Its one tensor [tokens, width].
    tensors, _ = read_weights(folder / given.condition)
    found = [list(tensor.shape) for tensor in tensors.values()]
    value = next(iter(tensors.values())).float() if len(tensors) == 1 else torch.empty(0)
    value = value[0] if value.ndim == 3 and len(value) == 1 else value
    width = config.get("cross_attention_dim")
    if value.ndim != 2 or (isinstance(width, int) and value.shape[1] != width):
        raise InputError(f"{where}: condition", found, f"one tensor [tokens, {width}]")
    return value


def _weights(place: Path, consent: Consent) -> tuple[list[Path], str | None, bool]:
    """(files, variant, safe) of the weights: full precision, else half, else pickles with consent; safe: no pickles."""
    for suffix, safe in (("safetensors", True), ("bin", False)):
        for variant in (None, "fp16"):
            stem = f"{WEIGHTS}.{variant}" if variant else WEIGHTS
            files = sorted({*place.glob(f"{stem}.{suffix}"), *place.glob(f"{stem}-*-of-*.{suffix}")})
            if not files:
                continue
            if not safe and not consent.pickles:
                allowed = "safetensors; a pickle may run code: give --allow-pickle if you trust it"
                raise InputError("weights", str(files[0]), allowed)
            return files, variant, safe
    raise InputError("weights", str(place), f"a {WEIGHTS}.safetensors")


def _read(cls: Any, place: Path, variant: str | None, safe: bool, files: Sequence[Path]) -> nn.Module:
    """The network in float32, with its weights; InputError unless its configuration has their size."""
    file = files[0]
    _check_sizes(cls, place, sum(path.stat().st_size for path in files))
    if not safe:
        for path in files:
            check_stored(path)
    with _log_silenced(import_module("diffusers")):
        try:
            model, report = cls.from_pretrained(
                str(place),
                variant=variant,
                use_safetensors=safe,
                torch_dtype=torch.float32,
                low_cpu_mem_usage=False,
                output_loading_info=True,
                local_files_only=True,
            )
        except Exception as fault:  # a truncated file, a shape that does not fit, a size that the class refuses
            allowed = f"whole weights of the network in config.json ({one_line(fault, 160)})"
            raise InputError("weights", str(file), allowed) from None
    # Names and values of the weights that were read.
    for key, reason in (("missing_keys", "is missing"), ("unexpected_keys", "is not its")):
        if report[key]:
            allowed = f"weights of the network in config.json; {sorted(report[key])[0]} {reason}"
            raise InputError("weights", str(file), allowed)
    for name, tensor in model.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise InputError("weights", str(file), f"finite numbers only; {name} has others")
    network: nn.Module = model.eval()
    return network


def _check_sizes(cls: Any, place: Path, held: int) -> None:
    """InputError where the network of a configuration has more numbers than its weights have bytes."""
    with _log_silenced(import_module("diffusers")), torch.device("meta"):
        try:
            outline = cls.from_config(configuration(place / "config.json", "checkpoint"))
        except Exception as fault:  # the class may raise anything on inconsistent sizes
            allowed = f"a network that {cls.__name__} can make ({one_line(fault, 120)})"
            raise InputError("checkpoint", str(place / "config.json"), allowed) from None
    numbers = sum(tensor.numel() for tensor in outline.state_dict().values())
    if numbers > held:
        allowed = f"sizes of the weights beside it; the network has {numbers} numbers, the weights {held} bytes"
        raise InputError("checkpoint", str(place / "config.json"), allowed)


@contextlib.contextmanager
def _log_silenced(library: Any) -> Iterator[None]:
    """Silences the library's log and progress bars: its errors are raised as InputError."""
    log = library.utils.logging
    before, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity(log.CRITICAL)
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(before)
        if bars:
            log.enable_progress_bar()
