"""Two pages that put kept results of several techniques together: few steps, and what a network adds to its data."""

from __future__ import annotations

from ..markup import table
from ..records.kept_records import Entry
from ..records.technique_results import measured_of
from .myst import ONE_SIDEBAR, origin

FEW_STEPS, NETWORK_AND_DATA = "few_steps.md", "network_and_data.md"
OF_STUDENTS = "few-step-students"

FEW_STEPS_PAGE = """# Few steps

A student is a network that makes in one to eight evaluations what its teacher, a sampler with a network, makes in
tens. Four ways to train one have pages here: [halving the steps](techniques/prodiff.md),
[consistency](techniques/lcm.md), [shortcuts](techniques/shortcut-models.md) and
[reflow](techniques/rectified-flows.md); a fifth [draws against a discriminator](techniques/emdm.md).

## At zero loss

A student of the first four kinds whose loss is zero has the map of its teacher, all steps composed
([`ideal-student`](#claim-ideal-student)). Its law, its order in the number of the teacher's steps and its leading
error are the teacher's: distillation buys time, not accuracy. On a Gaussian law a step of DDIM has the exact mean
and the exact deviation times the cosine of an angle ([`cosine-rule`](#claim-cosine-rule)), and so has the student
their product. In the table, of deviations over the exact one, the last two columns are those of a student of DDIM in
N steps equal in t, in one step and in two: a second step helps little on these grids
([`second-step`](#claim-second-step)). The first three are N steps of consistency models with a network that was not
distilled, which lose the share $\\gamma/2$ of the variance in the limit, the first one with $\\gamma = 1$
([`consistency-rows-undistilled`](#claim-consistency-rows-undistilled)).

{ideal}

## What training adds

Students on two rings in the plane, in their fewest steps, beside DDIM with the network of rings in as many. The first
row is the teacher of most, 16 steps of DDIM with that network; shortcuts and the adversarial student learn from data.
Root mean square distances from common starts, to the teacher and to the fine flow of the network; W1 of the radius to
its exact law; the share of samples off both rings.

{students}

Students of consistency and of halved steps end near their teacher, and about as far from the flow as it. The one of
reflow is nearer to the flow: its teacher has 64 steps. [The page of all](techniques/few-step-students.md) has their
rows in more steps. The adversarial student draws, so that it
has no start to be compared from.

## Straight lines

A reflow of pairs of starts and ends is exactly straight on the line iff the map from start to end increases
([`reflow-straight`](#claim-reflow-straight)). With an exact score every step of DDIM does
([`ddim-gradient`](#claim-ddim-gradient)); [maps of other samplers fold](techniques/rectified-flows.md) at few steps.

## Rewards

A reward in the loss of a consistency student moves samples by a proximal map at every level
([`reward-prox`](#claim-reward-prox)); it does not weight the law by exp(r/beta)
([`reward-tilt`](#claim-reward-tilt)). [RG-LCD](techniques/rg-lcd.md) has both, and
[T2V-Turbo](techniques/t2v-turbo.md) several rewards at once. A loss at the end of several steps in training, as
[REFace](techniques/reface.md) has it, takes a gradient through all of them.

## Limits

One network of 42,690 weights on rings in the plane, and laws that are known exactly. No image, sound, motion or video
was made by a student here; FID, opinion scores and speed-ups of the papers are not reproduced.
"""

NETWORK_AND_DATA_PAGE = """# What a network adds to its data

The exact denoiser of the training data is a [memory](techniques/gmem.md): one layer of attention over all data
([`memory-attention`](#claim-memory-attention)). Its samples are copies. What a trained network does otherwise is what
it adds. The networks here are of digits of 8 x 8 pixels.

## Where it is its memory, and where not

{levels}

Up to lambda = -1 the kept network is nearly the memory; from 0 on its error on held-out digits is below that of the
memory, which returns its nearest digit.

## Copies

{copies}

The memory can stand in for the network at the noisiest third of the steps. Where it takes over more the samples come
near to training digits, and the Frechet distance in features of a small classifier does not show it.

## Features that are given, and features that are asked for

A small network in 240 updates that is given features of the clean picture, as [GMem](techniques/gmem.md) gives those
of its memory:

{given}

and one whose middle features are aligned with them, as by [REPA](techniques/repa.md):

{aligned}

Given features are information on the answer, so that the first gain is no sign of generalisation. Alignment changes
the features, and costs loss in so short a training.

## The most that can be aligned

No network on noisy data has a larger mean cosine with features of clean data than the mean length of their expectation
([`feature-bound`](#claim-feature-bound)); a projector that is trained on fresh draws of a mixture comes near to it:

{projected}

## Limits

1,500 digits, one kept network, short trainings, features of a small classifier that was trained on labels. The papers'
features, networks, FID and savings of training time are not reproduced.
"""


def few_step_pages(results: dict[str, Entry], trials: dict[str, Entry]) -> dict[str, str]:
    """File -> text of both pages.  results, trials: what is kept of techniques, and of those tried on networks."""
    ideal = results["lcm"]

    def tried(name: str) -> str:
        return shown(trials[name])

    return {
        FEW_STEPS: ONE_SIDEBAR + FEW_STEPS_PAGE.format(ideal=shown(ideal), students=fewest(results[OF_STUDENTS])),
        NETWORK_AND_DATA: ONE_SIDEBAR
        + NETWORK_AND_DATA_PAGE.format(
            levels=tried("gmem-by-level"),
            copies=tried("gmem-copies"),
            given=tried("gmem-training"),
            aligned=tried("repa-training"),
            projected=tried("repa-projector"),
        ),
    }


def shown(entry: Entry) -> str:
    """A kept table, and what made it."""
    found = measured_of(entry)
    return f"{table(found.head, found.rows)}\n\nMade {origin(entry['manifest'])}."


def fewest(entry: Entry) -> str:
    """The kept table of students, in the fewest steps of each, with the row of DDIM after it."""
    found = measured_of(entry)
    least: dict[str, int] = {}
    for student, kind, steps, *_ in found.rows:
        if kind == "student":
            least[student] = min(int(steps), least.get(student, int(steps)))
    rows = [row for row in found.rows if row[1] in KINDS and int(row[2]) == least[row[0]]]
    teacher = next(row for row in found.rows if row[0] == "rings-reflow" and row[1:3] == ("ddim", "16"))
    shown_rows = [
        ("the teacher", KINDS["ddim"], *teacher[2:]),
        *((name, KINDS[kind], *rest) for name, kind, *rest in rows),
    ]
    return f"{table(found.head, shown_rows)}\n\nMade {origin(entry['manifest'])}."


KINDS = {"student": "student", "ddim": "DDIM", "mean": "chain of means"}
