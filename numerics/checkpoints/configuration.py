"""Checks of config.json and scheduler_config.json before the library makes a class of them: names and sizes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..support.limits import NAME, range_text
from ..support.reading import read_json

WORDS = ("_class_name", "prediction_type", "beta_schedule", "time_embedding_type", "norm_type")
# The largest value of each size, a whole number from 1; a list has one size for every resolution.
SIZES = {
    "sample_size": 4096,
    "in_channels": 4096,
    "out_channels": 4096,
    "block_out_channels": 16_384,
    "layers_per_block": 32,
    "num_layers": 256,
    "transformer_layers_per_block": 64,
    "num_attention_heads": 256,
    "attention_head_dim": 4096,
    "norm_num_groups": 1024,
    "cross_attention_dim": 32_768,
    "num_class_embeds": 1_000_000,
    "num_embeds_ada_norm": 1_000_000,
    "patch_size": 256,
    "num_train_timesteps": 100_000,
}
MOST = 1e6  # the largest magnitude of any other number
ENTRIES = 100_000  # entries of a list: trained_betas has one for every level
RESOLUTIONS = 16  # of a network, at most


def configuration(path: Path, field: str) -> dict[str, Any]:
    """The configuration in a file; InputError, naming the key, for an implausible name or number."""
    data = read_json(path, field)
    for key, value in data.items():
        named = f"{field}: {key}"
        if key in WORDS:
            _check_word(named, value)
        elif key in SIZES and value is not None:
            _check_sizes(named, value, SIZES[key])
        else:
            _check_other(named, value)
    return data


def _check_word(field: str, value: object) -> None:
    if value is not None and (not isinstance(value, str) or len(value) > NAME):
        raise InputError(field, value, f"a string of at most {NAME} characters")


def _check_sizes(field: str, value: object, largest: int) -> None:
    entries = value if isinstance(value, list) else [value]
    if not 0 < len(entries) <= RESOLUTIONS:
        raise InputError(field, f"{len(entries)} entries", f"1 to {RESOLUTIONS} entries")
    for entry in entries:
        if isinstance(entry, list):
            _check_sizes(field, entry, largest)
        elif isinstance(entry, bool) or not isinstance(entry, int) or not 1 <= entry <= largest:
            raise InputError(field, entry, f"whole, {range_text(1, largest)}")


def _check_other(field: str, value: object) -> None:
    if isinstance(value, str) and len(value) > 10 * NAME:
        raise InputError(field, value, f"a string of at most {10 * NAME} characters")
    if isinstance(value, int | float) and not (math.isfinite(value) and abs(value) <= MOST):
        raise InputError(field, value, range_text(-MOST, MOST))
    if isinstance(value, list | dict):
        if len(value) > ENTRIES:
            raise InputError(field, f"{len(value)} entries", f"at most {ENTRIES}")
        for entry in value.values() if isinstance(value, dict) else value:
            _check_other(field, entry)
