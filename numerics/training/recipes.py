"""The recipes of `samplerproof train`: all that determines a checkpoint, besides the machine."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError, nearest


@dataclass(frozen=True)
class Recipe:
    """A network, its data and its training.

    sigma_data: the root mean square of the data.
    widths, embedding, patch: sizes of the network (checkpoints/own_networks.py).
    every: one level in `every` is drawn uniformly from the whole range, the others near the levels that form images.
    half: whether a GPU may compute in bfloat16.
    """

    name: str
    data: str
    shape: tuple[int, ...]
    sigma_data: float
    architecture: str
    widths: tuple[int, ...]
    embedding: int
    patch: int
    steps: int
    batch: int = 128
    rate: float = 2e-3
    every: int = 2
    half: bool = False
    seed: int = 0


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("rings", "rings", (2,), 0.485, "perceptron", (96, 96, 96, 96), 32, 1, 8000, batch=512),
        Recipe("digits", "digits", (1, 8, 8), 0.845, "unet", (24, 48), 64, 1, 6000, batch=64),
        Recipe("photos", "photos", (3, 32, 32), 0.66, "unet", (24, 48, 48), 64, 2, 12000, batch=16, every=4),
        Recipe("digits-large", "digits", (1, 8, 8), 0.845, "unet", (128, 256), 256, 1, 40000, 512, 5e-4, half=True),
        Recipe(
            "photos-large",
            "photos",
            (3, 32, 32),
            0.66,
            "unet",
            (128, 256, 256),
            256,
            1,
            100000,
            256,
            3e-4,
            4,
            half=True,
        ),
    )
}


def recipe_of(name: str) -> Recipe:
    """The recipe of a checkpoint.  Raises InputError on an unknown name."""
    if name not in RECIPES:
        raise InputError("NAME", name, f"not a checkpoint of ours; {nearest(name, RECIPES)}")
    return RECIPES[name]
