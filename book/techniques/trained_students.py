"""Shortcut models and 2-RF++: their students on two rings, and the maps whose pairs of ends cross."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor

from ...numerics.catalogue import METHODS
from ...numerics.errors import InputError
from ...numerics.few_step.outcomes import RADIUS, as_shortest, run, starts, unit_levels
from ...numerics.few_step.straightness import least_slope
from ...numerics.few_step.student import OWN_STUDENTS, load_student
from ...numerics.metrics import nodes, trajectory
from ...numerics.points import Point
from ...numerics.sample import sample
from ...numerics.semi_discrete_transport import w1_to_atoms
from ...numerics.tableau import tabulate
from .on_the_line import M1, uniform_t
from .technique import Measured, Technique

SHORTCUTS, REFLOW = "rings-shortcut", "rings-reflow"
COLUMNS = {"student": "student", "shortest": "given the shortest end", "ddim": "DDIM"}
STEPS, NODES = (4, 8, 16, 32), 2001


def record_of(name: str) -> dict[str, dict[str, float]]:
    """The distances in the record of a kept student, by "student, 1" and so on."""
    record: dict[str, Any] = json.loads((OWN_STUDENTS / name / "training.json").read_text(encoding="utf-8"))
    found: dict[str, dict[str, float]] = record["outcomes"]
    return found


def jumps_of(name: str) -> list[int]:
    """The numbers of jumps in its record."""
    kinds = (label.partition(", ") for label in record_of(name))
    return [int(count) for kind, _, count in kinds if kind == "student"]


def radius_error(y: Tensor) -> float:
    """W1 of the radius of samples of the rings to its exact law."""
    return w1_to_atoms(RADIUS, Point(1.0, 0.0), y.norm(dim=1).double())


@torch.no_grad()
def measure_shortcuts() -> Measured:
    student, kept = load_student(SHORTCUTS), record_of(SHORTCUTS)
    levels, counts = unit_levels(student), jumps_of(SHORTCUTS)
    y, last = starts(levels[0]), len(levels) - 1
    one = run(student.network, y, [levels[0], levels[-1]])
    ratio = radius_error(as_shortest(student, y, levels, 1) * student.unit) / radius_error(one * student.unit)
    rows = []
    for n in counts:
        end = last // n
        halves = run(student.network, y, levels[: end + 1 : end // 2]) if end > 1 else None
        gap = None if halves is None else trajectory(run(student.network, y, [levels[0], levels[end]]), halves)
        errors = (f"{kept[f'{kind}, {n}']['radius']:.3f}" for kind in COLUMNS)
        rows.append((str(n), *errors, "" if gap is None else f"{gap * student.unit:.3f}"))
    return Measured(
        number=ratio,
        head=("jumps", *(f"W1 of radius, {label}" for label in COLUMNS.values()), "first jump, from its two halves"),
        rows=tuple(rows),
        curves={label: [(float(n), kept[f"{kind}, {n}"]["radius"]) for n in counts] for kind, label in COLUMNS.items()},
        x="evaluations",
        y="W1 of the radius to its law",
        dashed=("DDIM",),
    )


SHORTCUT = Technique(
    name="shortcut-models",
    system="Shortcut models",
    title="Shortcut models: one step diffusion",
    cite="frans2025shortcut",
    claimed="One network that is given the length of its step samples in any number of steps, one included, after a "
    "single training: FID 10.6, 7.8 and 3.8 in 1, 4 and 128 steps (DiT-XL, ImageNet, 256 pixels).",
    verdict="confirmed on two rings: given the length of its jump the network makes the samples in one jump that it "
    "cannot make when given the shortest length; the bias of the shortest steps stays",
    quantity="W1 of the radius of one jump that is given the shortest length, over that given its own",
    within=(4.0, 100.0),
    covered="system: a network trained from data on two rings in the plane, 64 shortest jumps; no image, no guidance",
    formula=r"""The flow $\Phi$ satisfies, with $s(x, t, d) = (\Phi_{t \to t+d}(x) - x)/d$,

$$s(x, t, 2d) = \tfrac12 s(x, t, d) + \tfrac12 s\bigl(x + d\,s(x, t, d),\, t + d,\, d\bigr).$$

The shortest steps learn from data and noise, the longer ones from two of half the length. At zero loss the map of one
step is that of the M shortest steps of Euler's method, which are DDIM's on the linear path: the bias is O(1/M).""",
    provenance="read in the released code (`targets_shortcut.py`): the length is an input as log2(1/d), an eighth of "
    "the rows is bootstrapped, targets are clipped at 4. Both kinds of rows are taken from the front of the batch, and "
    "its last eighth is unused. Here jumps are in angles, a quarter of the rows is bootstrapped, and the end of the "
    "jump is the input in place of its length.",
    proved=("self-consistency", "ideal-student"),
    measure=measure_shortcuts,
    known="The table is of 20,000 samples: the distances from the record that is kept with the network, the last "
    "column from the network: a first jump against the two of half its length; it falls with the length. After one "
    "jump a fifth of the samples are off the rings; of students that were distilled from a trained network "
    "([few-step students](few-step-students.md)) 7 to 8 % are.",
    unknown="Not reproduced: the FID figures, images, guidance inside the network.",
    code="""
import torch, samplerproof as sp
student = sp.techniques.load_student("rings-shortcut")
x = torch.randn(2000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
jump, points = student.jump(), student.points
for jumps in (1, 4, 16):
    y = sp.techniques.run_jumps(jump, x, points[:: 64 // jumps])
    print(jumps, y.norm(dim=1).quantile(torch.tensor([0.25, 0.75], dtype=torch.float64)))
""",
    methods=("ddim",),
)


def least_slopes(name: str) -> list[float | None] | None:
    """The least slope of a method's map on M1 in STEPS steps; None where a grid is too short, or if it has no map."""
    found: list[float | None] = []
    for steps in STEPS:
        at = uniform_t(steps)
        try:
            table = tabulate(name, at)
        except InputError:
            found.append(None)
            continue
        if table.given > 1 or table.noises.count_nonzero() or table.channels:
            return None
        found.append(least_slope(lambda x, table=table: sample(M1, x, table), nodes((M1, at.points[0]), NODES)))  # type: ignore[misc]
    return found


def fold_row(name: str, slopes: list[float | None]) -> tuple[str, ...]:
    """A row of the table of folding maps: the least slopes, and the numbers of steps at which the map folds."""
    folds = [str(n) for n, slope in zip(STEPS, slopes, strict=True) if slope is not None and slope < 0]
    return (name, *("" if s is None else f"{s:.3f}" for s in slopes), ", ".join(folds) or "none")


@torch.no_grad()
def measure_reflow() -> Measured:
    student, kept = load_student(REFLOW), record_of(REFLOW)
    levels = unit_levels(student)
    one = run(student.network, starts(levels[0]), [levels[0], levels[-1]])
    slopes = {name: least_slopes(name) for name in METHODS if not METHODS[name].stochastic}
    return Measured(
        number=radius_error(one * student.unit),
        head=("pairs of", *(f"N = {n}" for n in STEPS), "lines cross at N ="),
        rows=tuple(fold_row(name, found) for name, found in slopes.items() if found is not None),
        curves={
            label: [(float(n), kept[f"{kind}, {n}"]["to_flow"]) for n in jumps_of(REFLOW)]
            for kind, label in (("student", "student"), ("ddim", "DDIM"))
        },
        x="evaluations",
        y="rms distance to the flow",
        dashed=("DDIM",),
    )


RECTIFIED = Technique(
    name="rectified-flows",
    system="2-RF++",
    title="2-RF++: improving the training of rectified flows",
    cite="lee2024rfpp",
    claimed="One reflow is enough: trained on pairs of a start and the end of its trajectory the paths are nearly "
    "straight, and with better draws of t and another loss the FID in one evaluation falls by up to 72 %.",
    verdict="confirmed: one reflow of DDIM's pairs is exactly straight on the line, for any number of steps of the "
    "teacher; pairs of methods whose map folds, as 2M in 8 steps, cross; on two rings the draws of t lower both errors "
    "of one jump at each of five seeds, by 9 and 15 % in the mean; the pseudo-Huber distance loses the first gain",
    quantity="W1 of the radius of one jump of the kept student to its law",
    within=(0.01, 0.041),
    covered="system: reflow of a network on two rings in the plane, with and without the draws of t and the "
    "pseudo-Huber distance; exact maps on the line; no image, no perceptual distance",
    formula=r"""On pairs $(z, Tz)$ the loss of $x_t = (1-t) z + t\, Tz$ with the velocity $Tz - z$ has the optimum
$\operatorname{E}[Tz - z \mid x_t]$. Its paths are the straight lines of the pairs where these do not cross, as for any
monotone T: on the line, where T increases. There one jump makes the law of the teacher. Where the least slope is
$\mu < 0$ lines cross beyond $t = 1/(1 - \mu)$.""",
    provenance="read in the released code (`t_dist.py`, `train.py`): t from the density proportional to "
    "cosh(4 (t - 1/2)), a pseudo-Huber distance with c = 0.00054 d, optionally LPIPS. That one reflow suffices from a "
    "Gaussian is a theorem of others (arXiv 2410.14949).",
    proved=("reflow-straight", "ddim-gradient", "ideal-student"),
    measure=measure_reflow,
    known="The table has the least slope of the map from start to end on M1, t equal from 1 to 0.001, for every method "
    "of the catalogue without noise that takes one start (`techniques.least_slope`, 2,001 starts). Every step of DDIM "
    "is increasing, so that its map never folds; others fold at the numbers of steps in the last column, where a study "
    "has no total variation. In the figure one jump of the student is nearer to the flow than 16 steps of DDIM; what "
    "is left is the error of its teacher, of 64 steps, and of its training.",
    unknown="Not reproduced: FID, images, perceptual distances, weights by t. A network may memorise pairs where lines "
    "cross (arXiv 2510.18118).",
    code="""
import torch, samplerproof as sp
mixture = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
grid = sp.grid(sp.schedule("vp-linear"), "uniform-t", 8, t_min=1e-3, t_max=1.0)
x = torch.linspace(-4, 4, 1001, dtype=torch.float64)[:, None]
for name in ("ddim", "edm-heun", "dpm-solver++-2m"):
    table = sp.tabulate(name, grid)
    print(name, sp.techniques.least_slope(lambda x: sp.sample(mixture, x, table), x))
""",
    methods=("ddim", "edm-heun", "dpm-solver++-2m"),
)

TECHNIQUES = (SHORTCUT, RECTIFIED)
