"""Techniques around samplers, by the names of their papers; `samplerproof reproduce --seeds` has the verdicts.

Inversion: `edict(grid, p)` is the table of EDICT, `reversed_grid(grid)` a grid from clean to noisy for DDIM inversion
and DPM-Solver inversion, `round_trip(denoise, start, tableau)` a run and its inverse with the measured error and the
one that rounding predicts; `sp.invert` is the inverse of any table that has one.
A state with a momentum: `phase_space`, a module of its own.
Solvers: `sp.fit_one_parameter` fits the parameter of a method to a teacher, a number a step, `d_ode(table, denoise,
start, target)` a D-ODE solver over any table; `exact_target` and `teacher_target` are what they are fitted to.
Models: `stitched(denoisers, levels)` is T-Stitch, a model for each range of lambda; `with_level(denoise, level)` gives
a model another noise level than that of its input, such as Timestep Aligner's `times_ratio(grid, ratios)`; and
`displacement(mixture, denoise, grid)` is how far the error of a model moves the end, to first order.

Changed networks: `propagated`, `inherited` (features from earlier evaluations), `skips` and `low_rank` wrap a network
of a checkpoint, or one of diffusers (all but `inherited`); `stale_mixture` is the first on a mixture; `counted_macs`
and `BreakEven` are whether it is worth it.
Few steps: `load_student` is a trained student; `least_slope(move, x)` is whether the map of a sampler folds, so that
the lines of a reflow cross.

>>> import torch
>>> import samplerproof as sp
>>> mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
>>> grid = sp.grid(sp.schedule("vp-linear"), "uniform-t", 20, t_min=1e-3, t_max=1.0)
>>> z = torch.tensor([[-1.0], [0.5]], dtype=torch.float64)
>>> trip = sp.techniques.round_trip(mixture, [z, z], sp.techniques.edict(grid, p=0.93))
>>> trip.error < 1e-12, trip.inversion.exact
(True, True)
"""

from __future__ import annotations

from . import phase_space
from .numerics.distillation.distilled import distilled
from .numerics.distillation.noise_finders import cached_noise, fixed_noise, fresh_noise, inverted_noise
from .numerics.few_step.ideal_students import deviation_factor, distilled_target, second_step_factor
from .numerics.few_step.jump import ddim_jump, run_jumps, semigroup_residual, through
from .numerics.few_step.merged_steps import merged
from .numerics.few_step.posterior_chain import posterior_chain, posterior_jump
from .numerics.few_step.straightness import least_slope
from .numerics.few_step.student import load_student
from .numerics.fitted_solvers.fit import FittedSolver, d_ode
from .numerics.fitted_solvers.teacher_targets import exact_target, teacher_target
from .numerics.given_levels.aligner import fit_ratios, released, to_the_flow
from .numerics.given_levels.time_shift import time_shifted
from .numerics.given_levels.with_level import times_ratio, with_level
from .numerics.inversion.edict import edict
from .numerics.inversion.invert import round_trip
from .numerics.inversion.reversed_grid import ReversedGrid, reversed_grid
from .numerics.leading.displacement import Displacement, displacement
from .numerics.optimal_grids.elbo_costs import elbo_costs
from .numerics.optimal_grids.local_error_costs import local_error_costs
from .numerics.policy_gradient import GaussianChain, exact_gradient, policy_gradient, shortcut
from .numerics.restoration import restored
from .numerics.semi_discrete_transport import cell_masses, heights
from .numerics.stitching import stitched
from .numerics.surgery.break_even import BreakEven
from .numerics.surgery.low_rank import input_moments, low_rank, ranks_of
from .numerics.surgery.macs import counted_macs
from .numerics.surgery.scaled_skips import skips
from .numerics.surgery.stale_mixture import stale_mixture
from .numerics.surgery.stale_unet import decoded_together, inherited, propagated
from .numerics.targets.from_data import bank, fitted
from .numerics.targets.tilted_process import TiltedProcess
from .numerics.unrolled import unrolled

__all__ = [
    "BreakEven",
    "Displacement",
    "FittedSolver",
    "GaussianChain",
    "ReversedGrid",
    "TiltedProcess",
    "bank",
    "cached_noise",
    "cell_masses",
    "counted_macs",
    "d_ode",
    "ddim_jump",
    "decoded_together",
    "deviation_factor",
    "displacement",
    "distilled",
    "distilled_target",
    "edict",
    "elbo_costs",
    "exact_gradient",
    "exact_target",
    "fit_ratios",
    "fitted",
    "fixed_noise",
    "fresh_noise",
    "heights",
    "inherited",
    "input_moments",
    "inverted_noise",
    "least_slope",
    "load_student",
    "local_error_costs",
    "low_rank",
    "merged",
    "phase_space",
    "policy_gradient",
    "posterior_chain",
    "posterior_jump",
    "propagated",
    "ranks_of",
    "released",
    "restored",
    "reversed_grid",
    "round_trip",
    "run_jumps",
    "second_step_factor",
    "semigroup_residual",
    "shortcut",
    "skips",
    "stale_mixture",
    "stitched",
    "teacher_target",
    "through",
    "time_shifted",
    "times_ratio",
    "to_the_flow",
    "unrolled",
    "with_level",
]
