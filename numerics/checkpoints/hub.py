"""Download of a repository of the hub: the files of its network and of its scheduler, and no others."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path

from ..errors import InputError, one_line
from ..support.consent import Consent

INSTALL = "pip install -e '.[peers]'"
NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
PLACES = ("", "unet/", "transformer/")
SMALL = ("model_index.json", "scheduler_config.json", "scheduler/scheduler_config.json")
STEM = "diffusion_pytorch_model"
# Kinds of weights by preference: full precision, half, pickles (with consent only).
KINDS = ("{stem}.safetensors", "{stem}.fp16.safetensors", "{stem}.bin")


def is_name(given: str) -> bool:
    """Whether the string has the form owner/name."""
    return NAME.fullmatch(given) is not None


def download(name: str, consent: Consent) -> Path:
    """The folder in the hub's own cache.

    Raises InputError without consent to fetch it, if it cannot be reached, or if it has no such files.
    """
    if not consent.hub:
        raise InputError(
            "checkpoint",
            name,
            "a folder; this one does not exist and would be fetched from the hub: give --hub to do so",
        )
    try:
        hub = import_module("huggingface_hub")
    except ImportError as fault:
        raise InputError("checkpoint", name, f"the hub needs diffusers ({fault}); {INSTALL}") from None
    if not sys.stderr.isatty():
        import_module("huggingface_hub.utils").disable_progress_bars()
    # The configurations, with the first kind of weights that the repository has.
    wanted = [*SMALL, *(f"{place}config.json" for place in PLACES)]
    for kind in KINDS if consent.pickles else KINDS[:2]:
        stems = (STEM, f"{STEM}-*-of-*") if kind == KINDS[0] else (STEM,)
        weights = [place + kind.format(stem=stem) for place in PLACES for stem in stems]
        indices = [f"{place}{STEM}.safetensors.index.json" for place in PLACES]
        try:
            folder = Path(hub.snapshot_download(name, allow_patterns=[*wanted, *weights, *indices]))
        except Exception as fault:  # any error of the connection, the hub or its cache
            reason = one_line(fault, 120)
            allowed = f"a folder here, or a repository that the hub can send ({reason})"
            raise InputError("checkpoint", name, allowed) from None
        if any(path for pattern in weights for path in folder.glob(pattern)):
            return folder
    allowed = "a repository with the safetensors of a network; pickles, which may run code, take --allow-pickle"
    raise InputError("checkpoint", name, allowed)
