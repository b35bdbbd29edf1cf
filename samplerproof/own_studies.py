"""A study from Python: your target, your grid, your samplers beside those of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .catalogue_method import Method
from .numerics.errors import InputError, of_type
from .numerics.schedules import Schedule
from .numerics.studies.from_tables import run_tables
from .numerics.studies.read_function import External
from .numerics.studies.study_figure import study_figure
from .numerics.support.consent import Consent
from .numerics.support.reading import read_toml
from .numerics.targets.mixture import GaussianMixture
from .numerics.text_table import aligned

Named = str | Method | External
Settings = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class StudyResult:
    """The records of a study, the exponents fitted to them, and the manifest; `print` shows them as a table.

    records: {"method", "steps", "nfe", "metric", "value", "error", ...} of every run.
    external: {"method", "steps", "linear", "equals", "nearest", "difference", "kept", "note"} of every sampler that is
    not of the catalogue: the record whose table it has, or the nearest.
    fits: {"method", "metric", "exponent", "stderr", "window"}, with the exponent a in N^-a, None below three points.
    manifest: the settings and versions.
    """

    records: list[dict[str, Any]]
    fits: list[dict[str, Any]]
    manifest: dict[str, Any]
    external: list[dict[str, Any]] = field(default_factory=list)

    def draw(self, stem: str | Path) -> list[Path]:
        """Draw error against number of steps, a panel a metric, into files of that stem; returns their paths."""
        answer = {"records": self.records, "fits": self.fits, "manifest": self.manifest}
        return study_figure(answer, Path(stem))

    def __repr__(self) -> str:
        methods = dict.fromkeys(fit["method"] for fit in self.fits)
        return f"StudyResult({', '.join(methods)}: {len(self.records)} records)"

    def __str__(self) -> str:
        steps = sorted({record["steps"] for record in self.records})
        values = {(r["method"], r["metric"], r["steps"]): r["value"] for r in self.records}
        rows = []
        for fit in self.fits:
            found = [values.get((fit["method"], fit["metric"], n)) for n in steps]
            errors = ["-" if value is None else f"{value:.3e}" for value in found]
            exponent = "-" if fit["exponent"] is None else f"{fit['exponent']:.3f}"
            rows.append([fit["method"], fit["metric"], *errors, exponent])
        return aligned(["method", "metric", *(f"N = {n}" for n in steps), "exponent"], rows, left=2)


def study(
    source: str | Path | Settings | None = None,
    *,
    target: GaussianMixture | Settings | str | None = None,
    schedule: Schedule | Settings | str | None = None,
    grid: Settings | str | None = None,
    methods: Sequence[Named] = (),
    steps: Sequence[int] = (),
    metrics: Sequence[str] = ("trajectory",),
    init: str | None = None,
    start: str = "ramp",
    points: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    large: bool = False,
) -> StudyResult:
    """Measure the error of samplers on a target over numbers of steps, and fit the exponents.

        source   a TOML file, or the same tables as a dict; or leave it out and give the rest by name
        target   a GaussianMixture, a dict of its arguments, or the name of a checkpoint
        schedule a kind, what `sp.schedule` returns, or a dict of kind and parameters
        grid     a kind, or a dict of kind and parameters, as `sp.grid` takes them
        methods  names of the catalogue; samplers of your own, studied under their own names: functions (denoise, x,
                 sigmas) -> x as `sp.read_back` takes them, schedulers of diffusers or derived from these, an
                 `sp.Adapter`, tables and objects with `tabulate(grid)`; or what `sp.verify` takes, as text:
                 "my_file.py:name", "diffusers:Class?option=value", "k-diffusion:function", and table files "table.json"
        steps    numbers of steps N
        metrics  "tv", "kl", "w2", "trajectory" (root mean square distance from the exact flow, not with noise);
                 in d > 1 also "energy", "sliced-w2" and "moments"
        init     the start law: "exact", the marginal at the noisy end, or "normal"
        start    the start-up of multistep methods: "ramp", their own, or "exact" start values
        points   quadrature points in one dimension, samples in more
        seed     of samples and noise
        out      a folder to keep the records in and to draw `convergence.svg` and `.png` into; None keeps nothing
        large    allow more memory or time than 1 GB or ten minutes

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
        own = (("init", init), ("points", points))
        given = {"methods": methods, "steps": steps, "metrics": metrics, "start": start, "seed": seed}
        tables = {"target": _target(target), "schedule": _choice(schedule), "grid": _choice(grid)}
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
    answer = run_tables(wanted, folder, draw=folder is not None, consent=consent, base=base)
    return StudyResult(answer["records"], answer["fits"], answer["manifest"], answer["external"])


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
