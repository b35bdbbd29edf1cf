"""Splitting integrators of phase space, as data: which part of the reversed drift acts when, and on which score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError, nearest
from ..generated import phase_splittings
from .phase_process import PhaseSpace


class Part(NamedTuple):
    """A part of dz = (K z + L s) db + dW, as b falls: K, L and the covariance of W in a unit of b, [2, 2] each."""

    linear: Tensor
    score: Tensor
    noise: Tensor

    def plus(self, other: Part, share: float = 1.0) -> Part:
        """The part with a share of another added."""
        return Part(*(mine + share * theirs for mine, theirs in zip(self, other, strict=True)))


class Substep(NamedTuple):
    """A part over a share of the step.

    at: the position in the step, from 0 at its start to 1 at its end, of the b that the score is asked at.  kept: the
    score of the substep before is used again.  midpoint: the midpoint rule in place of Euler's; parts without a score
    are solved exactly.
    """

    part: str
    share: float = 1.0
    at: float = 0.0
    kept: bool = False
    midpoint: bool = False


@dataclass(frozen=True)
class Splitting:
    """A splitting integrator: its substeps in order, for the probability-flow equation or for the stochastic one.

    Parts of both: A of x and B of m.  Stochastic ones also: O, the decay of x and of m with their noises; L, O with the
    coupling of x and m; S, what L leaves of the score's part; E, everything at once.
    Raises InputError on unknown parts, on a kept score that nothing was asked before, and where the shares of a part
    of the reversed drift do not add up to the step.
    """

    name: str
    stochastic: bool
    substeps: tuple[Substep, ...]

    def __post_init__(self) -> None:
        parts, asked = parts_of(PhaseSpace(1.0, 3.0), self.stochastic), False
        whole = Part(*(torch.zeros(2, 2, dtype=torch.float64) for _ in range(3)))
        for substep in self.substeps:
            if substep.part not in parts:
                raise InputError("splitting", substep.part, f"parts: {', '.join(parts)}")
            if substep.kept and not asked:
                raise InputError("splitting", substep.part, "a kept score needs one that was asked before")
            asked |= bool(parts[substep.part].score.any())
            whole = whole.plus(parts[substep.part], substep.share)
        if not all(torch.allclose(mine, due, atol=1e-12) for mine, due in zip(whole, parts["E"], strict=True)):
            raise InputError("splitting", self.name, "parts whose shares add up to the reversed drift and its noise")

    @property
    def evaluations(self) -> int:
        """Scores that are asked in a step."""
        parts = parts_of(PhaseSpace(1.0, 3.0), self.stochastic)
        return sum(1 + s.midpoint for s in self.substeps if not s.kept and bool(parts[s.part].score.any()))


def parts_of(space: PhaseSpace, stochastic: bool) -> dict[str, Part]:
    """The parts of the reversed equation by name; A + B, A + B + O and L + S are E, the whole of it."""
    made = (phase_splittings.stochastic if stochastic else phase_splittings.of_flow)(space.gamma, space.nu, space.mass)
    return {name: Part(*(torch.tensor(row, dtype=torch.float64) for row in three)) for name, three in made.items()}


SPLITTINGS: Mapping[str, Splitting] = {
    name: Splitting(name, stochastic, tuple(Substep(*substep) for substep in substeps))
    for name, (stochastic, substeps) in phase_splittings.SPLITTINGS.items()
}


def splitting(name: str | Splitting) -> Splitting:
    """The splitting integrator of a name.  Raises InputError on an unknown one."""
    if isinstance(name, Splitting):
        return name
    if name not in SPLITTINGS:
        raise InputError("splitting", name, f"not a splitting integrator; {nearest(str(name), SPLITTINGS)}")
    return SPLITTINGS[name]
