"""Recorded runs: what a sampler in any language was given and returned, as JSON, read strictly.

    {"format": 1, "prediction": "data",
     "start": […],                               d components
     "noises": [[…], …],                         in the order of drawing; [] without noise
     "evaluations": [{"point": [alpha, sigma], "input": […], "output": […]}, …],    in order
     "end": […]}

Numbers as in table files. Optional: "grid", the points between which the run steps, from its start to its end; in an
evaluation "prediction", where it differs from the run's, and "step", the point of the grid that the step leads to in
which the input was computed, 0 for the start, and "channel", such as "conditional" or "unconditional", where a model is
evaluated for several outputs at one state; "dtype", else it is found from the numbers; "name"; and "provenance", an
object for readers, of which only "schedule" is used: the schedule whose time the points have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...denoisers import convert
from ...errors import InputError
from ...points import Point
from ...schedules import Schedule, named
from ...support.limits import LIMITS
from ...support.strict_json import check_format, check_keys, entries, integer, numbers, read_object, text
from ...table_file import point_of, prediction_of

KEYS = ("format", "prediction", "start", "noises", "evaluations", "end")
MORE = ("grid", "dtype", "name", "provenance")
DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DIGITS = 9  # significant decimal digits that determine a float32
FEW_DIGITS = 7  # below them not even a float32 is determined


@dataclass(frozen=True)
class RecordedRun:
    """A run: at inputs[k], a state at points[k], the model returned outputs[k].

    inputs, outputs [nfe, d], noises [draws, d], start, end [d], float64.  grid, step: empty where they are not
    recorded.  dtype: in which it was computed.  schedule: as in schedule_of.  channel: of every evaluation, or empty.
    """

    prediction: str
    points: tuple[Point, ...]
    grid: tuple[Point, ...]
    step: tuple[int, ...]
    start: Tensor
    noises: Tensor
    inputs: Tensor
    outputs: Tensor
    end: Tensor
    dtype: torch.dtype
    schedule: Schedule | None = None
    channel: tuple[str, ...] = ()

    @property
    def components(self) -> int:
        return len(self.start)

    @property
    def coefficients(self) -> int:
        """Of the image of a run: start, outputs and noises."""
        return 1 + len(self.outputs) + len(self.noises)

    @property
    def states(self) -> Tensor:
        """The inputs and the end, [nfe + 1, d]."""
        return torch.cat([self.inputs, self.end[None]])


def read_run(path: str | Path, field: str = "run") -> RecordedRun:
    """The run in a file.  field: the start of the name of an entry in messages.

    Raises InputError, with the entry, on anything that is no such run.
    """
    return run_of(read_object(Path(path), field), field)


def run_of(data: object, field: str = "run") -> RecordedRun:
    """The run in an object of a JSON file.  Raises InputError as read_run."""
    found = check_keys(field, data, KEYS, MORE)
    check_format(f"{field}.format", found["format"])
    prediction = prediction_of(f"{field}.prediction", found["prediction"])
    if "name" in found:
        text(f"{field}.name", found["name"])
    schedule = schedule_of(found, field)
    # Vectors, all of the size of the start.
    most = int(LIMITS["run.numbers"].high)
    start = numbers(f"{field}.start", found["start"], 1, most, "numbers, the components of the state")
    size = len(start)

    def vector(name: str, value: object) -> list[float]:
        return numbers(f"{field}.{name}", value, size, size, "numbers, as many as start has")

    listed = entries(f"{field}.evaluations", found["evaluations"], 1, most // (2 * size) + 1, "evaluations")
    drawn = entries(f"{field}.noises", found["noises"], 0, most // size + 1, "vectors")
    if (2 + 2 * len(listed) + len(drawn)) * size > most:
        raise InputError(field, f"{len(listed)} evaluations of {size} components", f"at most {most} numbers")
    noises = [vector(f"noises[{n}]", z) for n, z in enumerate(drawn)]
    made = [_evaluation(f"evaluations[{k}]", field, entry, prediction, vector) for k, entry in enumerate(listed)]
    end = vector("end", found["end"])
    grid = entries(f"{field}.grid", found["grid"], 2, most, "points, one more than steps") if "grid" in found else []
    states = torch.tensor([*(given for _, given, _, _ in made), end], dtype=torch.float64)
    dtype = dtype_of(f"{field}.dtype", found.get("dtype"), states)
    run = RecordedRun(
        prediction=prediction,
        points=tuple(at for at, _, _, _ in made),
        step=_steps(f"{field}.evaluations", listed, len(grid)),
        grid=tuple(point_of(f"{field}.grid[{n}]", entry, prediction) for n, entry in enumerate(grid)),
        start=_rounded(torch.tensor(start, dtype=torch.float64), dtype),
        noises=_rounded(torch.tensor(noises, dtype=torch.float64).reshape(len(noises), size), dtype),
        inputs=_rounded(states[:-1], dtype),
        outputs=_rounded(torch.tensor([answer for _, _, answer, _ in made], dtype=torch.float64), dtype),
        end=_rounded(states[-1], dtype),
        dtype=dtype,
        schedule=schedule,
        channel=_channel(f"{field}.evaluations", listed),
    )
    return _in_one_prediction(run, [kind for _, _, _, kind in made])


def schedule_of(data: Mapping[str, Any], field: str) -> Schedule | None:
    """The schedule whose time the points of a table or run have, from its provenance; None where it states none."""
    made = data.get("provenance", {})
    if not isinstance(made, Mapping):
        raise InputError(f"{field}.provenance", made, "an object")
    return named(made["schedule"], f"{field}.provenance.schedule") if "schedule" in made else None


def _evaluation(
    name: str, field: str, entry: object, prediction: str, vector: Callable[[str, object], list[float]]
) -> tuple[Point, list[float], list[float], str]:
    """The point, input, output and prediction of an evaluation."""
    found = check_keys(f"{field}.{name}", entry, ("point", "input", "output"), ("prediction", "step", "channel"))
    kind = prediction_of(f"{field}.{name}.prediction", found.get("prediction", prediction))
    at = point_of(f"{field}.{name}.point", found["point"], kind)
    return at, vector(f"{name}.input", found["input"]), vector(f"{name}.output", found["output"]), kind


def _steps(field: str, listed: list[Any], points: int) -> tuple[int, ...]:
    """The steps of all evaluations, which never go back; empty where none is recorded."""
    if not any("step" in entry for entry in listed):
        return ()
    if not points:
        raise InputError(f"{field}[0].step", listed[0].get("step"), "a step of the points in grid, which is not there")
    steps = [0]
    for k, entry in enumerate(listed):
        steps.append(integer(f"{field}[{k}].step", entry.get("step"), steps[-1], points - 1))
    return tuple(steps[1:])


def _channel(field: str, listed: list[Any]) -> tuple[str, ...]:
    """The channel of every evaluation, "" where it has none; empty where none is recorded."""
    if not any("channel" in entry for entry in listed):
        return ()
    return tuple(
        text(f"{field}[{k}].channel", entry["channel"]) if "channel" in entry else "" for k, entry in enumerate(listed)
    )


def _in_one_prediction(run: RecordedRun, kinds: list[str]) -> RecordedRun:
    """The run with data predictions, where its evaluations return several kinds."""
    if set(kinds) == {run.prediction}:
        return run
    each = zip(run.inputs, run.outputs, run.points, kinds, strict=True)
    outputs = torch.stack([convert(x, d, at, kind, "data") for x, d, at, kind in each])
    values: dict[str, Any] = {**vars(run), "prediction": "data", "outputs": outputs}
    return RecordedRun(**values)


def dtype_of(field: str, stated: object, states: Tensor) -> torch.dtype:
    """The dtype in which states were computed: as stated, or the narrowest one that has all of them.

    A float32 may be printed with nine digits. Raises InputError on another dtype, and on numbers of fewer digits.
    """
    if stated is not None:
        if not isinstance(stated, str) or stated not in DTYPES:
            raise InputError(field, stated, f"one of {', '.join(DTYPES)}")
        return DTYPES[stated]
    values = states[states != 0]
    for name in ("float16", "bfloat16", "float32"):
        if len(values) and torch.equal(_rounded(values, DTYPES[name]), values):
            return DTYPES[name]
    digits = max((_digits(value) for value in values.tolist()), default=17)
    if digits < FEW_DIGITS:
        allowed = f"at least {DIGITS} digits of a float32 and 17 of a float64, or hexadecimal floats"
        raise InputError(field.replace("dtype", "evaluations"), f"numbers of {digits} digits", allowed)
    return torch.float32 if digits <= DIGITS else torch.float64


def _digits(value: float) -> int:
    """The significant digits of the shortest decimal of a float64."""
    mantissa = repr(abs(value)).partition("e")[0].replace(".", "")
    return len(mantissa.strip("0"))


def _rounded(values: Tensor, dtype: torch.dtype) -> Tensor:
    return values.to(dtype).double()
