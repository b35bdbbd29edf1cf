"""All techniques, in the order of the book: each module of this folder has a tuple TECHNIQUES."""

from __future__ import annotations

from . import (
    changed_weights,
    conditioned_laws,
    distilled_solvers,
    few_step_students,
    inversion,
    look_back,
    programmed_grids,
    rewards_and_chains,
    score_distillation,
    shifted_levels,
    shortcut_tuning,
    splitting_integrators,
    stale_runs,
    steps_in_training,
    stitched_models,
    stored_starts,
    trained_students,
    undistilled,
)
from .technique import Technique

TECHNIQUES: tuple[Technique, ...] = (
    *inversion.TECHNIQUES,
    *distilled_solvers.TECHNIQUES,
    *programmed_grids.TECHNIQUES,
    *look_back.TECHNIQUES,
    *stitched_models.TECHNIQUES,
    *shifted_levels.TECHNIQUES,
    *score_distillation.TECHNIQUES,
    *splitting_integrators.TECHNIQUES,
    *stored_starts.TECHNIQUES,
    *shortcut_tuning.TECHNIQUES,
    *stale_runs.TECHNIQUES,
    *changed_weights.TECHNIQUES,
    *few_step_students.TECHNIQUES,
    *trained_students.TECHNIQUES,
    *steps_in_training.TECHNIQUES,
    *undistilled.TECHNIQUES,
    *rewards_and_chains.TECHNIQUES,
    *conditioned_laws.TECHNIQUES,
)
BY_NAME = {technique.name: technique for technique in TECHNIQUES}
