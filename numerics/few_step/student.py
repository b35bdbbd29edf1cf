"""A student: a network that was trained to make jumps between levels, with what is known of its training."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ..checkpoints.checkpoint import finite_lambda, unit_point
from ..checkpoints.description import read_toml, validated
from ..checkpoints.own_format import Network, OfNetwork, build, load_network
from ..checkpoints.own_networks import Perceptron
from ..errors import InputError, nearest, of_type
from ..points import Point, same_level, within_levels
from ..support.limits import NAME
from ..targets.mixture import POINT
from .angles import angle
from .jump import Jump
from .jump_network import LATENT, JumpPerceptron, LatentPerceptron
from .posterior_chain import Guess, posterior_jump

OWN_STUDENTS = Path(__file__).parent / "trained"  # part of the installation
Objective = Literal["progressive", "consistency", "shortcut", "reflow", "adversarial"]
ARCHITECTURES: dict[str, type[Perceptron]] = {
    "jump-perceptron": JumpPerceptron,  # takes the end of a jump, too
    "latent-perceptron": LatentPerceptron,  # and this one a latent
}


class DescribedStudent(OfNetwork):
    """checkpoint.toml of a student.  levels: lambda, from noise to data.  teacher: the name of a network, or "data"."""

    kind: Literal["student"]
    objective: Objective
    teacher: Annotated[str, Field(max_length=NAME)]
    levels: Annotated[list[float], Field(min_length=2, max_length=1000)]


@dataclass(frozen=True, eq=False)
class Student:
    """network(y, lam) or, for shortcuts, network(y, lam, end): v at y of unit size, as in checkpoints/own_format.py.

    The jump in angles th = atan(sigma/alpha) of data of unit size is y' = cos(th - th') y - sin(th - th') v: the step
    of DDIM if v is that of the exact score, and y itself for th' = th, for any network.
    Adversarial ones draw: network(y, lam, latent) is the v of a guess of the data, the jump that of posterior_jump.
    objective: what it was trained by.  levels: lambda between which it jumps, from noise to data.  unit: the root mean
    square of the data.  teacher: the name of the network that it was trained on.
    """

    name: str
    network: nn.Module
    objective: str
    levels: tuple[float, ...]
    shape: tuple[int, ...]
    unit: float
    teacher: str
    sha256: str

    def __repr__(self) -> str:
        return f"Student({self.name!r}, {self.objective}, {len(self.levels)} levels, of {self.teacher!r})"

    @property
    def points(self) -> tuple[Point, ...]:
        """Its levels as points with alpha^2 + sigma^2 = 1; it jumps as well between others of equal lambda."""
        return tuple(unit_point(lam) for lam in self.levels)

    def jump(self, dtype: torch.dtype = torch.float64, generator: torch.Generator | None = None) -> Jump:
        """The jumps of a copy of the network in a dtype; x [n, *shape] of any dtype, and so is what is returned.

        generator: of the latent and the noise of an `adversarial` student, which needs one; the others draw nothing.
        Raises InputError for an adversarial student without a generator, and, when it is called, for samples of
        another shape, and for a jump that the student was not trained for: `progressive`, `adversarial`, from a level
        to the next one; `consistency`, from a level to the last one; `shortcut`, over a power of two of steps;
        `reflow`, between any two levels from the first to the last.
        """
        of_type("dtype", dtype, torch.dtype, "a dtype, such as torch.float64")
        network = copy.deepcopy(self.network).to(dtype).eval().requires_grad_(False)
        if self.objective == "adversarial":
            of_type("generator", generator, torch.Generator, f"a torch.Generator, from which {self.name} draws")

        def jump(x: Tensor, start: Point, end: Point) -> Tensor:
            of_type("x", x, Tensor, "a tensor")
            of_type("start", start, Point, POINT)
            of_type("end", end, Point, POINT)
            self._check(start, end)
            if x.shape[1:] != self.shape:
                raise InputError("x", list(x.shape), f"samples [n, {', '.join(map(str, self.shape))}]")
            at, to = (unit_point(finite_lambda(point) + math.log(self.unit)) for point in (start, end))
            y = (x * (at.sigma / start.sigma)).to(dtype)
            if generator is not None and self.objective == "adversarial":
                new = posterior_jump(latent_guess(network, generator), generator)(y, at, to).to(x.dtype)
            else:
                new = jumped(network, y, at.t, to.t).to(x.dtype)
            return new * (end.sigma / to.sigma)

        return jump

    def _check(self, start: Point, end: Point) -> None:
        """InputError for a jump that it was not trained for."""
        if self.objective == "reflow":
            begin, last = finite_lambda(start), finite_lambda(end)
            if not (begin < last and all(within_levels(lam, self.levels[0], self.levels[-1]) for lam in (begin, last))):
                between = f"from lambda = {self.levels[0]:.6g} to {self.levels[-1]:.6g}"
                raise InputError("end", f"lambda = {end.lam:.6g}", f"a level after the start, {between}")
            return
        n, m = self._place("start", start), self._place("end", end)
        last = len(self.levels) - 1
        allowed = {
            "progressive": [n + 1],
            "adversarial": [n + 1],
            "consistency": [last],
            "shortcut": [n + 2**k for k in range(10) if n % 2**k == 0],
        }[self.objective]
        allowed = [k for k in allowed if n < k <= last]
        if m not in allowed:
            known = ", ".join(f"{self.levels[k]:.6g}" for k in allowed) or "none"
            raise InputError("end", f"lambda = {end.lam:.6g}", f"an end that {self.name} was trained for: {known}")

    def _place(self, name: str, point: Point) -> int:
        lam = finite_lambda(point)
        near = min(range(len(self.levels)), key=lambda n: abs(self.levels[n] - lam))
        if not same_level(self.levels[near], lam):
            allowed = f"a level that {self.name} was trained on; the nearest is {self.levels[near]:.6g}"
            raise InputError(name, f"lambda = {lam:.6g}", allowed)
        return near


def jumped(network: nn.Module, y: Tensor, lam: float | Tensor, end: float | Tensor) -> Tensor:
    """The jump of y [n, ...] of unit size from the levels lam to the levels end, numbers or [n]."""
    lam, end = (torch.as_tensor(level, dtype=torch.float64).expand(len(y)) for level in (lam, end))
    levels = (lam, end) if isinstance(network, JumpPerceptron) else (lam,)
    v: Tensor = network(y, *(level.to(y) for level in levels))
    return turned(y, v, angle(lam) - angle(end))


def latent_guess(network: nn.Module, generator: torch.Generator) -> Guess:
    """guess(y, at): the data that an adversarial student guesses from y [n, d] of unit size, with a drawn latent."""

    def guess(y: Tensor, at: Point) -> Tensor:
        latent = torch.randn((len(y), LATENT), generator=generator, dtype=y.dtype)
        v = network(y, torch.full((len(y),), at.t, dtype=y.dtype), latent)
        return turned(y, v, angle(at.t).expand(len(y)))

    return guess


def turned(y: Tensor, v: Tensor, by: Tensor) -> Tensor:
    """cos(by) y - sin(by) v: the point at an angle `by` [n] nearer to the data on the circle through y and v."""
    by = by.reshape(-1, *[1] * (y.ndim - 1))
    return by.cos().to(y) * y - by.sin().to(y) * v


def built(shape: Sequence[int], sizes: Network) -> nn.Module:
    """The untrained network of a student."""
    if sizes.architecture in ARCHITECTURES:
        return ARCHITECTURES[sizes.architecture](shape, sizes.widths, sizes.embedding)
    return build(shape, sizes)


def load_student(name: str | Path) -> Student:
    """A student of the project by its name, or of a folder that `samplerproof train` has written.

    Raises InputError on an unknown name, and on a folder without a student or whose files do not match.

    >>> import torch
    >>> import samplerproof as sp
    >>> student = sp.techniques.load_student("rings-consistency")
    >>> student.jump()(torch.zeros(4, 2), student.points[0], student.points[-1]).shape
    torch.Size([4, 2])
    """
    of_type("student", name, (str, Path), f"a folder, or one of {', '.join(own_students())}")
    folder = OWN_STUDENTS / str(name) if str(name) in own_students() else Path(name)
    if not folder.is_dir():
        raise InputError("student", str(name), f"a folder or a student of ours; {nearest(str(name), own_students())}")
    data = read_toml(folder)
    if data.get("kind") != "student":
        raise InputError("checkpoint.toml: kind", data.get("kind"), '"student"')
    return _loaded(folder, data)


def _loaded(folder: Path, data: dict[str, Any]) -> Student:
    description = validated(DescribedStudent, data)
    if any(later <= lam for lam, later in zip(description.levels, description.levels[1:], strict=False)):
        raise InputError("checkpoint.toml: levels", description.levels, "lambda that rises from noise to data")
    network, sha256 = load_network(folder, description, lambda: built(description.shape, description.network))
    return Student(
        name=description.name,
        network=network,
        objective=description.objective,
        levels=tuple(description.levels),
        shape=tuple(description.shape),
        unit=description.sigma_data,
        teacher=description.teacher,
        sha256=sha256,
    )


def own_students() -> list[str]:
    """The names of the project's own students."""
    return sorted(path.name for path in OWN_STUDENTS.glob("*") if path.is_dir())
