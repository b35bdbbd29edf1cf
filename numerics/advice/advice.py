"""The answer to a question: predict every candidate from a recording, run the short list, choose.

The error of a candidate on a sample is the root mean square over its numbers of the sampler's end minus the end of the
recorded trajectory of the same start. Over samples its geometric mean is taken: one sample near a separatrix, whose
error is a hundred times that of the others, would decide a root mean square.

Predictions are means over the family of laws that are the recorded one times a factor as well: few samples decide
little, and more of them cost evaluations. Where a candidate was run, its prediction is corrected by what the runs show
on their samples.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..catalogue import METHODS
from ..errors import InputError, SamplingError
from ..points import Point
from ..sample import sample
from ..support.progress import Progress, silent
from ..table_file import table_text
from ..tableau import Tableau
from .candidates import Candidate, candidates
from .carry import carry
from .defects import DataRows, data_rows, row_defects
from .family_of_laws import OWN, SHIFTS, family, of_family, over_family
from .kept_parts import KeptParts, Parts, number
from .question import Plan, Question, check_deterministic, plan_of
from .recording import Counted, Recording, fine_grid, record
from .tangents import Tangents, in_own_coordinates, joined, tangents

BASELINE = ("dpm-solver++-2m", "karras?rho=7")
LARGEST = 1e30  # of an error that is compared; a sampler that diverges has it
SMALLEST = 1e-300
ERRORS = ("predicted", "confirmed", "expected", "low", "high")  # of an entry, in the order of tables
STAGES = 3  # of the progress before the short list: first trajectories, tables, the other trajectories


@dataclass(frozen=True, eq=False)
class Entry:
    """A candidate with its errors: geometric means over the samples, and the least and the largest of them.

    predicted: over the family of laws, too.  confirmed: None where it was not run, and then low and high are of the
    prediction; math.inf where it diverged.  expected: the prediction, times confirmed over predicted on the samples of
    the runs.
    """

    candidate: Candidate
    predicted: float
    confirmed: float | None
    expected: float
    low: float
    high: float

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        c = self.candidate
        values = {name: getattr(self, name) for name in ERRORS}
        finite = {key: v if v is not None and math.isfinite(v) and v < LARGEST else None for key, v in values.items()}
        return {"method": c.method, "grid": c.levels, "nfe": c.table.nfe, "steps": max(c.table.step), **finite}


@dataclass(frozen=True, eq=False)
class Advice:
    """The answer.  entries: all candidates, those that were run first, each part by its expected error, least first.

    first: the best of a few that were run after the first trajectories, after `first_evaluations` rows.
    evaluations: rows of the model, in `calls` calls; kept: how many of them an earlier run of the query had asked.
    """

    question: Question
    plan: Plan
    entries: tuple[Entry, ...]
    baseline: Entry
    first: Entry
    first_evaluations: int
    evaluations: int
    calls: int
    kept: int

    @property
    def choice(self) -> Entry:
        """The candidate with the least expected error, of those that were run."""
        return self.entries[0]

    def plain(self) -> dict[str, Any]:
        """The answer as JSON has it: `samplerproof advise --json`."""
        from .advice_text import plain

        return plain(self)

    def __str__(self) -> str:
        from .advice_text import text

        return text(self)

    def __repr__(self) -> str:
        c = self.choice.candidate
        return f"Advice({c.method!r} on {c.levels!r}, error {self.choice.confirmed:.3g})"

    @property
    def left_out(self) -> list[str]:
        """The records that are no candidates, as they draw noise."""
        return [name for name, method in METHODS.items() if method.stochastic]


@dataclass(frozen=True, eq=False)
class Predictions:
    """The errors predicted of all candidates: on all members and trajectories [tables, SHIFTS, R], and typical ones.

    order: the numbers of the candidates by their typical errors, least first.
    """

    candidates: Sequence[Candidate]
    sizes: Tensor
    typical: Tensor
    order: list[int]

    @classmethod
    def of(
        cls, candidates: Sequence[Candidate], tables: Sequence[DataRows], recording: Recording, tangent: Tangents
    ) -> Predictions:
        """The predictions from a recording; tables: the rows of the candidates."""
        sizes = predicted_sizes(tables, recording, tangent)
        expected = over_family(sizes, recording.data[0, 0].numel())
        return cls(candidates, sizes, expected, expected.argsort().tolist())

    def entry(self, n: int, measured: Tensor | None = None) -> Entry:
        """A candidate with its errors; measured: those of its runs, [R]."""
        predicted, own = float(self.typical[n]), self.sizes[n, OWN]
        if measured is None:
            return Entry(self.candidates[n], predicted, None, predicted, float(own.min()), float(own.max()))
        confirmed = float(typical(measured))
        expected = min(predicted * confirmed / float(typical(own[: len(measured)])), LARGEST)
        return Entry(self.candidates[n], predicted, confirmed, expected, float(measured.min()), float(measured.max()))


def advise(
    question: Question,
    folder: Path | None = None,
    progress: Progress = silent,
    designed: Mapping[str, Tableau] | None = None,
) -> Advice:
    """Answer a question within its budget.

    folder: where recordings and confirmations are kept, for an interrupted query.  designed: further tables, by name,
    whose first and last points are the ends.  Raises InputError as Question, on a designed table that leaves the ends
    or takes more evaluations; SamplingError where the model returns a value that is not finite, or is not
    deterministic.
    """
    plan, kept = plan_of(question), KeptParts(folder, question.identity)
    stages = STAGES + plan.confirmed
    progress(0, stages, f"recording {_several(plan.first, 'trajectory', 'trajectories')}")
    found = [_recorded(question, plan, range(plan.first), kept)]
    recording, tangent = found[0]
    check_deterministic(question, recording.begin, recording.states[0, 0], recording.data[0, 0])
    progress(1, stages, "making tables")
    tables = list(candidates(question.schedule, question.begin, question.end, question.nfe))
    tables += _given(question, designed or {})
    # The first answer: the best of a few that are run beside the first trajectories.
    rows = [data_rows(candidate.table) for candidate in tables]
    predicted = Predictions.of(tables, rows, recording, tangent)
    asked, calls = 1 + recording.evaluations + tangent.evaluations, 1 + recording.calls + tangent.calls
    early = dict[int, Tensor]()
    for n in predicted.order[: plan.early]:
        measured = _confirmed(question, plan, tables[n], recording, range(plan.first), kept)
        early[n] = measured["sizes"]
        asked, calls = asked + int(measured["rows"]), calls + int(measured["calls"])
    tried = [predicted.entry(n, early[n]) for n in early] or [predicted.entry(predicted.order[0])]
    first, first_rows = min(tried, key=lambda entry: entry.expected), asked
    briefly = f"{first.candidate.method} on {first.candidate.levels}, after {first_rows} evaluations"
    progress(2, stages, f"first answer: {briefly}")
    # The other trajectories.
    if plan.trajectories > plan.first:
        found.append(_recorded(question, plan, range(plan.first, plan.trajectories), kept))
        asked, calls = asked + sum(p.evaluations for p in found[1]), calls + sum(p.calls for p in found[1])
        recording, tangent = joined(found)
        predicted = Predictions.of(tables, rows, recording, tangent)
    # The short list, run beside the recording: the best by prediction, and the baseline.
    base = next(n for n, c in enumerate(tables) if (c.method, c.levels) == BASELINE)
    chosen = [*[n for n in predicted.order if n != base][: plan.confirmed - 1], base]
    run = dict[int, Entry]()
    for k, n in enumerate(chosen):
        progress(STAGES + k, stages, f"running {tables[n].method} on {tables[n].levels}")
        numbers = range(plan.first if n in early else 0, plan.trajectories)
        parts = [early[n]] if n in early else []
        if numbers:
            measured = _confirmed(question, plan, tables[n], recording, numbers, kept)
            parts.append(measured["sizes"])
            asked, calls = asked + int(measured["rows"]), calls + int(measured["calls"])
        run[n] = predicted.entry(n, torch.cat(parts))
    progress(stages, stages, "done")
    ranked = sorted(run, key=lambda n: run[n].expected)
    entries = [*(run[n] for n in ranked), *(predicted.entry(n) for n in predicted.order if n not in run)]
    return Advice(question, plan, tuple(entries), run[base], first, first_rows, asked, calls, kept.rows)


def predicted_sizes(tables: Sequence[DataRows], recording: Recording, tangent: Tangents) -> Tensor:
    """The predicted error of every table on every trajectory and member of its family, [tables, SHIFTS, R]."""
    size = math.sqrt(recording.data[0, 0].numel())
    own, derivative = in_own_coordinates(recording, tangent)
    together = defaultdict[tuple[tuple[Point, ...], int], list[int]](list)
    for n, rows in enumerate(tables):
        together[rows.points, rows.given].append(n)
    found = torch.empty(len(tables), len(SHIFTS), recording.states.shape[1], dtype=torch.float64)
    for (points, given), numbers in together.items():
        states, outputs = (torch.stack([getattr(tables[n], name) for n in numbers]) for name in ("states", "outputs"))
        rows = DataRows(points, given, states, outputs)
        error = carry(rows, row_defects(rows, *family(own, points)), of_family(derivative, points))
        found[numbers] = error.norm(dim=2).unflatten(1, (len(SHIFTS), -1)) / size
    return _comparable(found)


def typical(sizes: Tensor) -> Tensor:
    """The geometric mean over the last axis."""
    return sizes.log().mean(dim=-1).exp()


def confirmed_sizes(question: Question, table: Tableau, start: Tensor, end: Tensor) -> tuple[Tensor, Counted]:
    """The error of a run on every sample, [R], against the ends of their trajectories, and what it took."""
    counted = Counted(question.denoise)
    try:
        off = (sample(counted, start, table) - end).flatten(1)
        sizes = off.norm(dim=1) / math.sqrt(off.shape[1])
    except SamplingError:
        sizes = torch.full((len(start),), math.inf, dtype=torch.float64)
    return _comparable(sizes), counted


def _comparable(sizes: Tensor) -> Tensor:
    return torch.nan_to_num(sizes, nan=LARGEST, posinf=LARGEST).clamp(SMALLEST, LARGEST)


def _recorded(question: Question, plan: Plan, numbers: range, kept: KeptParts) -> tuple[Recording, Tangents]:
    """The recording of start samples, and the model's derivatives along it; kept or made now."""
    spec = {"part": "recording", "steps": plan.steps, "numbers": [numbers.start, numbers.stop], **_ends(question)}

    def compute() -> Parts:
        start = question.starts(numbers)
        made = record(question.denoise, question.schedule, question.begin, question.end, start, plan.steps)
        along = tangents(question.denoise, made)
        rows, calls = made.evaluations + along.evaluations, made.calls + along.calls
        parts = {"states": made.states, "data": made.data, "lam": along.lam, "directions": along.directions}
        parts |= {"products": along.products, "std": along.std}
        counts = {"rows": rows, "calls": calls, "along": along.evaluations, "along_calls": along.calls}
        return parts | {name: number(value) for name, value in counts.items()}

    p = kept.get(spec, compute)
    points = fine_grid(question.schedule, question.begin, question.end, plan.steps).points
    along, calls = int(p["along"]), int(p["along_calls"])
    made = Recording(question.schedule, points, p["states"], p["data"], int(p["rows"]) - along, int(p["calls"]) - calls)
    return made, Tangents(p["lam"], p["directions"], p["products"], p["std"], along, calls)


def _confirmed(
    question: Question, plan: Plan, of: Candidate, recording: Recording, numbers: range, kept: KeptParts
) -> Parts:
    """The errors of a candidate on recorded starts; kept or measured now."""
    text = table_text(of.table)
    spec = {
        "part": "confirmed",
        "table": hashlib.sha256(text.encode()).hexdigest(),
        "steps": plan.steps,
        "numbers": [numbers.start, numbers.stop],
        **_ends(question),
    }

    def compute() -> Parts:
        ends = [recording.states[k, numbers.start : numbers.stop] for k in (0, -1)]
        sizes, counted = confirmed_sizes(question, of.table, ends[0], ends[1])
        return {"sizes": sizes, "rows": number(counted.rows), "calls": number(counted.calls)}

    return kept.get(spec, compute)


def _ends(question: Question) -> dict[str, Any]:
    schedule = {"kind": question.schedule.kind, **question.schedule.parameters}
    ends = [question.begin[:3], question.end[:3]]
    return {"schedule": schedule, "ends": ends, "seed": question.seed, "shape": list(question.shape)}


def _given(question: Question, designed: Mapping[str, Tableau]) -> list[Candidate]:
    """Designed tables as candidates.  Raises InputError on one of other ends, or of more evaluations."""
    found = []
    for name, table in designed.items():
        ends = [table.points[0].lam, table.points[-1].lam]
        wanted = [question.begin.lam, question.end.lam]
        allowed = f"{wanted[0]:.6g} to {wanted[1]:.6g}, the ends asked for"
        if not all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(ends, wanted, strict=True)):
            raise InputError(f"design {name}: lambda", ends, allowed)
        if table.nfe > question.nfe:
            raise InputError(f"design {name}", f"{table.nfe} evaluations", f"at most {question.nfe}")
        found.append(Candidate(name, "its own levels", table))
    return found


def _several(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"
