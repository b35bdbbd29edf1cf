"""The study file: TOML with four tables, read strictly; every fault is an InputError that names its field."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..errors import InputError, nearest, one_line
from ..grid_kinds.all_kinds import WORDS, spelled, typed
from ..grid_kinds.given_kinds import LISTS, lengths, opened
from ..support.limits import LIMITS, NAME, PATH, SEVERAL, numbers
from ..support.reading import read_toml
from .checkouts import Checkout


def _distinct(values: list[Any]) -> list[Any]:
    for n, value in enumerate(values):
        if value in values[:n]:
            raise ValueError(f"{value!r} is listed twice")
    return values


def _within(field: str) -> Any:
    """The limits of a field as a constraint of pydantic."""
    limit = LIMITS[field]
    return Field(ge=limit.low, le=limit.high)


Name = Annotated[str, Field(max_length=NAME)]
Place = Annotated[str, Field(max_length=PATH)]
Metric = Literal["tv", "kl", "w2", "trajectory", "energy", "sliced-w2", "moments"]


LI = "li"  # a discrete schedule, which brings its own grid
METHOD = "the name of a method, a target such as FILE.py:name or a table file; in Python also a sampler or a table"
POINTS, SAMPLES = 6001, 1000  # defaults in d = 1 and in d > 1
FEWEST_POINTS = 101
LARGEST = sys.float_info.max


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Target(_Table):
    """The law of x0: weights [K], means [K] or [K][d], one of stds and covariances [K][d][d]; see GaussianMixture."""

    weights: list[Any]
    means: list[Any]
    stds: list[Any] | None = None
    covariances: list[Any] | None = None

    @model_validator(mode="after")
    def _numbers_within_limits(self) -> Self:
        limit = LIMITS["target.weights"]
        if len(self.weights) > limit.high:
            raise InputError("target.weights", f"{len(self.weights)} numbers", f"at most {limit.high:.0f} components")
        numbers("target.weights", self.weights, -1e300, 1e300)  # the mixture checks signs and sums
        for name in ("means", "stds", "covariances"):
            most = LIMITS[f"target.{name}"].high
            if getattr(self, name) is not None:
                numbers(f"target.{name}", getattr(self, name), -most, most)
        return self


class Choice(_Table):
    """A kind with its parameters, all numbers; schedules.py checks which ones belong to the kind."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float] = Field(init=False)

    kind: Name

    @property
    def parameters(self) -> dict[str, float]:
        return dict(self.__pydantic_extra__)


class GridChoice(_Table):
    """A kind of grid with its parameters: numbers, words, lists of levels; grids.py checks which ones it takes.

    name: what records call it; its spelling KIND?parameter=value&… if None.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Any] = Field(init=False)

    kind: Name
    name: Annotated[str, Field(min_length=1, max_length=NAME)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _numbers(cls, data: Any) -> Any:
        """Every parameter of its own form, and whole numbers as floats."""
        if isinstance(data, str):
            data = typed(data)
        if not isinstance(data, dict):
            return data
        return {key: value if key in ("kind", "name") else _parameter(key, value) for key, value in data.items()}

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__)

    @property
    def called(self) -> str:
        """The name of the grid in records."""
        return self.name or spelled(self.kind, self.parameters)

    @property
    def lengths(self) -> tuple[int, ...]:
        """The numbers of steps of a list, which has its own; empty for every other kind."""
        return lengths(self.parameters)

    def plain(self) -> dict[str, Any]:
        """The table as the file has it."""
        return self.model_dump(exclude_none=True)


def _parameter(name: str, value: Any) -> Any:
    """A word, a list of numbers, or a number, as the parameter of that name has it; InputError on any other value."""
    field = f"grid.{name}"
    if name in WORDS:
        if not isinstance(value, str) or len(value) > NAME:
            raise InputError(field, value, "must be a word")
        return value
    if name in LISTS and isinstance(value, str):  # a file
        return _parameter(name, opened({name: value})[name])
    if name in LISTS:
        most = LIMITS["grid"].high
        if not isinstance(value, list) or len(value) > LIMITS["run.steps"].high:
            raise InputError(field, value, "must be a list of levels")
        numbers(field, value, 0, most)
        if any(isinstance(entry, list) for entry in value):  # lists of different lengths
            return [_parameter(name, entry) for entry in value]
        return [float(level) for level in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(field, value, "must be a valid number")
    if not -LARGEST <= value <= LARGEST:
        raise InputError(field, value, "must be a finite number")
    return float(value)


class Run(_Table):
    """The runs and their metrics; book/manual.md explains every field under `study`."""

    methods: Annotated[list[Place], Field(min_length=1, max_length=int(LIMITS["run.methods"].high))]
    steps: Annotated[
        list[Annotated[int, _within("run.steps")]], Field(min_length=1, max_length=SEVERAL), AfterValidator(_distinct)
    ] = Field(default_factory=list)  # left out where every grid has its own numbers of steps
    metrics: Annotated[list[Metric], Field(min_length=1), AfterValidator(_distinct)]
    init: Literal["exact", "normal"] = "exact"
    start: Literal["ramp", "exact"] = "ramp"
    points: Annotated[int, _within("run.points")] | None = None
    samples: Annotated[int, _within("run.samples")] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


class Network(_Table):
    """A network in place of a mixture: a folder, or the name of a checkpoint (checkpoints/load.py)."""

    checkpoint: Place


class _Whole(_Table):
    """The tables of every study file: [grid], or several [[grid]], which its methods are crossed with. The schedule
    "li" has its own grid; all others need one.
    """

    schedule: Choice
    grids: Annotated[tuple[GridChoice, ...], Field(max_length=int(LIMITS["grids"].high), strict=False)] = Field(
        default=(), alias="grid"
    )
    run: Run

    @field_validator("grids", mode="before")
    @classmethod
    def _one_is_a_list_of_one(cls, given: Any) -> Any:
        return given if isinstance(given, list | tuple) else (given,)

    @model_validator(mode="after")
    def _parameters_within_limits(self) -> Self:
        tables = [("schedule", "schedule", self.schedule.parameters)]
        tables += [("grid", self.field(n), choice.parameters) for n, choice in enumerate(self.grids)]
        for table, field, parameters in tables:
            for name, value in parameters.items():
                if table == "grid" and not isinstance(value, float):
                    continue
                limit = LIMITS.get(f"{table}.{name}", LIMITS[table])
                numbers(f"{field}.{name}", value, limit.low, limit.high)
        return self

    @model_validator(mode="after")
    def _grids_of_the_schedule(self) -> Self:
        if self.schedule.kind == LI and self.grids:
            raise InputError("grid.kind", self.grids[0].kind, 'schedule "li" has its own grid; leave [grid] out')
        if self.schedule.kind != LI and not self.grids:
            raise InputError("grid", NOTHING, f"schedule {self.schedule.kind!r} needs a [grid]")
        names = [choice.called for choice in self.grids]
        for n, name in enumerate(names):
            if name in names[:n]:
                raise InputError(f"grid[{n}].name", name, f"a name of its own: grid[{names.index(name)}] has it")
        return self

    @model_validator(mode="after")
    def _steps_of_the_grids(self) -> Self:
        if not self.run.steps and not (self.grids and all(choice.lengths for choice in self.grids)):
            raise InputError("run.steps", NOTHING, "required")
        return self

    def field(self, n: int) -> str:
        """The table of grid n as it is named in messages."""
        return "grid" if len(self.grids) == 1 else f"grid[{n}]"

    @property
    def crossed(self) -> list[tuple[str, int]]:
        """The grids that every method is run on, by name and number of steps: each of run.steps, of a list its own."""
        if not self.grids:
            return [(LI, steps) for steps in self.run.steps]
        return [(choice.called, steps) for choice in self.grids for steps in choice.lengths or self.run.steps]


class Study(_Whole):
    """A study of a mixture."""

    target: Target


class NetworkStudy(_Whole):
    """A study of a network. Its start law is the schedule's Gaussian, as the exact one is not known."""

    target: Network

    @model_validator(mode="before")
    @classmethod
    def _no_exact_law(cls, data: Any) -> Any:
        for key, value in data["target"].items():
            if key != "checkpoint":
                raise InputError(f"target.{key}", value, "a checkpoint stands alone; leave it out")
        run = data.get("run")
        if not isinstance(run, dict):
            return data
        if run.get("init") == "exact":
            raise InputError("run.init", "exact", 'the law of a network is not known; give "normal" or leave it out')
        return {**data, "run": {"init": "normal", **run}}


class Verification(_Table):
    """Samplers of other libraries to verify.  against: the reference of a target, by default the record of its name.

    checkouts: folders of libraries, by the name before the colon of a target; those that are missing are not verified.
    """

    targets: Annotated[
        list[Place],
        Field(min_length=1, max_length=int(LIMITS["verification.targets"].high)),
        AfterValidator(_distinct),
    ]
    against: dict[Place, Name] = {}
    checkouts: dict[Name, Checkout] = {}
    steps: Annotated[int, _within("verification.steps")] = 20
    timeout: Annotated[float, Field(gt=0, le=LIMITS["verification.timeout"].high)] = 60.0


class VerificationFile(_Table):
    """A file with the single table [verification]."""

    verification: Verification


def renamed(fault: InputError, table: str, name: str) -> InputError:
    """The fault of a field of a table, under another name of the table."""
    inside = fault.field == table or fault.field.startswith((f"{table}.", f"{table}["))
    field = name + fault.field.removeprefix(table) if inside else fault.field
    return InputError(field, fault.value, fault.allowed)


_AnyModel = TypeVar("_AnyModel", bound=BaseModel)


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


NOTHING = _Nothing()


def read(path: Path) -> Study | NetworkStudy | Verification:
    """The study in a TOML file; InputError for a file that cannot be read, and for the first fault in it."""
    data = read_toml(path, "FILE")
    if "verification" in data:
        return _validated(VerificationFile, data).verification
    return parse_study(_with_files(data, path.parent))


def _with_files(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The tables of a study file with the levels of files, whose names are relative to its folder."""
    given = data.get("grid")
    tables = given if isinstance(given, list) else [given]
    found: list[Any] = []
    for n, table in enumerate(tables):
        try:
            found.append(opened(table, folder) if isinstance(table, dict) else table)
        except InputError as fault:
            raise renamed(fault, "grid", f"grid[{n}]" if len(tables) > 1 else "grid") from None
    return {**data, "grid": found if isinstance(given, list) else found[0]} if given is not None else data


def parse_study(data: dict[str, Any]) -> Study | NetworkStudy:
    """The study in a TOML document already read: of a network if its target is a checkpoint, else of a mixture."""
    target = data.get("target")
    return parse_network(data) if isinstance(target, dict) and "checkpoint" in target else parse(data)


def parse(data: dict[str, Any]) -> Study:
    """The study of a mixture in a TOML document already read; InputError for the first fault."""
    return _validated(Study, data)


def parse_network(data: dict[str, Any]) -> NetworkStudy:
    """The study of a network in a TOML document already read; InputError for the first fault."""
    return _validated(NetworkStudy, data)


def _validated(model: type[_AnyModel], data: dict[str, Any]) -> _AnyModel:
    try:
        return model.model_validate(data)
    except ValidationError as faults:
        several = isinstance(data.get("grid"), list | tuple) and len(data["grid"]) > 1
        raise _input_error(faults, model, several) from None


def _input_error(faults: ValidationError, model: type[BaseModel], several: bool) -> InputError:
    """The first fault: the field as it is written in the file, its value, what is allowed.

    several: whether the file has more than one grid, whose fields have a number.
    """
    fault = faults.errors(include_url=False)[0]
    where, value, kind = fault["loc"], fault["input"], fault["type"]
    numbered = where[:1] == ("grid",) and len(where) > 1
    if numbered and not several:
        where = ("grid", *where[2:])
    if kind == "missing":
        return InputError(_field(where), NOTHING, "required")
    if kind == "extra_forbidden":
        return InputError(_field(where), value, f"unknown key; {nearest(str(where[-1]), _keys(where[:-1], model))}")
    if kind in ("model_type", "model_attributes_type"):
        return InputError(_field(where), value, f"must be a table [{_field(where)}]")
    if kind == "too_short":
        return InputError(_field(where), value, "must have at least one entry")
    if kind == "too_long":
        return InputError(_field(where), f"{len(value)} entries", f"at most {fault['ctx']['max_length']}")
    if where[:2] == ("run", "methods") and kind == "string_type":
        return InputError(_field(where), value, METHOD)
    own = fault.get("ctx", {}).get("error")
    if isinstance(own, InputError):
        return renamed(own, "grid", f"grid[{where[1]}]") if numbered and several else own
    return InputError(_field(where), value, one_line(own or fault["msg"].replace("Input should", "must")))


def _field(where: Sequence[int | str]) -> str:
    """("run", "steps", 0) as run.steps[0]."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).removeprefix(".")


def _keys(where: Sequence[int | str], model: type[BaseModel]) -> list[str]:
    tables: dict[str, type[BaseModel]] = {"target": Target, "run": Run, "verification": Verification}
    fields = (tables.get(str(where[0]), model) if where else model).model_fields
    return [field.alias or name for name, field in fields.items()]
