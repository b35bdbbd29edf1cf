"""A study from Python: your target, your grid, your samplers beside those of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .catalogue_method import Method
from .numerics.errors import InputError
from .numerics.schedules import Schedule
from .numerics.studies.config import NetworkStudy, Study, Verification, parse_study, read
from .numerics.studies.read_function import External
from .numerics.studies.run import run
from .numerics.studies.study_figure import study_figure
from .numerics.support.consent import Consent
from .numerics.targets.mixture import GaussianMixture
from .numerics.text_table import aligned

Named = str | Method | External
Settings = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class StudyResult:
    """The records of a study, the exponents fitted to them, and the manifest; `print` shows them as a table.

    records: {"method", "steps", "nfe", "metric", "value", "error", ...} of every run.  fits: {"method", "metric",
    "exponent", "stderr", "window"}, the exponent a in N^-a, None below three points.  manifest: the settings and versions.
    """

    records: list[dict[str, Any]]
    fits: list[dict[str, Any]]
    manifest: dict[str, Any]

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
        return aligned(["method", "metric", *(f"N = {n}" for n in steps), "exponent"], rows)


def study(
    source: str | Path | Settings | None = None,
    *,
    target: GaussianMixture | Settings | str | None = None,
    schedule: Schedule | Settings | str | None = None,
    grid: Settings | None = None,
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

    source: a TOML file, or the same as a dict; or leave it out and give the rest by name:
    target: a GaussianMixture, a dict of its arguments, or the name of a checkpoint.  schedule: as `sp.schedule` returns
    it, a kind, or a dict {"kind", parameters}.  grid: a dict {"kind", parameters} as `sp.grid` takes them.
    methods: names of the catalogue, functions (denoise, x, sigmas) -> x as `sp.read_back` takes them, or objects with
    `tabulate(grid)`; a function counts under its own name.  steps: numbers of steps N.  metrics: "tv", "kl", "w2",
    "trajectory" (root mean square distance from the exact flow); in d > 1 also "energy", "sliced-w2" and "moments".
    init: start law, "exact" or "normal".  start: start-up, "ramp" or "exact".  points: quadrature points in one dimension,
    samples in more.  seed: of samples and noise.  out: a folder to keep the records in and to draw the figure
    `convergence` into; None keeps nothing.  large: allow memory and time beyond 1 GB and ten minutes.
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
    [1.0, 2.1]
    """
    external: dict[str, External] = {}
    if source is None:
        settings = {
            "target": _target(target),
            "schedule": _choice(schedule),
            "grid": _choice(grid),
            "run": {"methods": list(methods), "steps": list(steps), "metrics": list(metrics), "start": start, "seed": seed}
            | {key: value for key, value in (("init", init), ("points", points)) if value is not None},
        }
        wanted = _parsed({name: table for name, table in settings.items() if table is not None}, external)
    elif isinstance(source, Mapping):
        wanted = _parsed(source, external)
    else:
        wanted = _read(Path(source))
    folder = None if out is None else Path(out)
    answer = run(wanted, folder, consent=Consent(large=large), external=external)
    result = StudyResult(answer["records"], answer["fits"], answer["manifest"])
    if folder is not None:
        result.draw(folder / "convergence")
    return result


def _read(file: Path) -> Study | NetworkStudy:
    found = read(file)
    if isinstance(found, Verification):
        raise InputError("source", str(file), "a study; the samplers of a [verification] are verified by sp.verify")
    return found


def _parsed(settings: Settings, external: dict[str, External]) -> Study | NetworkStudy:
    """The study of these settings; samplers that are not names of the catalogue are added to `external`."""
    table = dict(settings)
    run_table = table.get("run")
    if isinstance(run_table, Mapping) and isinstance(run_table.get("methods"), list | tuple):
        table["run"] = {**run_table, "methods": [_named(method, external) for method in run_table["methods"]]}
    return parse_study(table)


def _named(method: Any, external: dict[str, External]) -> Any:
    """The name under which a sampler is studied."""
    if isinstance(method, Method):
        return method.name
    if callable(method) or hasattr(method, "tabulate"):
        name = str(getattr(method, "__name__", type(method).__name__))
        if external.setdefault(name, method) is not method:
            raise InputError("methods", name, "one sampler of this name")
        return name
    return method


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
