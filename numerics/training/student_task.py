"""What is learned by a student of few steps: the jumps of its teacher."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoints import own_format
from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.description import FORMAT
from ..checkpoints.load import load, own_names
from ..errors import InputError
from ..few_step import objectives
from ..few_step.adversarial import Rivals, adversarial
from ..few_step.angles import equal_angles
from ..few_step.outcomes import outcomes, outcomes_of_draws, run
from ..few_step.student import DescribedStudent, Student, built, load_student, own_students
from .data import DATA
from .recipes import StudentRecipe
from .task import Task, batch_generator, sizes

SPAN = 4.0  # |lambda| of both ends, in units of the data
PAIRS = 20_000  # of the teacher's ends, for reflow
ALONG = 64  # steps of the teacher from one end of a pair to the other
FLOW_ENDS = (0.999, 0.001)  # times of the linear path between which shortcuts jump


def student_task(recipe: StudentRecipe, where: torch.device) -> Task:
    """The task of a recipe for a student.  Raises InputError where its teacher is of another kind."""
    data = DATA[recipe.data]()
    samples = data.train.to(where) / recipe.sigma_data
    levels = unit_levels(recipe.objective, recipe.jumps)
    teacher = None if recipe.teacher == "data" else teacher_of(recipe).to(where).eval().requires_grad_(False)
    learned = _objective(recipe, teacher, levels, samples)

    def build() -> nn.Module:
        if recipe.objective == "adversarial":
            return Rivals(recipe.shape, recipe.widths, recipe.embedding)
        network = built(recipe.shape, sizes(recipe))
        if recipe.from_teacher and teacher is not None:
            network.load_state_dict(teacher.state_dict())
        return network

    def loss(network: nn.Module, average: nn.Module, step: int) -> Tensor:
        return learned(network, average, batch_generator(recipe.seed, step))

    shift = torch.tensor(recipe.sigma_data, dtype=torch.float64).log().item()
    of_data = [lam - shift for lam in levels]

    def outcome(network: nn.Module) -> dict[str, Any]:
        made = (recipe.name, kept(network), recipe.objective, tuple(of_data))
        student = Student(*made, recipe.shape, recipe.sigma_data, recipe.teacher, sha256="")
        measure = outcomes_of_draws if recipe.objective == "adversarial" else outcomes
        return {"outcomes": measure(student)}

    def save(folder: Path, network: nn.Module, provenance: dict[str, str]) -> None:
        made = DescribedStudent(
            format=FORMAT,
            kind="student",
            name=recipe.name,
            objective=recipe.objective,
            teacher=recipe.teacher,
            shape=list(recipe.shape),
            sigma_data=recipe.sigma_data,
            levels=of_data,
            network=sizes(recipe),
            provenance=provenance,
        )
        own_format.save(folder, kept(network), made)

    return Task(build, loss, recipe.decay, outcome, save)


def kept(network: nn.Module) -> nn.Module:
    """The student of what is trained, without a discriminator."""
    return network.student if isinstance(network, Rivals) else network


def unit_levels(objective: str, jumps: int) -> list[float]:
    """The levels of a student, in units of the data: equal angles, or for shortcuts equal times of the linear path."""
    if objective == "shortcut":
        times = torch.linspace(*FLOW_ENDS, jumps + 1, dtype=torch.float64)
        return ((1 - times) / times).log().tolist()
    return equal_angles(-SPAN, SPAN, jumps)


def teacher_of(recipe: StudentRecipe) -> nn.Module:
    """The network of a recipe's teacher.

    Raises InputError on an unknown teacher, on one that predicts another thing or was trained on other data, and on a
    student whose jumps the recipe does not halve.
    """
    if recipe.teacher in own_students():
        student = load_student(recipe.teacher)
        _same(recipe, student)
        if student.objective != "progressive" or len(student.levels) - 1 != 2 * recipe.jumps:
            allowed = f"a progressive student of {2 * recipe.jumps} jumps, which {recipe.name} halves"
            raise InputError("teacher", recipe.teacher, allowed)
        return student.network
    if recipe.teacher not in own_names():
        raise InputError("teacher", recipe.teacher, f"one of {', '.join([*own_names(), *own_students()])}")
    teacher = load(recipe.teacher)
    _same(recipe, teacher)
    if teacher.prediction != "v":
        raise InputError("teacher", teacher.prediction, "a network that predicts v")
    return teacher.network


def _same(recipe: StudentRecipe, teacher: Checkpoint | Student) -> None:
    for name, theirs, ours in (
        ("shape", teacher.shape, recipe.shape),
        ("size of the data", teacher.unit, recipe.sigma_data),
    ):
        if theirs != ours:
            raise InputError(f"teacher: {name}", theirs, f"{ours}, as {recipe.name} has it")


def _objective(
    recipe: StudentRecipe, teacher: nn.Module | None, levels: Sequence[float], samples: Tensor
) -> objectives.Loss:
    if recipe.objective == "shortcut":
        return objectives.shortcut(levels, samples, recipe.batch)
    if recipe.objective == "adversarial":
        return adversarial(levels, samples, recipe.batch)
    assert teacher is not None
    match recipe.objective:
        case "progressive":
            finer = unit_levels(recipe.objective, 2 * recipe.jumps)
            return objectives.progressive(teacher, finer, samples, recipe.batch)
        case "consistency":
            return objectives.consistency(teacher, levels, samples, recipe.batch)
    return objectives.reflow(_pairs(recipe, teacher, samples), levels, recipe.batch)


@torch.no_grad()
def _pairs(recipe: StudentRecipe, teacher: nn.Module, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Samples of the forward process at the first level, and where the teacher's DDIM takes them."""
    levels = unit_levels(recipe.objective, ALONG)
    start = objectives.at_level(samples[:PAIRS], levels[0], batch_generator(recipe.seed, 0, 1))
    return start, run(teacher, start, levels)
