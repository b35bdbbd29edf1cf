"""`sp.advise`: which sampler on which levels, for a model and a number of evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .numerics.advice.advice import Advice
from .numerics.advice.advice import advise as answer
from .numerics.advice.advice_targets import question
from .numerics.advice.question import BUDGET
from .numerics.errors import InputError

if TYPE_CHECKING:
    from .numerics.checkpoints.checkpoint import Checkpoint
    from .numerics.denoisers import Denoiser
    from .numerics.schedules import Schedule
    from .numerics.targets.mixture import GaussianMixture


def advise(
    denoise: Denoiser | GaussianMixture | Checkpoint | str,
    schedule: Schedule,
    nfe: int,
    *,
    shape: tuple[int, ...] | None = None,
    begin: float | None = None,
    end: float | None = None,
    budget: int = BUDGET,
    seed: int = 0,
    designs: tuple[str, ...] = (),
    out: str | Path | None = None,
) -> Advice:
    """Choose a deterministic sampler and its levels for a model, at `nfe` evaluations.

        denoise    a mixture, a checkpoint or its name, or a function (x, at, prediction); guidance is part of it
        schedule   the process, as sp.schedule makes it
        nfe        evaluations of a run, 2 to 200
        shape      of a sample, for a function that has no attribute `shape`
        begin, end times of the schedule, noisy and clean; by default where sigma/alpha is 80 and 0.002, or as near as
                   the schedule and the training of a checkpoint allow
        budget     rows of the model that the answer may take: recordings, tangents and confirmations
        seed       of the start samples
        designs    table files, as `samplerproof design` writes them, as further candidates
        out        a folder where a checkpoint's or a mixture's recordings are kept, so that a query can be resumed

    A few trajectories are recorded finely; the defect of every row of every candidate follows from them, and is carried
    to the end with its sign; the best by this prediction, and 2M on Karras's levels, are run beside the recording.
    `choice`, `baseline` and `entries` have `predicted` and `confirmed` errors: the root mean square over the numbers of
    a sample of the distance to its trajectory's end, as the geometric mean over samples, with the least and the largest
    as `low` and `high`; `expected`, by which they are sorted, is the prediction, times confirmed over predicted for the
    samples of the runs. `print` shows the answer with lines to paste, `plain()` returns it as JSON has it.
    Raises InputError on a budget that does not pay for one trajectory and two runs, and on ends outside of a network's
    training; SamplingError on a model that is not deterministic or returns values that are not finite.

    >>> import samplerproof as sp
    >>> mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
    >>> advice = sp.advise(mixture, sp.schedule("edm"), nfe=5, budget=150)
    >>> advice.choice.confirmed < advice.baseline.confirmed
    True
    >>> advice.evaluations <= 150
    True
    """
    from .numerics.table_file import read_table

    asked = question(denoise, schedule, nfe, shape=shape, begin=begin, end=end, budget=budget, seed=seed)
    if isinstance(designs, str):
        raise InputError("designs", designs, "a sequence of table files")
    return answer(asked, None if out is None else Path(out), designed={name: read_table(name) for name in designs})
