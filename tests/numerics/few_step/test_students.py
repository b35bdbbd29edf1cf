"""Students of few steps: an ideal one is its teacher compiled, kept ones are near it, and each refuses other jumps."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace

import pytest
import torch
from torch import nn

import samplerproof as sp
from samplerproof.numerics.checkpoints.load import load
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.few_step import objectives
from samplerproof.numerics.few_step import outcomes as of_students
from samplerproof.numerics.few_step.angles import angle, equal_angles
from samplerproof.numerics.few_step.outcomes import counts, outcomes
from samplerproof.numerics.few_step.student import (
    OWN_STUDENTS,
    Student,
    jumped,
    load_student,
    own_students,
)
from samplerproof.numerics.points import Point
from samplerproof.numerics.support.devices import kind_of_cpu
from samplerproof.numerics.training import student_task, training_loop
from samplerproof.numerics.training.recipes import RECIPES, StudentRecipe

STUDENTS = sorted(name for name, recipe in RECIPES.items() if isinstance(recipe, StudentRecipe))
V = 0.4  # the variance of a normal law
SAMPLES = math.sqrt(V) * torch.randn(500, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Exact(nn.Module):
    """v of N(0, V) at levels lam."""

    def forward(self, y, lam):
        a, s = (2 * lam).sigmoid().sqrt()[:, None], (-2 * lam).sigmoid().sqrt()[:, None]
        return a * s * (1 - V) / (a**2 * V + s**2) * y


class Composed(nn.Module):
    """The v of jumps over `every` of the levels, made of those of Exact, from any level that such a jump starts at.

    every: None for jumps to the last level.  off: a relative error.
    """

    def __init__(self, levels, every, off=0.0):
        super().__init__()
        self.levels, self.every, self.off = levels, every, off
        self.weight = nn.Parameter(torch.ones(1, dtype=torch.float64))

    def forward(self, y, lam):
        out = torch.zeros_like(y)
        for n, level in enumerate(self.levels[:-1]):
            at = (lam - level).abs() < 1e-9
            last = len(self.levels) - 1 if self.every is None else min(n + self.every, len(self.levels) - 1)
            after = y
            for a, b in zip(self.levels[n:last], self.levels[n + 1 : last + 1], strict=True):
                after = jumped(Exact(), after, a, b)
            by = angle(level) - angle(self.levels[last])
            out = torch.where(at[:, None], (by.cos() * y - after) / by.sin(), out)
        return out * (1 + self.off)


def ideal(objective, off=0.0):
    """The loss of the ideal student of Exact in eight steps, with a relative error."""
    levels = equal_angles(-3.0, 3.0, 8)
    generator = torch.Generator().manual_seed(0)
    if objective == "progressive":
        loss, network = objectives.progressive(Exact(), levels, SAMPLES, 64), Composed(levels, 2, off)
    else:
        loss, network = objectives.consistency(Exact(), levels, SAMPLES, 64), Composed(levels, None, off)
    return loss(network, network, generator).item()


@pytest.mark.parametrize("objective", ["progressive", "consistency"])
def test_the_loss_of_the_compiled_teacher_is_zero(objective):
    """Assert it to rounding, and that a student off by 1e-3 has a loss."""
    assert ideal(objective) < 1e-24
    assert ideal(objective, 1e-3) > 1e-9


class Shortcuts(nn.Module):
    """The v of jumps between any two of the levels, made of steps of Exact."""

    def __init__(self, levels, off=0.0):
        super().__init__()
        self.levels, self.off = levels, off

    def forward(self, y, lam, end):
        place = lambda level: min(range(len(self.levels)), key=lambda k: abs(self.levels[k] - level))  # noqa: E731
        rows = []
        for row, (a, b) in enumerate(zip(lam.tolist(), end.tolist(), strict=True)):
            n, m = place(a), place(b)
            after = y[row : row + 1]
            for k in range(n, m):
                after = jumped(Exact(), after, self.levels[k], self.levels[k + 1])
            by = angle(a) - angle(b)
            rows.append((by.cos() * y[row : row + 1] - after) / by.sin() * (1 + self.off * (m - n > 1)))
        return torch.cat([y[:0], *rows])


def test_shortcuts_of_the_compiled_teacher_bootstrap_themselves(monkeypatch):
    """Assert that the rows of longer jumps have no loss at the compiled teacher, and one where these are off."""
    monkeypatch.setattr("samplerproof.numerics.few_step.student.JumpPerceptron", Shortcuts)
    levels = equal_angles(-3.0, 3.0, 8)
    monkeypatch.setattr(objectives, "BOOTSTRAPPED", 1)
    loss = objectives.shortcut(levels, SAMPLES, 16)
    for off, low, high in ((0.0, 0.0, 1e-24), (1e-3, 1e-10, 1.0)):
        network = Shortcuts(levels, off)
        assert low <= loss(network, network, torch.Generator().manual_seed(0)).item() <= high


def test_the_arcs_of_reflow_meet_both_ends():
    """Assert that one jump of the exact velocity of a pair goes from one end to the other, and of another pair not."""
    levels = equal_angles(-4.0, 4.0, 1)
    start, end = torch.randn(2, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    seen = []

    class Recorded(nn.Module):
        def forward(self, y, lam):
            seen.append((y, lam))
            return torch.zeros_like(y)

    loss = objectives.reflow((start[:1], end[:1]), levels, 4)
    loss(Recorded(), Recorded(), torch.Generator().manual_seed(0))
    y, lam = seen[0]
    # The velocity along the arc through both ends, by its two points.
    begin, last = angle(levels[0]), angle(levels[1])
    v = (torch.cos(begin - last) * start[:1] - end[:1]) / torch.sin(begin - last)
    for row, level in enumerate(lam):
        on_arc = jumped(_Constant(v), start[:1], levels[0], level)
        assert torch.allclose(on_arc[0], y[row], atol=1e-12)
        assert not torch.allclose(jumped(_Constant(v), start[1:2], levels[0], level)[0], y[row], atol=1e-3)


class _Constant(nn.Module):
    def __init__(self, v):
        super().__init__()
        self.v = v

    def forward(self, y, lam):
        return self.v.expand_as(y)


def test_levels_that_an_objective_does_not_have():
    with pytest.raises(InputError, match=r"^levels: got 8; an odd number"):
        objectives.progressive(Exact(), equal_angles(-1, 1, 7), SAMPLES, 4)
    with pytest.raises(InputError, match=r"^levels: got 7; a power of two, and one"):
        objectives.shortcut(equal_angles(-1, 1, 6), SAMPLES, 4)


def test_every_student_is_kept_with_its_record():
    """Assert seed, seconds and commit, a clean tree, and at most 200 kB for each."""
    assert own_students() == STUDENTS
    for name in own_students():
        folder = OWN_STUDENTS / name
        record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
        assert record["command"] == f"samplerproof train {name}"
        assert record["recipe"]["seed"] == 0
        assert {"commit", "seconds", "cpu", "curve", "outcomes"} <= set(record)
        assert record["dirty"] is False
        assert sum(path.stat().st_size for path in folder.iterdir()) < 200_000
        assert load_student(name).sha256 != load_student(own_students()[own_students().index(name) - 1]).sha256


def near(name, found):
    """Whether the distances of a kept student are as good as was set before it was trained."""
    one, ddim, teacher = found["student, 1"], found["ddim, 1"], found["teacher"]
    match name:
        case "rings-progressive-1":
            return (
                one["to_teacher"] < 0.02
                and abs(one["to_flow"] - teacher["to_flow"]) < 0.005
                and one["radius"] < 0.04
                and ddim["to_flow"] > 0.5
            )
        case "rings-consistency":
            return one["to_teacher"] < 0.03
        case "rings-shortcut":
            return 4 * one["radius"] < found["shortest, 1"]["radius"]
        case "rings-reflow":
            return one["to_flow"] < 1.5 * 0.0485 and one["radius"] < 1.5 * 0.0272
    raise AssertionError(name)


@pytest.mark.parametrize("name", ["rings-progressive-1", "rings-consistency", "rings-shortcut", "rings-reflow"])
def test_kept_students_are_near_their_teacher(name):
    """Assert it of the record, and that DDIM in as few steps is not."""
    found = json.loads((OWN_STUDENTS / name / "training.json").read_text(encoding="utf-8"))["outcomes"]
    assert near(name, found)
    assert not near(name, {**found, "student, 1": found["ddim, 1"]})


@pytest.mark.slow  # twenty thousand samples in 256 steps
@pytest.mark.parametrize("name", [name for name in STUDENTS if name != "rings-adversarial"])
def test_the_distances_of_the_record_are_those_of_the_network(name, monkeypatch):
    """Assert it in the fewest jumps, which take every network and every row's code; a longer run repeats them."""
    monkeypatch.setattr(of_students, "counts", lambda student: counts(student)[:2])
    kept = json.loads((OWN_STUDENTS / name / "training.json").read_text(encoding="utf-8"))["outcomes"]
    found = outcomes(load_student(name))
    assert found.keys() <= kept.keys()
    assert {"teacher", "flow"} < found.keys()
    for label, row in found.items():
        assert row == pytest.approx(kept[label], rel=1e-3, abs=1e-3), label


@pytest.mark.slow  # ten seconds of training
def test_a_kept_student_is_trained_again(tmp_path):
    """Assert the same bits on a processor of the same kind, and about the same distances on any."""
    name = "rings-progressive-8"
    torch.set_num_threads(1)
    record = training_loop.train(RECIPES[name], tmp_path)
    kept = json.loads((OWN_STUDENTS / name / "training.json").read_text(encoding="utf-8"))
    assert record["outcomes"]["student, 8"]["to_teacher"] == pytest.approx(
        kept["outcomes"]["student, 8"]["to_teacher"], rel=0.2
    )
    if (kind_of_cpu(), record["versions"]["torch"]) == (kept["cpu"], kept["versions"]["torch"]):
        ours, theirs = (load_student(folder).network.state_dict() for folder in (tmp_path, OWN_STUDENTS / name))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_killed_training_of_a_student_ends_in_the_same_bits(tmp_path, monkeypatch):
    """Assert it for each objective; the first weights of a student are its teacher's where the recipe has it so."""
    monkeypatch.setattr(training_loop, "SAVE_EVERY", 2)
    monkeypatch.setattr(training_loop, "CURVE_EVERY", 1)
    monkeypatch.setattr(student_task, "outcomes", lambda student: "jumps from one start")
    monkeypatch.setattr(student_task, "outcomes_of_draws", lambda student: "draws")
    monkeypatch.setattr(student_task, "PAIRS", 64)

    class Killed(Exception):
        pass

    def at_three(done, total, label):
        if done == 3:
            raise Killed

    for name in ("rings-progressive-4", "rings-consistency", "rings-shortcut", "rings-reflow", "rings-adversarial"):
        recipe = replace(RECIPES[name], steps=4, batch=16)
        measured = training_loop.train(recipe, tmp_path / name / "whole")["outcomes"]
        assert measured == ("draws" if name == "rings-adversarial" else "jumps from one start")
        with pytest.raises(Killed):
            training_loop.train(recipe, tmp_path / name / "killed", progress=at_three)
        training_loop.train(recipe, tmp_path / name / "killed")
        weights = [(tmp_path / name / folder / "model.safetensors").read_bytes() for folder in ("whole", "killed")]
        assert weights[0] == weights[1]
        student = load_student(tmp_path / name / "whole")
        assert (student.objective, student.name) == (recipe.objective, name)


def test_jumps_as_the_shortest_are_jumps_where_all_are_the_shortest():
    """Assert it of as many jumps as a shortcut has levels; one long jump that is told so goes elsewhere."""
    student, y = load_student("rings-shortcut"), torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    levels = of_students.unit_levels(student)
    with torch.no_grad():
        for jumps, same in ((len(levels) - 1, True), (1, False)):
            told = of_students.run(student.network, y, levels[:: (len(levels) - 1) // jumps])
            assert torch.allclose(of_students.as_shortest(student, y, levels, jumps), told, atol=1e-5) is same


def point(lam, scale=1.0):
    sigma = scale / math.hypot(1, math.exp(lam))
    return Point(sigma * math.exp(lam), sigma)


def test_a_jump_reads_alpha_and_sigma_alone():
    """Assert that jumps scale with the process, return the dtype they are given, and are what the network's v gives."""
    student = load_student("rings-consistency")
    x = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first, last = student.levels[0], student.levels[-1]
    jump = student.jump()
    made = jump(x, point(first), point(last))
    assert torch.allclose(jump(3 * x, point(first, 3.0), point(last, 5.0)), 5 * made, rtol=1e-12)
    assert jump(x.float(), point(first), point(last)).dtype == torch.float32
    unit = math.log(student.unit)
    begin, end = (math.atan(math.exp(-lam - unit)) for lam in (first, last))
    y = x * (math.sin(begin) / point(first).sigma)
    v = student.network.double()(y, torch.full((4,), first + unit, dtype=torch.float64))
    expected = (math.cos(begin - end) * y - math.sin(begin - end) * v) * (point(last).sigma / math.sin(end))
    assert torch.allclose(made, expected, rtol=1e-9)


def test_jumps_that_a_student_was_not_trained_for():
    """Assert one line for each, and that the jumps it was trained for are made."""
    x = torch.zeros(1, 2, dtype=torch.float64)
    allowed = {
        "rings-progressive-4": [(0, 1), (3, 4)],
        "rings-consistency": [(0, 16), (7, 16)],
        "rings-shortcut": [(0, 64), (4, 8), (63, 64)],
        "rings-reflow": [(0, 32), (5, 9)],
    }
    refused = {
        "rings-progressive-4": [(0, 2), (1, 1), (2, 1)],
        "rings-consistency": [(0, 15), (16, 16)],
        "rings-shortcut": [(1, 3), (0, 3), (8, 4)],
        "rings-reflow": [(9, 5), (4, 4)],
    }
    for name, jumps in allowed.items():
        student = load_student(name)
        for n, m in jumps:
            assert student.jump()(x, point(student.levels[n]), point(student.levels[m])).shape == (1, 2)
        for n, m in refused[name]:
            with pytest.raises(InputError, match=r"^end: got 'lambda = "):
                student.jump()(x, point(student.levels[n]), point(student.levels[m]))
    student = load_student("rings-progressive-4")
    with pytest.raises(InputError, match="a level that rings-progressive-4 was trained on; the nearest is"):
        student.jump()(x, point(student.levels[0] + 1e-6), point(student.levels[1]))
    with pytest.raises(InputError, match=r"^x: got \[3, 5\]; samples \[n, 2\]"):
        student.jump()(torch.zeros(3, 5), *student.points[:2])


def test_a_student_is_no_denoiser(tmp_path):
    """Assert that it is refused as a checkpoint, a checkpoint as a student, and files that do not belong together."""
    with pytest.raises(InputError, match=r"a denoiser; numerics.few_step loads a few-step student"):
        load(OWN_STUDENTS / "rings-reflow")
    with pytest.raises(InputError, match=r"^checkpoint.toml: kind: got 'network'"):
        load_student(sp.load_checkpoint("rings").folder)
    with pytest.raises(InputError, match=r"^student: got 'rings-reflaw'.*rings-reflow"):
        load_student("rings-reflaw")
    other = tmp_path / "other"
    shutil.copytree(OWN_STUDENTS / "rings-progressive-8", other)
    shutil.copy(OWN_STUDENTS / "rings-progressive-4" / "model.safetensors", other)
    with pytest.raises(InputError, match="the weights beside it were written with"):
        load_student(other)
    text = (other / "checkpoint.toml").read_text(encoding="utf-8")
    start = text.index("levels = [") + len("levels = [")
    (other / "checkpoint.toml").write_text(text[:start] + "9.0, " + text[start:], encoding="utf-8")
    with pytest.raises(InputError, match="lambda that rises from noise to data"):
        load_student(other)


def test_a_teacher_of_another_kind_is_refused():
    """Assert one line: an unknown one, other data, another shape, a student that does not have twice the jumps."""
    recipe = RECIPES["rings-progressive-4"]
    for change, message in (
        ({"teacher": "ring"}, "^teacher: got 'ring'; one of "),
        ({"teacher": "digits"}, "^teacher: shape: got "),
        ({"sigma_data": 0.5}, "^teacher: size of the data: got "),
        ({"teacher": "rings-progressive-4"}, "a progressive student of 8 jumps"),
        ({"teacher": "rings-consistency"}, "a progressive student of 8 jumps"),
    ):
        with pytest.raises(InputError, match=message):
            student_task.teacher_of(replace(recipe, **change))
    assert isinstance(student_task.teacher_of(recipe), nn.Module)
    assert isinstance(load_student("rings-shortcut"), Student)
