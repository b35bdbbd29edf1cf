"""`sp.design`: a table made for a model and a number of evaluations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .numerics.advice.advice_targets import question
from .numerics.design.designed import ENOUGH, Design, designed

if TYPE_CHECKING:
    from .numerics.checkpoints.checkpoint import Checkpoint
    from .numerics.denoisers import Denoiser
    from .numerics.schedules import Schedule
    from .numerics.targets.mixture import GaussianMixture


def design(
    denoise: Denoiser | GaussianMixture | Checkpoint | str,
    schedule: Schedule,
    nfe: int,
    *,
    shape: tuple[int, ...] | None = None,
    begin: float | None = None,
    end: float | None = None,
    method: str | None = None,
    tune: bool = False,
    seed: int = 0,
) -> Design:
    """A table made for a model: levels, and weights of the last four outputs, for `nfe` evaluations.

        denoise    a mixture, a checkpoint or its name, or a function (x, at, prediction); guidance is part of it
        schedule   the process, as sp.schedule makes it; the rows are in the data frame on every schedule
        nfe        evaluations of a run, 2 to 50
        shape      of a sample, for a function that has no attribute `shape`
        begin, end times of the schedule, noisy and clean; by default those of sp.advise
        method     a method of the catalogue: design its levels alone
        seed       of the start samples
        tune       go on through the model itself, by difference quotients of whole runs: takes longer

    The model is recorded along fine trajectories and linearised about them, so that the error at the end of any table
    is known with its sign. Levels and weights minimise it, sum over trajectories of log(1 + |error|^2/c), from those of
    records of the catalogue; the weights of a row sum to 1, which is its order-one condition.
    The answer has `designed`, `record` and `baseline`, the designed table, the best record on its best levels and 2M on
    Karras's levels, all measured on trajectories that nothing was chosen by; `table` is the better of the first two,
    for `sp.sample`; `proved`, what follows from its numbers; and `write(path)`, a table file with a checksum.
    Raises InputError as sp.advise does; SamplingError on a model that is not deterministic or not finite.

    >>> import samplerproof as sp
    >>> mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
    >>> found = sp.design(mixture, sp.schedule("edm"), nfe=4, begin=10.0, end=0.05)
    >>> found.designed.confirmed < found.record.confirmed / 1.5
    True
    """
    asked = question(denoise, schedule, nfe, shape=shape, begin=begin, end=end, budget=ENOUGH, seed=seed)
    name = denoise if isinstance(denoise, str) else getattr(denoise, "name", "")
    return designed(asked, method, tune, name)
