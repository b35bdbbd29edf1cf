"""A study from Python: your target, your grid, your samplers beside those of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .catalogue_method import Method
from .numerics.errors import InputError, of_type
from .numerics.generated.schedule_functions import SCHEDULES
from .numerics.grids import Grid
from .numerics.schedules import Schedule
from .numerics.schedules import schedule as make_schedule
from .numerics.studies.from_tables import run_tables
from .numerics.studies.read_function import External
from .numerics.studies.study_table import study_csv, study_markdown, study_text
from .numerics.support.consent import Consent
from .numerics.support.reading import read_toml
from .numerics.targets.mixture import GaussianMixture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEYS = ("records", "fits", "manifest", "grids", "external")
Named = str | Method | External
Settings = Mapping[str, Any]
OneGrid = str | Settings | Grid


@dataclass(frozen=True, eq=False)
class StudyResult(Mapping[str, Any]):
    """The records of a study, the exponents fitted to them, and the manifest; `print` shows them as a table.

    records: {"method", "steps", "nfe", "metric", "value", "error", ...} of every run.
    fits: {"method", "metric", "exponent", "stderr", "window", "status", ...}, with the exponent a in N^-a, None below
    three points.  manifest: the settings and versions.
    grids: {"name", "steps", "findings"} of every grid; a finding is a level that is not what it should be.
    external: {"method", "grid", "steps", "linear", "equals", "nearest", "difference", "kept", "note"} of every sampler
    that is not of the catalogue: the record whose table it has, or the nearest.
    A mapping of these five names, as records.json has it; in a notebook it is shown as a table.
    """

    records: list[dict[str, Any]]
    fits: list[dict[str, Any]]
    manifest: dict[str, Any]
    grids: list[dict[str, Any]] = field(default_factory=list)
    external: list[dict[str, Any]] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        if name not in KEYS:
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(KEYS)

    def __len__(self) -> int:
        return len(KEYS)

    def plot(self, metric: str | None = None, against: str = "nfe", grid: str | None = None) -> Figure:
        """A figure of matplotlib: the error of one metric, or of all, against "nfe" or "steps", on one grid or on all.

        Colours and markers stand for methods, in all figures of a study.  Raises InputError on a metric or a grid that
        the study does not have, and where no value is positive.

        >>> result.plot("tv").savefig("tv.pdf")  # doctest: +SKIP
        """
        from .numerics.studies.study_figure import plot_study  # matplotlib is slow to import

        return plot_study(self, metric, against, grid)

    def draw(self, folder: str | Path) -> list[Path]:
        """Draw every figure into a folder, as SVG, PNG and PDF, with captions; returns the paths.

        work-precision-METRIC and convergence-METRIC, as wide as a column, the panels of several grids below each other.
        """
        from .numerics.studies.study_figure import draw_study

        return draw_study(self, Path(folder))

    def _repr_html_(self) -> str:
        """The tables as a notebook shows them."""
        from .book.study_page import tables

        return tables(self)

    def __repr__(self) -> str:
        methods = dict.fromkeys(fit["method"] for fit in self.fits)
        return f"StudyResult({', '.join(methods)}: {len(self.records)} records)"

    def __str__(self) -> str:
        return study_text(self)

    def table(self, form: str = "text") -> str:
        """The table of every metric and grid: errors by N, exponent, proved order, status, leading error.

        form: "text", "markdown", or "csv" with a line a record.
        """
        forms = {"text": study_text, "markdown": study_markdown, "csv": study_csv}
        if form not in forms:
            raise InputError("form", form, f"one of {', '.join(forms)}")
        return forms[form](self)


def study(
    source: str | Path | Settings | None = None,
    *,
    target: GaussianMixture | Settings | str | None = None,
    schedule: Schedule | Settings | str | None = None,
    grid: OneGrid | Sequence[OneGrid] | None = None,
    methods: Sequence[Named] = (),
    steps: Sequence[int] | None = None,
    metrics: Sequence[str] = ("trajectory",),
    init: str | None = None,
    start: str = "ramp",
    points: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    large: bool = False,
    workers: int = 1,
    scheduler: str | None = None,
) -> StudyResult:
    """Measure the error of samplers on a target over numbers of steps, and fit the exponents.

        source   a TOML file, or the same tables as a dict; or leave it out and give the rest by name
        target   a GaussianMixture, a dict of its arguments, or the name of a checkpoint
        schedule a kind, what `sp.schedule` returns, or a dict of kind and parameters
        grid     a kind, KIND?parameter=value&…, a dict of kind and parameters as `sp.grid` takes them and perhaps of a
                 `name`, or a Grid on the schedule; or several, with which the methods are crossed
        methods  names of the catalogue; samplers of your own, studied under their own names: functions (denoise, x,
                 sigmas) -> x as `sp.read_back` takes them, schedulers of diffusers or derived from these, an
                 `sp.Adapter`, tables and objects with `tabulate(grid)`; or what `sp.verify` takes, as text:
                 "my_file.py:name", "diffusers:Class?option=value", "k-diffusion:function", and table files "table.json"
        steps    numbers of steps N; a Grid and a list of levels have their own
        metrics  "tv", "kl", "w2", "trajectory" (root mean square distance from the exact flow, not with noise);
                 in d > 1 also "energy", "sliced-w2" and "moments"
        init     the start law: "exact", the marginal at the noisy end, or "normal"
        start    the start-up of multistep methods: "ramp", their own, or "exact" start values
        points   quadrature points in one dimension, samples in more
        seed     of samples and noise
        out      a folder to keep the records in and to draw the figures into; None keeps nothing
        large    allow more memory or time than 1 GB or ten minutes
        workers  processes of this machine that share the runs, 1 to 256; a program that asks for several must start
                 below `if __name__ == "__main__":`, for each process imports its file
        scheduler the address of a dask.distributed scheduler whose workers share the runs, such as
                 "tcp://10.0.0.1:8786"; the records are those of one process

    Raises InputError, naming the field as in a study file, before anything is computed.

    >>> import samplerproof as sp
    >>> result = sp.study(
    ...     target=sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35]),
    ...     schedule="vp-linear",
    ...     grid={"kind": "uniform-lambda", "t_min": 1e-3, "t_max": 1.0},
    ...     methods=["ddim", "dpm-solver++-2m"],
    ...     steps=[20, 40, 80],
    ...     points=501,
    ... )
    >>> [round(fit["exponent"], 1) for fit in result.fits]
    [1.0, 2.0]
    """
    if source is None:
        own = (("init", init), ("points", points), ("steps", steps))
        given = {"methods": methods, "metrics": metrics, "start": start, "seed": seed}
        tables = {"target": _target(target), "schedule": _choice(schedule)}
        tables["grid"] = _grids(grid, tables["schedule"])
        tables["run"] = given | {key: value for key, value in own if value is not None}
    else:
        of_type("source", source, (str, Path, Mapping), "the path of a TOML file, or a dict of its tables")
        tables = dict(source) if isinstance(source, Mapping) else _read(Path(source))
    wanted = _by_name({name: table for name, table in tables.items() if table is not None})
    if out is not None:
        of_type("out", out, (str, Path), "the path of a folder, or None")
    folder = None if out is None else Path(out)
    consent = Consent(large=large)
    base = Path(source).parent if isinstance(source, str | Path) else Path()
    draw = folder is not None
    answer = run_tables(wanted, folder, draw=draw, consent=consent, base=base, workers=workers, scheduler=scheduler)
    return StudyResult(*(answer[key] for key in KEYS))


def _grids(given: OneGrid | Sequence[OneGrid] | None, schedule: Settings | None) -> Any:
    """One grid, or several, as a study file has them."""
    if given is None or isinstance(given, str | Mapping | Grid):
        return _grid(given, schedule, "grid")
    of_type("grid", given, Sequence, "a grid, or a list of grids")
    return [_grid(one, schedule, f"grid[{n}]") for n, one in enumerate(given)]


def _grid(given: OneGrid | None, schedule: Settings | None, field: str) -> Any:
    """A grid as a study file has it: a Grid by its times on the schedule of the study, which must be its own."""
    if not isinstance(given, Grid):
        return given
    if schedule is None or schedule.get("kind") not in SCHEDULES or make_schedule(**schedule) != given.schedule:
        raise InputError(field, given, "a Grid on the schedule of the study")
    return {"kind": "list", "timesteps": given.columns.t.tolist()}


def _read(file: Path) -> dict[str, Any]:
    tables = read_toml(file, "source")
    if "verification" in tables:
        raise InputError("source", str(file), "a study; the samplers of a [verification] are verified by sp.verify")
    return tables


def _by_name(tables: Settings) -> Settings:
    """The tables with the names of methods of the catalogue in place of the methods."""
    run = tables.get("run")
    methods = run.get("methods") if isinstance(run, Mapping) else None
    if not isinstance(run, Mapping) or not isinstance(methods, list | tuple):
        return tables  # refused by the engine
    names = [method.name if isinstance(method, Method) else method for method in methods]
    return {**tables, "run": {**run, "methods": names}}


def _target(target: GaussianMixture | Settings | str | None) -> Settings | None:
    if isinstance(target, str):
        return {"checkpoint": target}
    if not isinstance(target, GaussianMixture):
        return target
    law: dict[str, Any] = {"weights": target.weights.tolist()}
    law["means"] = target.means[:, 0].tolist() if target.dim == 1 else target.means.tolist()
    if target.axes is not None:
        spread = (target.axes * target.variances[:, None]) @ target.axes.mT
        return law | {"covariances": ((spread + spread.mT) / 2).tolist()}
    deviations = target.variances.sqrt()
    return law | {"stds": deviations[:, 0].tolist() if deviations.shape[1] == 1 else deviations.tolist()}


def _choice(given: Schedule | Settings | str | None) -> Settings | None:
    """A kind with its parameters, as a study file has it."""
    if isinstance(given, Schedule):
        return {"kind": given.kind, **given.parameters}
    return {"kind": given} if isinstance(given, str) else given
