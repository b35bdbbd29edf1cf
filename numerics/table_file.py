"""Table files: a Tableau as JSON, written exactly and read strictly.

    {"format": 1, "name": "…", "prediction": "data",
     "points": [[alpha, sigma], …],       of every vector; [alpha, sigma, t] and [alpha, sigma, t, alpha', sigma'] too
     "evaluated": [true, …, false], "given": 1,
     "states": [[…], …], "outputs": [[…], …], "noises": [[…], …]}

with the meaning of these fields in Tableau. Numbers are decimal, or texts of hexadecimal floats ("0x1.8p+1"). Optional:
"step", the grid point to which each vector leads, "lost", the vectors where the output is the data prediction,
"channels", of a model with several outputs at a vector, {"conditional": [[…], …], "unconditional": [[…], …]}, each as
wide as "outputs", which is their sum, and "provenance", an object for readers, of which `verify` uses "schedule": the
schedule whose time the points have, and "checksum": of a table that `design` wrote, whose rows sum to 1. A file whose
numbers were altered since is refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .content import digest
from .errors import InputError, nearest
from .generated.prediction_functions import PREDICTIONS
from .grids import Grid
from .points import NAN, Point
from .support.files import write_text
from .support.limits import LIMITS
from .support.strict_json import check_format, check_keys, entries, integer, number, numbers, read_object, text, written
from .tableau import Tableau

KEYS = ("format", "name", "prediction", "points", "evaluated", "given", "states", "outputs", "noises")
MORE = ("step", "lost", "channels", "provenance")
SAME = 1e-12  # of the ends of a table and of a grid
ADDED = 1e-12  # of the largest term: how far the sum of the channels may be from outputs
CHANNELS = 8  # at most
ON_FLOW = 1e-6  # |alpha + sigma - 1| of a point of the linear flow, whose derivatives are known


def read_table(path: str | Path, field: str = "table") -> Tableau:
    """The table in a file.

    field: the start of the name of an entry in messages.  Raises InputError, with the entry, on anything that is no
    table: a shape, a number that is not finite, levels out of order, a coefficient of a vector that does not exist yet
    or of an output that is not made, another key, another format, a size beyond the limits.
    """
    return table_of(read_object(Path(path), field), field)


def read_on_grid(path: str, grid: Grid) -> Tableau:
    """The table in a file, whose ends are those of a grid.  Raises InputError as read_table, and on other ends."""
    table = read_table(path)
    for name, own, other in (("begin", table.points[0], grid.points[0]), ("end", table.points[-1], grid.points[-1])):
        if not all(math.isclose(a, b, rel_tol=SAME, abs_tol=SAME) for a, b in zip(own[:2], other[:2], strict=True)):
            raise InputError(path, f"a table that {name}s at alpha, sigma {own[:2]}", f"{other[:2]}, as the grid")
    return table


def write_table(tableau: Tableau, path: Path, provenance: Mapping[str, Any] | None = None) -> None:
    """Write a table, whole or not at all; read_table returns an equal one, bit for bit.

    Raises InputError, before it writes, on a tableau that read_table would refuse.
    """
    write_text(path, table_text(tableau, provenance))


def table_text(tableau: Tableau, provenance: Mapping[str, Any] | None = None) -> str:
    """The text of a table file, a row a line.  Raises InputError as write_table."""
    data = plain_table(tableau, provenance)
    table_of(data, tableau.method)
    return layout(data)


def layout(data: Mapping[str, Any]) -> str:
    """JSON with the fields and the rows of matrices on lines of their own."""
    lines = []
    for key, value in data.items():
        rows = isinstance(value, list) and value and isinstance(value[0], list | dict)
        inner = ",\n  ".join(json.dumps(row, allow_nan=False) for row in value) if rows else ""
        lines.append(f'"{key}": ' + (f"[\n  {inner}]" if rows else json.dumps(value, allow_nan=False)))
    return "{" + ",\n ".join(lines) + "}\n"


def plain_table(tableau: Tableau, provenance: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A table in plain containers, as its file has it."""
    data: dict[str, Any] = {
        "format": 1,
        "name": tableau.method,
        "prediction": tableau.prediction,
        "points": [plain_point(point) for point in tableau.points],
        "evaluated": list(tableau.evaluated),
        "given": tableau.given,
        "states": _plain(tableau.states),
        "outputs": _plain(tableau.outputs),
        "noises": _plain(tableau.noises),
        "step": list(tableau.step),
    }
    if tableau.lost:
        data["lost"] = sorted(tableau.lost)
    if tableau.channels:
        data["channels"] = {name: _plain(column) for name, column in tableau.channels.items()}
    return {**data, "provenance": dict(provenance)} if provenance else data


def plain_point(point: Point) -> list[Any]:
    """[alpha, sigma], with t and the derivatives where it has them."""
    used = 5 if not math.isnan(point.dalpha) or not math.isnan(point.dsigma) else 3 if not math.isnan(point.t) else 2
    return [written(value) if math.isfinite(value) else _beyond(value) for value in point[:used]]


def _beyond(value: float) -> str | None:
    return None if math.isnan(value) else str(value)


def _plain(matrix: Tensor) -> list[list[Any]]:
    return [[written(value) for value in row] for row in matrix.tolist()]


def table_of(data: object, field: str = "table") -> Tableau:
    """The table in an object of a JSON file.  Raises InputError as read_table."""
    found = check_keys(field, data, KEYS, MORE)
    check_format(f"{field}.format", found["format"])
    name, prediction = text(f"{field}.name", found["name"]), prediction_of(f"{field}.prediction", found["prediction"])
    if not isinstance(found.get("provenance", {}), Mapping):
        raise InputError(f"{field}.provenance", found["provenance"], "an object")
    # Vectors: where each is, and which outputs are made.
    most = int(LIMITS["table.points"].high)
    listed = entries(f"{field}.points", found["points"], 2, most, "points")
    points = tuple(point_of(f"{field}.points[{i}]", entry, prediction) for i, entry in enumerate(listed))
    count = len(points)
    evaluated = tuple(entries(f"{field}.evaluated", found["evaluated"], count, count, "truth values, one a point"))
    for i, made in enumerate(evaluated):
        if not isinstance(made, bool) or (made and i == count - 1):
            allowed = "false, as the last vector is the sample" if i == count - 1 else "true or false"
            raise InputError(f"{field}.evaluated[{i}]", made, allowed)
    if not any(evaluated):
        raise InputError(f"{field}.evaluated", "false in every place", "at least one evaluation")
    given = integer(f"{field}.given", found["given"], 1, count - 1)
    # Rows: what each vector is made from.
    states = _matrix(f"{field}.states", found["states"], count - given, 1)
    outputs = _matrix(f"{field}.outputs", found["outputs"], count - given, 1)
    noises = _matrix(f"{field}.noises", found["noises"], count - given, 0)
    _check_causal(f"{field}.states", states, given - 1, 0)
    _check_causal(f"{field}.outputs", outputs, given - 1, 0, evaluated)
    _check_causal(f"{field}.noises", noises, given, given)
    channels = _channels(f"{field}.channels", found.get("channels", {}), outputs, given, evaluated)
    # Steps: given, or found from the rows.
    step = _steps(f"{field}.step", found.get("step"), count, states, given)
    _check_levels(field, points, step)
    lost = entries(f"{field}.lost", found.get("lost", []), 0, count, "numbers of vectors")
    tableau = Tableau(
        method=name,
        prediction=prediction,
        points=points,
        step=step,
        evaluated=evaluated,
        given=given,
        states=states,
        outputs=outputs,
        noises=noises,
        lost=frozenset(integer(f"{field}.lost[{n}]", i, 0, count - 1) for n, i in enumerate(lost)),
        channels=channels,
    )
    _check_unaltered(field, tableau, found.get("provenance", {}))
    return tableau


def _check_unaltered(field: str, tableau: Tableau, provenance: Mapping[str, Any]) -> None:
    """Raises InputError on a designed table whose rows do not sum to 1, or whose checksum is another."""
    if "checksum" not in provenance:
        return
    from .design.row_guarantees import check_consistent

    check_consistent(tableau, field)
    if provenance["checksum"] != digest(tableau):
        allowed = f"{digest(tableau)[:12]}…, that of its numbers: the table was altered, or remove the checksum"
        raise InputError(f"{field}.provenance.checksum", f"{str(provenance['checksum'])[:12]}…", allowed)


def prediction_of(field: str, value: object) -> str:
    """One of the predictions of a denoiser."""
    if not isinstance(value, str) or value not in PREDICTIONS:
        known = nearest(value, PREDICTIONS) if isinstance(value, str) else ", ".join(PREDICTIONS)
        raise InputError(field, value, f"not a prediction; {known}")
    return value


def point_of(field: str, value: object, prediction: str = "data") -> Point:
    """A point from [alpha, sigma], [alpha, sigma, t] or [alpha, sigma, t, dalpha, dsigma]; null where a number is
    not known. A velocity needs the derivatives, which are those of the linear flow where alpha + sigma = 1.
    """
    found = entries(field, value, 2, 5, "numbers: alpha, sigma, then t, then their derivatives in t")
    alpha, sigma = (number(f"{field}[{n}]", entry) for n, entry in enumerate(found[:2]))
    for n, entry in enumerate((alpha, sigma)):
        if entry < 0 or not alpha + sigma > 0:
            raise InputError(f"{field}[{n}]", entry, "alpha >= 0, sigma >= 0, not both 0")
    if len(found) == 4:
        raise InputError(field, "4 numbers", "alpha, sigma; alpha, sigma, t; or alpha, sigma, t, alpha', sigma'")
    rest = [_unbounded(f"{field}[{n}]", entry) for n, entry in enumerate(found[2:], start=2)]
    if prediction == "velocity" and len(found) < 5:
        if abs(alpha + sigma - 1) > ON_FLOW:
            allowed = "alpha, sigma, t, alpha', sigma', which a velocity needs; alpha, sigma where they sum to 1"
            raise InputError(field, f"{len(found)} numbers", allowed)
        rest = [rest[0] if rest else sigma, -1.0, 1.0]
    return Point(alpha, sigma, *rest)


def _unbounded(field: str, value: object) -> float:
    """t or a derivative: null where it is not known, "inf" and "-inf" where it has a limit."""
    if value is None:
        return NAN
    return float(str(value)) if value in ("inf", "-inf") else number(field, value)


def _matrix(field: str, value: object, rows: int, least: int) -> Tensor:
    """A matrix of that many rows, of `least` columns or more, float64."""
    found = entries(field, value, rows, rows, "rows, one for every vector that is not given")
    width = len(found[0]) if isinstance(found[0], list) else least
    most = int(LIMITS["table.coefficients"].high)
    if width * rows > most:
        raise InputError(field, f"{rows} rows of {width} numbers", f"at most {most} numbers")
    high = max(width, least)
    lines = [numbers(f"{field}[{i}]", row, high, high, "numbers, as many as in row 0") for i, row in enumerate(found)]
    return torch.tensor(lines, dtype=torch.float64).reshape(rows, high)


def _channels(field: str, value: object, outputs: Tensor, given: int, evaluated: Sequence[bool]) -> dict[str, Tensor]:
    """The matrices of the output channels, which add up to outputs."""
    if not isinstance(value, Mapping) or not len(value) <= CHANNELS or not all(map(str.isprintable, value)):
        raise InputError(field, value, f"an object of at most {CHANNELS} matrices, by the names of the outputs")
    found = {name: _matrix(f"{field}.{name}", entry, *outputs.shape) for name, entry in value.items()}
    for name, matrix in found.items():
        if matrix.shape != outputs.shape:
            raise InputError(
                f"{field}.{name}", f"rows of {matrix.shape[1]} numbers", "rows as wide as those of outputs"
            )
        _check_causal(f"{field}.{name}", matrix, given - 1, 0, evaluated)
    if found:
        each = torch.stack([*found.values()])
        off = (each.sum(dim=0) - outputs).abs() > ADDED * each.abs().amax(dim=0).clamp(min=1)
        if bool(off.any()):
            i, lag = off.nonzero()[0].tolist()
            total = float(each[:, i, lag].sum())
            raise InputError(
                field, f"a sum of {total:.9g} in row {i}, lag {lag}", f"{float(outputs[i, lag]):.9g}, as outputs"
            )
    return found


def _check_causal(field: str, matrix: Tensor, latest: int, first: int, made: Sequence[bool] | None = None) -> None:
    """Raises InputError on a coefficient other than 0 of a vector before `first`, or whose output is not made.

    latest: the vector of lag 0 in row 0; a row reaches back from there, never ahead.
    """
    for i, lag in matrix.nonzero().tolist():
        source = latest + i - lag
        where, value = f"{field}[{i}][{lag}]", float(matrix[i, lag])
        if source < first:
            raise InputError(
                where, value, f"0: {source - first} is no vector; row {i} reaches back {latest + i} at most"
            )
        if made is not None and not made[source]:
            raise InputError(where, value, f"0: evaluated[{source}] is false, so this output does not exist")


def _steps(field: str, value: object, count: int, states: Tensor, given: int) -> tuple[int, ...]:
    """The grid point that each vector leads to, from 0 on, never less than before."""
    if value is None:
        return inferred_steps(states, given)
    found = entries(field, value, count, count, "whole numbers, one a point")
    low, steps = 0, []
    for i, entry in enumerate(found):
        low = integer(f"{field}[{i}]", entry, low, 0 if i == 0 else count - 1)
        steps.append(low)
    if low == 0:
        raise InputError(f"{field}[{count - 1}]", low, "a whole number above 0, where the run ends")
    return tuple(steps)


def inferred_steps(states: Tensor, given: int) -> tuple[int, ...]:
    """The steps of a table that does not state them. A vector that a later one is made from is a grid point, and so is
    the last; a row without states continues the vector before it. All others are stages of the step that follows, or
    are corrected in it.
    """
    count = given + len(states)
    ends = {*range(given), count - 1}
    for i, row in enumerate(states):
        lags = row.nonzero()[:, 0].tolist() or [0]
        ends |= {given + i - 1 - lag for lag in lags}
    found, step = [], 0
    for i in range(count):
        found.append(step)
        step += i in ends
    return tuple(found)


def _check_levels(field: str, points: Sequence[Point], step: Sequence[int]) -> None:
    """Raises InputError unless the ends of the steps go from noise to data, or all of them from data to noise."""
    ends = {to: i for i, to in enumerate(step)}
    at = [ends[to] for to in sorted(ends)]
    sign = 1 if points[at[1]].lam > points[at[0]].lam else -1
    for before, i in pairwise(at):
        if not sign * (points[i].lam - points[before].lam) > 0:
            pair = [list(points[before][:2]), list(points[i][:2])]
            raise InputError(f"{field}.points[{i}]", pair[1], f"a level beyond that of step {step[before]}, {pair[0]}")
