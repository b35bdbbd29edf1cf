"""All techniques, in the order of the book: each module of this folder has a tuple TECHNIQUES."""

from __future__ import annotations

from . import (
    conditions,
    few_step_students,
    inversion,
    look_back,
    programmed_grids,
    rewards_and_chains,
    score_distillation,
    shifted_levels,
    shortcut_tuning,
    stored_starts,
    undistilled,
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
    *undistilled.TECHNIQUES,
    *rewards_and_chains.TECHNIQUES,
    *conditions.TECHNIQUES,
)
BY_NAME = {technique.name: technique for technique in TECHNIQUES}
