"""The recipes of `samplerproof train`: all that determines a network, besides the machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

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


Objective = Literal["progressive", "consistency", "shortcut", "reflow", "adversarial"]


@dataclass(frozen=True)
class StudentRecipe(Recipe):
    """A student of few steps (numerics/few_step): a recipe with these besides.

    objective: what it learns by.  teacher: the name of a network or a student.  jumps: its levels, less one.
    decay: of the average of the weights, which is the target network of consistency.
    from_teacher: whether the weights of the teacher are its first ones.
    """

    objective: Objective = "progressive"
    teacher: str = "rings"
    jumps: int = 1
    decay: float = 0.999
    from_teacher: bool = True


_RING = Recipe("rings", "rings", (2,), 0.485, "perceptron", (96, 96, 96, 96), 32, 1, 8000, batch=512)


def _on_rings(name: str, objective: Objective, jumps: int, steps: int, **others: Any) -> StudentRecipe:
    """A student of the network of rings, of its size unless another one is given."""
    given = {**asdict(_RING), "batch": 256, "rate": 1e-3, **others}
    return StudentRecipe(**{**given, "name": name, "objective": objective, "jumps": jumps, "steps": steps})


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        _RING,
        # "-small" are the partners where two networks share a run.
        Recipe("rings-small", "rings", (2,), 0.485, "perceptron", (48, 48, 48), 16, 1, 8000, batch=512),
        Recipe("digits", "digits", (1, 8, 8), 0.845, "unet", (24, 48), 64, 1, 6000, batch=64),
        Recipe("digits-small", "digits", (1, 8, 8), 0.845, "unet", (8, 16), 32, 1, 6000, batch=64),
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
        _on_rings("rings-progressive-8", "progressive", 8, 1200),
        _on_rings("rings-progressive-4", "progressive", 4, 1200, teacher="rings-progressive-8"),
        _on_rings("rings-progressive-2", "progressive", 2, 1200, teacher="rings-progressive-4"),
        _on_rings("rings-progressive-1", "progressive", 1, 1200, teacher="rings-progressive-2"),
        _on_rings("rings-consistency", "consistency", 16, 3000, decay=0.95),
        _on_rings(
            "rings-shortcut",
            "shortcut",
            64,
            6000,
            architecture="jump-perceptron",
            rate=2e-3,
            from_teacher=False,
            teacher="data",
        ),
        _on_rings("rings-reflow", "reflow", 32, 3000),
        _on_rings(
            "rings-adversarial",
            "adversarial",
            4,
            6000,
            architecture="latent-perceptron",
            widths=(96, 96, 96),
            from_teacher=False,
            teacher="data",
        ),
    )
}


def recipe_of(name: str) -> Recipe:
    """The recipe of a checkpoint.  Raises InputError on an unknown name."""
    if name not in RECIPES:
        raise InputError("NAME", name, f"not a checkpoint of ours; {nearest(name, RECIPES)}")
    return RECIPES[name]
