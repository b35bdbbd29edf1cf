"""A question: a model, the ends of its levels, the evaluations of a run, and how many may be spent on the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..checkpoints.checkpoint import Checkpoint
from ..denoisers import Denoiser
from ..errors import InputError, SamplingError, whole
from ..points import Point
from ..schedules import Schedule
from .tangents import DIRECTIONS, LEVELS

BUDGET = 500  # rows of the model, by default
FIRST = 150  # rows by which a first answer is there
FEWEST_STEPS, FINER = 30, 3  # of a recording: at least so many, and so many for every evaluation of the run
RECORDED = 0.5  # of the budget, for recordings; the rest is for confirmation
SHORT_LIST, FEWEST = 16, 8  # candidates that are confirmed: at most, and at least where more trajectories are to be had
MOST_TRAJECTORIES = 16
EARLY = 6  # candidates run for the first answer, at most
PICTURE = 16  # numbers of a sample from which one trajectory decides enough for a first answer
FEW = 4  # candidates that are run where the budget pays for two trajectories only
MOST_NFE = 200
STREAM = 4  # of the seed, from which every start sample has a stream of its own
SAME = 1e-5  # relative difference of two outputs for one input: a device may round a sum in another order


@dataclass(frozen=True, eq=False)
class Question:
    """A model at points from begin to end of a schedule, and what is asked of it.

    shape: of a sample.  nfe: evaluations of a run.  budget: rows of the model, in all.
    identity: what determines the model, as JSON, for the name of what is kept; None keeps nothing.
    lines: of Python, that make `denoise`; none where it is the caller's own.  checkpoint: that of the model, if one.
    """

    denoise: Denoiser
    schedule: Schedule
    begin: Point
    end: Point
    shape: tuple[int, ...]
    nfe: int
    budget: int = BUDGET
    seed: int = 0
    identity: Mapping[str, Any] | None = None
    lines: tuple[str, ...] = ()
    checkpoint: Checkpoint | None = None

    def __post_init__(self) -> None:
        if not 2 <= whole("nfe", self.nfe) <= MOST_NFE:
            raise InputError("nfe", self.nfe, f"evaluations of a run, 2 to {MOST_NFE}")
        whole("budget", self.budget)
        plan_of(self)

    def start(self, number: int) -> Tensor:
        """Start sample of that number at the noisy end, [*shape]: Gaussian, with the schedule's standard deviation."""
        spawned = np.random.SeedSequence(self.seed, spawn_key=(STREAM, number)).generate_state(1, np.uint64)[0]
        drawn = torch.randn(self.shape, generator=torch.Generator().manual_seed(int(spawned)), dtype=torch.float64)
        return self.schedule.prior_std(self.begin) * drawn

    def starts(self, numbers: range) -> Tensor:
        """Several start samples, [len(numbers), *shape]."""
        return torch.stack([self.start(number) for number in numbers])


class Plan(NamedTuple):
    """How a budget is spent: steps of each recording, trajectories before the first answer and in all, short list.

    early: candidates that are run for the first answer.
    """

    steps: int
    first: int
    trajectories: int
    confirmed: int
    early: int


def plan_of(question: Question) -> Plan:
    """The plan within the budget.  Raises InputError where it does not pay for a trajectory and two runs beside it."""
    nfe, budget = question.nfe, question.budget - 1  # one row is asked twice
    steps = max(FEWEST_STEPS, FINER * nfe)
    each = steps + 1 + LEVELS * min(DIRECTIONS, math.prod(question.shape))

    # Of a first answer: two trajectories where a sample has few numbers and an error may cross zero; else more runs.
    first = 2 if math.prod(question.shape) < PICTURE and 2 * each + 1 <= min(FIRST, budget) else 1
    early = max(0, min(EARLY, (FIRST - 1 - first * each) // (first * nfe), (budget - each - 2 * nfe) // (first * nfe)))

    def runs(count: int) -> int:
        return min(SHORT_LIST, (budget - early * first * nfe - count * each) // (count * nfe))

    if runs(1) < 2:
        least = each + 2 * nfe + 1
        raise InputError("budget", question.budget, f"at least {least}: one trajectory, and two samplers run beside it")
    count = max(1, min(MOST_TRAJECTORIES, int(RECORDED * budget / each)))
    if count == 1 and runs(2) >= FEW:
        count = 2  # one sample, whose error may cross zero, decides little
    while runs(count) < 2:
        count -= 1
    while count < MOST_TRAJECTORIES and runs(count) == SHORT_LIST and runs(count + 1) >= FEWEST:
        count += 1
    return Plan(steps, min(first, count), count, runs(count), early)


def check_deterministic(question: Question, at: Point, state: Tensor, data: Tensor) -> None:
    """Ask one recorded row again, [*shape]; SamplingError where the answer is another one."""
    again = question.denoise(state[None], at, "data")[0].to("cpu", torch.float64)
    off = float((again - data).abs().max())
    if not off <= SAME * max(float(data.abs().max()), 1e-12):
        raise SamplingError(
            f"t = {at.t:g}: the model returns another value for the same input, {off:.3g} off: "
            "switch dropout and noise inside it off"
        )
