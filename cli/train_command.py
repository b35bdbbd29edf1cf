"""`samplerproof train`: a name to a checkpoint in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..numerics.errors import InputError, nearest
from ..numerics.support.progress import Progress, silent
from ..numerics.training.recipes import RECIPES


def train(name: str, out: Path, device: str = "cpu", progress: Progress = silent) -> dict[str, Any]:
    """Train the network of that name into `out`; returns its training record.

    Raises InputError on an unknown name, and as the training loop does.
    """
    if name not in RECIPES:
        raise InputError("NAME", name, f"not a checkpoint of ours; {nearest(name, RECIPES)}")
    from ..numerics.training.training_loop import train as run

    return run(RECIPES[name], out, device, progress)
