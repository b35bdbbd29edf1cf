"""How near a student of the rings is to its teacher, to the flow of the network, and to the law of the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..checkpoints.checkpoint import unit_point
from ..checkpoints.load import load
from ..metrics import trajectory
from ..points import Point
from ..semi_discrete_transport import w1_to_atoms
from ..targets.mixture import GaussianMixture
from ..training.data import RINGS, ring_samples
from .angles import angle, equal_angles
from .jump import run_jumps
from .objectives import at_level
from .posterior_chain import Guess, posterior_jump
from .student import Student, jumped, latent_guess, turned

COUNT = 20_000  # samples
TEACHER, FLOW = 16, 256  # steps of DDIM: of the teacher, and of what stands for the flow of its network
ACROSS = 3.0  # a sample is off a ring that is farther away than so many of the ring's deviations
OUTCOMES = {  # what is measured of a student, in words
    "to_teacher": "to teacher",
    "to_flow": "to flow",
    "radius": "W1 of radius",
    "inside": "share inside",
    "off": "share off",
}
RADIUS = GaussianMixture([0.5, 0.5], [r for r, _ in RINGS], stds=[s for _, s in RINGS])  # the law of |x|
MIDDLE = sum(radius for radius, _ in RINGS) / 2
CLEAN = Point(1.0, 0.0)


class Distances(NamedTuple):
    """Of samples: root mean square distances to the teacher's samples and to the flow's, from the same starts; W1 of
    the radius to its exact law; the share of samples off both rings.
    """

    to_teacher: float
    to_flow: float
    radius: float
    off: float


@torch.no_grad()
def outcomes(student: Student) -> dict[str, dict[str, float]]:
    """The distances of a student of rings in 1, 2, 4, … jumps, and of DDIM with the network of rings in as many steps.

    The names are "student, 1", "ddim, 1" and so on; "teacher" and "flow" are DDIM in TEACHER and FLOW steps. With
    "shortest, 1" a student of shortcuts is given the end of its shortest jump, at jumps of every length.
    """
    levels = unit_levels(student)
    ends = levels[0], levels[-1]
    start, teacher, flow = starts(levels[0]), ddim(*ends, TEACHER), ddim(*ends, FLOW)

    def measured(y: Tensor) -> dict[str, float]:
        return distances(y * student.unit, teacher * student.unit, flow * student.unit)._asdict()

    found = {"teacher": measured(teacher), "flow": measured(flow)}
    for jumps in counts(student):
        found[f"student, {jumps}"] = measured(run(student.network, start, chosen(student, levels, jumps)))
        found[f"ddim, {jumps}"] = measured(ddim(*ends, jumps))
        if student.objective == "shortcut":
            found[f"shortest, {jumps}"] = measured(as_shortest(student, start, levels, jumps))
    return found


@torch.no_grad()
def outcomes_of_draws(student: Student) -> dict[str, dict[str, float]]:
    """What is measured of an adversarial student of rings, whose samples have no start of their own to be compared by.

    W1 of the radius, shares of samples inside of the middle between both rings, and off both: of the student's chain,
    "student, 4", and of the same chain with the mean by the network of rings, "mean, 4".
    """
    levels, found = unit_levels(student), {}
    means = data_guess(load("rings").network)
    for name, guess in (("student", None), ("mean", means)):
        generator = torch.Generator().manual_seed(2)
        jump = posterior_jump(guess or latent_guess(student.network, generator), generator)
        y = run_jumps(jump, starts(levels[0]), [unit_point(lam) for lam in levels]) * student.unit
        radius = y.norm(dim=1).double()
        found[f"{name}, {len(levels) - 1}"] = {
            "radius": w1_to_atoms(RADIUS, CLEAN, radius),
            "inside": (radius < MIDDLE).double().mean().item(),
            "off": off_the_rings(radius),
        }
    return found


def data_guess(network: nn.Module) -> Guess:
    """guess(y, at): the data prediction of a network that answers v, at y of unit size."""
    return lambda y, at: jumped(network, y, at.t, math.inf)


def as_shortest(student: Student, y: Tensor, levels: Sequence[float], jumps: int) -> Tensor:
    """Jumps as long as a shortcut's, by a network that is given the end of the shortest one."""
    every = (len(levels) - 1) // jumps
    for n in range(0, len(levels) - 1, every):
        given = (torch.full((len(y),), level, dtype=y.dtype) for level in levels[n : n + 2])
        by = (angle(levels[n]) - angle(levels[n + every])).expand(len(y))
        y = turned(y, student.network(y, *given), by)
    return y


def counts(student: Student) -> list[int]:
    """The numbers of jumps that a student can make from its first level to its last."""
    last = len(student.levels) - 1
    match student.objective:
        case "progressive":
            return [last]
        case "consistency":
            return [1]
    return [2**k for k in range(last.bit_length())]


def chosen(student: Student, levels: Sequence[float], jumps: int) -> list[float]:
    """The levels through which a student jumps, of those that it has."""
    if student.objective == "consistency":
        return [levels[0], levels[-1]]
    return list(levels[:: (len(levels) - 1) // jumps])


@torch.no_grad()
def to_teacher(student: Student) -> float:
    """The first distance of a student in its fewest jumps, alone: it takes no fine run of the network."""
    levels = unit_levels(student)
    y = run(student.network, starts(levels[0]), chosen(student, levels, counts(student)[0]))
    return trajectory(y, ddim(levels[0], levels[-1], TEACHER)) * student.unit


def unit_levels(student: Student) -> list[float]:
    """The levels of a student for data of unit size."""
    unit = torch.tensor(student.unit, dtype=torch.float64).log().item()
    return [lam + unit for lam in student.levels]


@cache
def starts(lam: float) -> Tensor:
    """Samples at a level of the data of rings, in unit size."""
    generator = torch.Generator().manual_seed(1)
    return at_level(ring_samples(COUNT, generator) / load("rings").unit, lam, generator)


@cache
def ddim(first: float, last: float, steps: int) -> Tensor:
    """Where DDIM takes them with the network of rings, at equal angles; students of the same ends share it."""
    return run(load("rings").network, starts(first), equal_angles(first, last, steps))


def run(network: nn.Module, y: Tensor, levels: Sequence[float]) -> Tensor:
    """Jumps of a network through levels."""
    for lam, end in pairwise(levels):
        y = jumped(network, y, lam, end)
    return y


def distances(y: Tensor, teacher: Tensor, flow: Tensor) -> Distances:
    """The distances of samples y [n, 2] of the rings."""
    radius = y.norm(dim=1).double()
    return Distances(
        to_teacher=trajectory(y, teacher),
        to_flow=trajectory(y, flow),
        radius=w1_to_atoms(RADIUS, CLEAN, radius),
        off=off_the_rings(radius),
    )


def off_the_rings(radius: Tensor) -> float:
    """The share of samples off both rings, by their radii [n]."""
    beside = torch.stack([(radius - r).abs() > ACROSS * s for r, s in RINGS]).all(dim=0)
    return beside.double().mean().item()
