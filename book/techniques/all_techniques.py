"""All techniques, in the order of the book: each module of this folder has a tuple TECHNIQUES."""

from __future__ import annotations

from . import (
    few_step_students,
    inversion,
    look_back,
    programmed_grids,
    score_distillation,
    shifted_levels,
    shortcut_tuning,
    stored_starts,
)
from .technique import Technique

TECHNIQUES: tuple[Technique, ...] = (
    *inversion.TECHNIQUES,
    *programmed_grids.TECHNIQUES,
    *look_back.TECHNIQUES,
    *shifted_levels.TECHNIQUES,
    *score_distillation.TECHNIQUES,
    *stored_starts.TECHNIQUES,
    *shortcut_tuning.TECHNIQUES,
    *few_step_students.TECHNIQUES,
)
BY_NAME = {technique.name: technique for technique in TECHNIQUES}
