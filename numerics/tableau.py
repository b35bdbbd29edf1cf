"""Tableau: on a fixed grid a sampler is a table of float64 numbers, computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from .catalogue import resolve
from .coefficients import StepRows, lost, plan, steps_of, steps_on_all
from .content import ATOL, OPTIONAL, RTOL, ByContent, close
from .errors import InputError
from .generated.frame_functions import FRAMES
from .grids import Grid
from .points import Point
from .records import Record
from .text_table import aligned, cell


@dataclass(frozen=True, eq=False)
class Tableau(ByContent):
    """A sampler on a grid. Vectors v_0, v_1, …: the first `given` are supplied, each later one is a row,

        v_i = sum_k states[i - given, k] v_{i-1-k} + sum_j outputs[i - given, j] d_{i-1-j}
              + sum_l noises[i - given, l] z_{i-l},

    where d_i is the prediction of the denoiser at v_i and points[i], and z_i fresh standard normal noise, drawn with
    v_i. The last vector is the sample. evaluated[i]: whether d_i is made; it is not at the sample, nor at a corrected
    vector. At a vector in `lost` it is the data prediction (see coefficients.lost). states [R, K], outputs [R, J] and
    noises [R, L] (L = 0 without noise) are float64. step[i]: the grid point where the step ends that makes v_i.
    channels: for a model that has several outputs at a vector, as with and without a prompt, the coefficients [R, J] of
    each, {name: outputs}: sum_c sum_j channels[c][i - given, j] d_{i-1-j}[c] stands in place of the sum over outputs.
    They add up to `outputs`, the table for equal outputs. Empty for a model that has one.
    method: a label, which comparisons leave out: == compares all else exactly, isclose to a tolerance.
    """

    method: str = field(compare=False)
    prediction: str
    points: tuple[Point, ...]
    step: tuple[int, ...]
    evaluated: tuple[bool, ...]
    given: int
    states: Tensor
    outputs: Tensor
    noises: Tensor
    lost: frozenset[int] = frozenset()
    channels: Mapping[str, Tensor] = field(default_factory=dict, metadata=OPTIONAL)

    def __repr__(self) -> str:
        return f"Tableau({self._summary()})"

    def __str__(self) -> str:
        in_sigma = all(point.alpha == 1 for point in self.points)
        heads, rows = ["step", "sigma" if in_sigma else "lambda"], []
        for i, point in enumerate(self.points[self.given :], start=self.given):
            rows.append([str(self.step[i]), f"{point.sigma if in_sigma else point.lam:.6g}"])
        made = [(name, 1, column) for name, column in self.channels.items()] or [("d", 1, self.outputs)]
        for letter, first, coefficients in (("v", 1, self.states), *made, ("z", 0, self.noises)):
            for lag in (coefficients != 0).any(dim=0).nonzero().flatten().tolist():
                heads.append(f"{letter}[{-lag - first}]")
                for row, value in zip(rows, coefficients[:, lag].tolist(), strict=True):
                    row.append(cell(value))
        return self._summary() + "\n" + aligned(heads, rows)

    def _summary(self) -> str:
        return f"{self.method}: {max(self.step)} steps, {self.nfe} evaluations, {self.prediction} prediction"

    def isclose(self, other: Tableau, *, rtol: float = RTOL, atol: float = ATOL) -> bool:
        """Whether both make the same vectors at the same points, with coefficients to |a - b| <= atol + rtol |b|.

        A lag that only one of them has counts as a coefficient of 0 in the other. Tables in different predictions
        differ, also where the samplers are the same.
        """
        return isinstance(other, Tableau) and close(_padded(self, other), _padded(other, self), rtol, atol)

    def prediction_at(self, i: int) -> str:
        """The prediction that the denoiser makes at vector i."""
        return "data" if i in self.lost else self.prediction

    @cached_property
    def _derived(self) -> dict[Hashable, tuple[Tensor, ...]]:
        return {}

    def once(self, key: Hashable, make: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """What `make` returns, computed for the first run of the table that asks for this key."""
        if key not in self._derived:
            self._derived[key] = make()
        return self._derived[key]

    @property
    def nfe(self) -> int:
        """Number of function evaluations of a whole run."""
        return sum(self.evaluated)

    @property
    def drawn(self) -> tuple[bool, ...]:
        """For every vector whether a row uses the noise that is drawn with it."""
        used = {self.given + i - lag for i, lag in self.noises.nonzero().tolist()}
        return tuple(i in used for i in range(len(self.points)))

    def row(self, i: int) -> Tableau:
        """Row i as a tableau of one row, whose given vectors are all that its lags reach."""
        seen = max(self.states.shape[1], self.outputs.shape[1], self.noises.shape[1] - 1)
        last = i + self.given
        earlier = [max(j, 0) for j in range(last - seen, last)]
        keep = [*earlier, last]
        return replace(
            self,
            points=tuple(self.points[j] for j in keep),
            step=tuple(self.step[j] for j in keep),
            evaluated=(True,) * seen + (False,),
            given=seen,
            states=self.states[i : i + 1],
            outputs=self.outputs[i : i + 1],
            noises=self.noises[i : i + 1],
            lost=frozenset(new for new, j in enumerate(keep) if j in self.lost),
            channels={name: column[i : i + 1] for name, column in self.channels.items()},
        )


def tabulate(name: str, grid: Grid | None = None, start: str = "ramp") -> Tableau:
    """The table of a method of the catalogue on a grid: the coefficients of every row of a run, float64.

    name: of the method, or an alias; or the path of a table file (.json), whose ends must be those of a grid
    that is passed.
    start: "ramp": steps that lack history are taken by the start-up method of the record, recursively; "exact": the
    states at the first history + 1 grid points are given to `sample` instead.
    The last step of a predictor-corrector is only predicted, since a correction would cost another evaluation. A last
    step to sigma = 0 is the one-node rule, and so is a first one at alpha = 0 or near it, where the scale of the frame
    is lost in rounding: DDIM by the data prediction (coefficients.lost).
    `print` shows a row a line: v[-1] is the vector before, d[-1] the prediction there, z[0] the noise of the row.
    Raises InputError on an unknown method or start, more history than steps, stages between the levels of a discrete
    process, and coefficients that are not finite.

    >>> import samplerproof as sp
    >>> grid = sp.Grid.from_sigmas([10.0, 1.0, 0.1, 0.0])
    >>> print(sp.tabulate("dpm-solver++-2m", grid))
    dpm-solver++-2m: 3 steps, 3 evaluations, data prediction
    step  sigma  v[-1]  d[-1]  d[-2]
       1      1    0.1    0.9
       2    0.1    0.1   1.35  -0.45
       3      0             1
    >>> sp.tabulate("unip-2", grid) == sp.tabulate("dpm-solver++-2m", grid)
    True
    """
    if isinstance(name, str) and name.endswith(".json"):
        from .table_file import read_on_grid, read_table

        return read_table(name) if grid is None else read_on_grid(name, grid)
    record = resolve(name)
    if not isinstance(grid, Grid):
        raise InputError("grid", grid, "a grid, as sp.grid or sp.Grid.from_sigmas makes it")
    if start not in ("ramp", "exact"):
        raise InputError("start", start, 'one of "ramp", "exact"')
    if record.history >= grid.steps and record.history > 0:
        raise InputError("steps", grid.steps, f"{record.name} needs more than its history of {record.history} steps")
    return assemble(record, plan(record, grid), grid, given=(record.history if start == "exact" else 0) + 1)


def tabulate_all(name: str, grids: Sequence[Grid]) -> list[Tableau | InputError]:
    """tabulate on each of several grids, or why it has no table there.

    Grids of one schedule and one number of steps take together little more time than one of them; to rounding the
    tables are those of tabulate.
    """
    record = resolve(name)
    frame = FRAMES[record.frame]
    found: dict[int, Tableau | InputError] = {}
    alike: dict[tuple[object, ...], list[int]] = {}
    for n, grid in enumerate(grids):
        ends_at_zero = bool(grid.columns.sigma[-1] == 0)
        if grid.schedule is None or ends_at_zero or record.history >= grid.steps or lost(frame, grid):
            found[n] = _or_fault(partial(tabulate, name, grid))
        else:
            schedule = (grid.schedule.kind, *grid.schedule.parameters.items())
            alike.setdefault((grid.steps, *schedule), []).append(n)
    for members in alike.values():
        of = [grids[n] for n in members]
        methods = plan(record, of[0])
        for n, steps in zip(members, steps_on_all(methods, of, frame), strict=True):
            found[n] = _or_fault(partial(assemble, record, methods, grids[n], steps=steps))
    return [found[n] for n in range(len(grids))]


def _or_fault(make: Callable[[], Tableau]) -> Tableau | InputError:
    try:
        return make()
    except InputError as fault:
        return fault


def assemble(
    record: Record,
    methods: Sequence[Record | None],
    grid: Grid,
    given: int = 1,
    numbers: Mapping[str, Tensor] | None = None,
    steps: Sequence[StepRows] | None = None,
) -> Tableau:
    """The table of a run with a method for every step, or None for the one-node rule of the frame.

    steps: the rows of every step, where they are known.
    record: its name is the label of the table, its frame that of all methods.  numbers: values of parameters that
    change from step to step, float64 [N], by name.  Raises InputError as tabulate does.
    """
    frame, last = FRAMES[record.frame], grid.steps - 1
    taken = steps_of(methods, grid, frame, numbers) if steps is None else steps
    # The rows of the table: not those of steps before the start values, nor a correction at the end.
    count, evaluated_last = torch.zeros(grid.steps, dtype=torch.int64), torch.zeros(grid.steps, dtype=torch.bool)
    for rows in taken:  # of one step in the order of its stages
        count[rows.steps], evaluated_last[rows.steps] = rows.stage + 1, rows.evaluated
    count[: given - 1] = 0
    if not evaluated_last[last]:
        count[last] -= 1
        evaluated_last[last] = True  # the row before a correction
    kept = [rows.take(torch.nonzero(rows.stage < count[rows.steps])[:, 0]) for rows in taken]
    # Rows by the vectors that they read: a step's nodes are grid points behind it and its own stages.
    ends = given - 1 + count.cumsum(dim=0)  # the last vector of every step
    first = ends - count + 1
    with_output = ends - (~evaluated_last).long()  # and the last one with an output
    state_at, output_at = (torch.cat([torch.arange(given), found[given - 1 :]]) for found in (ends, with_output))
    total, points = int(ends[-1]) + 1, dict(enumerate(grid.points[:given]))
    step, (evaluated, read) = torch.arange(total), torch.tensor([[True], [False]]).repeat(1, total)
    states, outputs, noises = (_Lags(given, total - given) for _ in range(3))
    for rows in kept:
        n, vectors = rows.steps, first[rows.steps] + rows.stage
        step[vectors], evaluated[vectors] = n + 1, rows.evaluated
        points |= zip(vectors.tolist(), rows.points, strict=True)
        for k, c in enumerate(rows.states.T):
            states.add(vectors, state_at[n - k], c)
        for (back, stage), c in zip(rows.nodes, rows.weights.T, strict=True):
            source = first[n] + stage - 1 if stage else output_at[n - back]
            outputs.add(vectors, source, c)
            read[source] = True
        for i, c in enumerate(rows.noises.T):
            drawn = c != 0
            noises.add(vectors[drawn], first[n][drawn] + i, c[drawn])
    # Coefficients that overflow over a long step are refused, not stored.
    tables = states.laid_out(1), outputs.laid_out(1), noises.laid_out(0)
    finite = torch.stack([table.isfinite().all(dim=1) for table in tables]).all(dim=0)
    if not bool(finite.all()):
        on = int(step[given:][~finite][0])
        lam = grid.columns.lam[on - 1 : on + 1].tolist()
        raise InputError("grid", f"step {on}, lambda {lam[0]:.6g} to {lam[1]:.6g}", _FINITE.format(record.name))
    # A vector whose output no row reads is not evaluated.
    return Tableau(
        method=record.name,
        prediction=frame.prediction,
        points=tuple(points[i] for i in range(total)),
        step=tuple(step.tolist()),
        evaluated=tuple((evaluated & read).tolist()),
        given=given,
        states=tables[0],
        outputs=tables[1],
        noises=tables[2],
        lost=frozenset(output_at[: lost(frame, grid)].tolist()),
    )


class _Lags:
    """Coefficients by the row that has them and the lag of the vector that it reads."""

    def __init__(self, given: int, rows: int) -> None:
        self._given, self._rows = given, rows
        none = torch.empty(0, dtype=torch.int64)
        self._parts: list[tuple[Tensor, Tensor, Tensor]] = [(none, none, none.double())]

    def add(self, vectors: Tensor, sources: Tensor, values: Tensor) -> None:
        """Coefficients of rows that make these vectors from those sources."""
        self._parts.append((vectors - self._given, vectors - sources, values))

    def laid_out(self, nearest: int) -> Tensor:
        """A matrix [R, width] over lags, of which column 0 is the lag `nearest`."""
        rows, lags, values = (torch.cat(column) for column in zip(*self._parts, strict=True))
        width = int(lags.max()) - nearest + 1 if len(lags) else 0
        table = torch.zeros((self._rows, width), dtype=torch.float64)
        table[rows, lags - nearest] = values
        return table


def _padded(tableau: Tableau, other: Tableau) -> Tableau:
    """The tableau with zeros for the lags that only the other one has."""

    def pad(own: Tensor, others: Tensor) -> Tensor:
        return torch.nn.functional.pad(own, (0, max(0, others.shape[1] - own.shape[1])))

    return replace(
        tableau,
        states=pad(tableau.states, other.states),
        outputs=pad(tableau.outputs, other.outputs),
        noises=pad(tableau.noises, other.noises),
        channels={name: pad(column, other.outputs) for name, column in tableau.channels.items()},
    )


_FINITE = "steps over which the coefficients of {} are finite in float64"
