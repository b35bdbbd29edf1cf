"""Students of few steps that were trained on two rings: progressive distillation, consistency, shortcuts, reflow."""

from __future__ import annotations

import json

from ...numerics.few_step.outcomes import OUTCOMES, to_teacher
from ...numerics.few_step.student import OWN_STUDENTS, load_student, own_students
from .technique import Measured, Technique

COLUMNS = {key: words for key, words in OUTCOMES.items() if key != "inside"}


def measure_students() -> Measured:
    rows: list[tuple[str, ...]] = []
    curves: dict[str, list[tuple[float, float]]] = {"DDIM": []}
    for name in own_students():
        found = json.loads((OWN_STUDENTS / name / "training.json").read_text(encoding="utf-8"))["outcomes"]
        kinds: dict[str, list[tuple[float, float]]] = {}
        for label, row in found.items():
            kind, _, steps = label.partition(", ")
            if label in ("teacher", "flow"):
                continue
            rows.append((name, kind, steps, *(f"{row[key]:.3g}" if key in row else "" for key in COLUMNS)))
            if "to_flow" in row:
                kinds.setdefault(kind, []).append((float(steps), row["to_flow"]))
        objective = name.removeprefix("rings-").rstrip("-0123456789")
        if "student" in kinds:
            curves.setdefault(objective, []).extend(kinds["student"])
        if objective == "reflow":
            curves["DDIM"] = kinds["ddim"]
    return Measured(
        number=to_teacher(load_student("rings-progressive-1")),
        head=("student", "sampler", "steps", *COLUMNS.values()),
        rows=tuple(rows),
        curves={label: sorted(points) for label, points in curves.items()},
        x="evaluations",
        y="rms distance to the flow",
        dashed=("DDIM",),
    )


STUDENTS = Technique(
    name="few-step-students",
    system="Few-step students",
    title="Few-step students: progressive distillation, consistency models, shortcut models, rectified flow",
    cite="salimans2022progressive",
    claimed="A network can learn to make in one to eight evaluations the samples that its teacher makes in "
    "tens: by halving the steps again and again (Salimans and Ho; ProDiff), by jumping to the end from "
    "every point (consistency models; LCM), by composing its own shorter jumps (shortcut models), or by "
    "straightening the paths (rectified flow; 2-RF++). [Shortcut models](shortcut-models.md), "
    "[2-RF++](rectified-flows.md), [ProDiff](prodiff.md) and [LCM](lcm.md) have pages of their own.",
    verdict="a student is as good as its teacher and no better: one jump is within 0.011 of 16 steps of DDIM, "
    "and as far from the flow as these",
    quantity="rms distance of one jump, after four rounds of halving, to 16 steps of its teacher",
    within=(0.002, 0.02),
    covered="system: one network on two rings in the plane; no image, no guidance",
    formula=r"""In angles $\theta = \arctan(\sigma/\alpha)$ of data of unit size a jump is
$y' = \cos(\theta - \theta')\,y - \sin(\theta - \theta')\,v$, the step of DDIM for the exact $v$, and the identity
at $\theta' = \theta$. Progressive: $v$ is to land where two steps of the teacher land,
$(\cos(\theta-\theta'')y - y'')/\sin(\theta-\theta'')$. Consistency: the jump to the end is to be that from where
one step of the teacher leads. Shortcuts: $v(y, \theta, \theta'')$ is to land where the jumps over both halves
land, and for the shortest jumps to be the $v$ of data and noise. Reflow: the ordinary loss, on pairs of a start
and the end to which the teacher takes it.""",
    provenance="the objectives recalled from the papers, in angles here; the official codes differ in weights, "
    "distances and levels (shortcut models: on the linear path, whose steps of Euler are these steps)",
    proved=("ideal-student", "distilled-target", "self-consistency", "reflow-straight"),
    measure=measure_students,
    known="The table is of 20,000 samples, from the records that are kept with the networks. Four rounds of halving "
    "add 0.0046, 0.0094, 0.0106 and 0.0112 to the teacher; the bias of the teacher stays. Consistency reaches 0.018 in "
    "3,000 updates. A network of shortcuts that is given the end of the shortest jump, at jumps of every length, is "
    "several times farther from the law. One jump of reflow is 0.050 from the flow, one step of DDIM 0.66. Each of "
    "these was trained in 7 to 45 s of one core; `samplerproof train rings-consistency` makes one anew, with the same "
    "bits on the same kind of processor. The adversarial student draws: it is compared by the law alone, with the "
    "chain that has the mean by a trained network in place of its guesses ([EMDM](emdm.md)), and after 6,000 updates "
    "it does not make the rings.",
    unknown="Images, guidance, perceptual distances; the papers' figures are not reproduced.",
    code="""
import torch, samplerproof as sp
student = sp.techniques.load_student("rings-progressive-1")
noisy, clean = student.points
start = torch.randn(1000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
radius = student.jump()(start, noisy, clean).norm(dim=1)
print([round(q, 1) for q in radius.quantile(torch.tensor([0.25, 0.75], dtype=torch.float64)).tolist()])
""",
)

TECHNIQUES = (STUDENTS,)
