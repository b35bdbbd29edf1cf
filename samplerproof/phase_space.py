"""Phase-space Langevin diffusion: a state with a momentum, and the splitting integrators and exponential rules on it.

`PhaseSpace(gamma, nu, kappa)` is the process in the clock b, the integral of beta, with its closed form; with a mixture
it is a `PhaseMixture`: the exact score, law, samples and flow at every b, in any dimension. States are [n, 2 d], x
before m. A clock is a falling sequence of b, or a grid on a variance-preserving schedule, where alpha = e^{-b/2}.

`split(space, score, z, clock, name)` runs a splitting integrator, deterministic or with a source of noise: one of
`SPLITTINGS`, or a `Splitting` of your own substeps. `exponential_table(space, clock, nodes)` and `run_exponential` are
the exponential Adams rules, whose coefficients are 2 x 2 matrices. `split_moments` is the mean and covariance of a
splitting integrator on Gaussian data, `affine_moments` that of any run that is affine, `exact_moments` the exact one.

>>> import torch
>>> from samplerproof import GaussianMixture
>>> from samplerproof.techniques import phase_space
>>> space = phase_space.PhaseSpace(gamma=0.01, nu=4.01, kappa=0.04)
>>> law = phase_space.PhaseMixture(GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35]), space)
>>> clock = 8 * torch.linspace(1.0, 0.02, 51, dtype=torch.float64)
>>> z = law.sample(20, 8.0, torch.Generator().manual_seed(0))
>>> end = phase_space.split(space, law, z, clock, "strang-midpoint")
>>> other = phase_space.run_exponential(law, z, phase_space.exponential_table(space, clock, nodes=2))
>>> float((end - other)[:, 0].abs().max()) < 0.2
True
>>> [phase_space.SPLITTINGS[name].evaluations for name in ("euler", "reduced-velocity-verlet", "strang-midpoint")]
[1, 2, 6]
"""

from __future__ import annotations

from .numerics.phase_space.exponential_rules import PhaseTable, exponential_table, run_exponential
from .numerics.phase_space.phase_mixture import PhaseMixture
from .numerics.phase_space.phase_moments import Moments, affine_moments, exact_moments, split_moments
from .numerics.phase_space.phase_process import PhaseSpace
from .numerics.phase_space.splitting_records import SPLITTINGS, Splitting, Substep
from .numerics.phase_space.splitting_run import split

__all__ = [
    "SPLITTINGS",
    "Moments",
    "PhaseMixture",
    "PhaseSpace",
    "PhaseTable",
    "Splitting",
    "Substep",
    "affine_moments",
    "exact_moments",
    "exponential_table",
    "run_exponential",
    "split",
    "split_moments",
]
