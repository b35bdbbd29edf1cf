"""`samplerproof reproduce`: the studies behind the convergence figures, the figures, the table and the manifest."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..numerics.errors import InputError
from ..numerics.leading.of_study import leading_errors_of
from ..numerics.studies.config import parse
from ..numerics.studies.convergence_figure import draw, draw_each, styles_of
from ..numerics.studies.figure_panel import Panel
from ..numerics.studies.run import run
from ..numerics.studies.store import opened
from ..numerics.studies.study_figure import CAPTIONS, captions
from ..numerics.studies.style import method_styles
from ..numerics.support.consent import Consent
from ..numerics.support.devices import device_of
from ..numerics.support.files import check_writable, write_text
from ..numerics.support.manifest import manifest
from ..numerics.support.progress import Progress, silent
from .studies.alternating import run_alternating
from .studies.bounds import FIXED_TIME, M1, VP_LINEAR, run_bounds
from .studies.stability_figure import GROUPS, draw_stability
from .tables import bound_tables, exponent_table, findings
from .tables.figure_panels import bound_panels, figures, pairs
from .tables.findings import ALTERNATING, FINDINGS

BOUNDS = "bounds"
PANELS = "panels"  # the folder of the figures of one panel
OWN = Consent(large=True)  # the cost of these studies is known
G = {"weights": [1.0], "means": [0.7], "stds": [0.5]}
PLANE = {"weights": [0.5, 0.3, 0.2], "means": [[1.5, 0.0], [-1.0, 1.0], [0.0, -1.5]], "stds": [0.5, 0.4, 0.6]}
VP: dict[str, Any] = {"kind": "vp-linear", **VP_LINEAR}
UNIFORM_T: dict[str, Any] = {"kind": "uniform-t", **FIXED_TIME}
SDE = ["ddpm", "sde-dpm-solver++-2m", "sde-dpm-solver++-2s", "sa-solver-2", "sa-solver-p1c1", "seeds-2"]
OVER_TAU = [f"sa-solver-2?tau={tau}" for tau in ("0", "1/2")] + ["sa-solver-2"] + ["sa-solver-2?tau=3/2"]
ADAMS = ["ddim", "dpm-solver++-2m", "exp-adams-2", "exp-adams-3", "exp-adams-4"]


def doublings(first: int, last: int) -> list[int]:
    """first, 2 first, 4 first, … up to last."""
    steps = [first]
    while 2 * steps[-1] <= last:
        steps.append(2 * steps[-1])
    return steps


def studies(quick: bool) -> dict[str, dict[str, Any]]:
    """The studies, as parsed study files.  T = N + 1 noise levels double in the studies of Li et al.'s samplers."""
    levels = [level - 1 for level in doublings(25, 400 if quick else 3200)]
    points = 501 if quick else 6001
    return {
        "fixed-time": {
            "target": M1,
            "schedule": VP,
            "grid": UNIFORM_T,
            "run": {
                "methods": ["li-ddim", "li-accelerated-ode"],
                "steps": levels,
                "metrics": ["tv", "kl"],
                "points": points,
            },
        },
        "li-schedule": {
            "target": M1,
            "schedule": {"kind": "li", "c0": 1.0, "c1": 7.0},
            "run": {
                "methods": ["li-ddim", "li-accelerated-ode"],
                "steps": [n for n in levels if n > 25],  # with fewer than 50 levels some b_k is near 1
                "metrics": ["tv"],
                "points": 501 if quick else 2001,
            },
        },
        "exponential-adams": {
            "target": M1,
            "schedule": VP,
            "grid": {"kind": "uniform-lambda", "t_min": 1e-3, "t_max": 1.0},
            "run": {
                "methods": ADAMS,
                "steps": doublings(10, 160 if quick else 1280),
                "metrics": ["tv", "trajectory"],
                "start": "exact",
                "points": 501 if quick else 2001,
            },
        },
        "plane": {
            "target": PLANE,
            "schedule": VP,
            "grid": {"kind": "uniform-lambda", "t_min": 1e-3, "t_max": 1.0},
            "run": {
                "methods": ["li-ddim", "li-accelerated-ode", *ADAMS, "edm-heun"],
                "steps": doublings(10, 160 if quick else 640),
                "metrics": ["trajectory"],
                "start": "exact",
                "samples": 100 if quick else 1000,
            },
        },
        FINDINGS: pointed(FINDINGS, quick),
        "stochastic": {
            "target": M1,
            "schedule": VP,
            "grid": UNIFORM_T,
            "run": {
                "methods": ["li-ddpm", "li-accelerated-sde", "ddpm"],
                "steps": [level - 1 for level in doublings(25, 400 if quick else 1600)],
                "metrics": ["tv", "kl"],
            },
        },
        "gaussian": {
            "target": G,
            "schedule": VP,
            "grid": UNIFORM_T,
            "run": {
                "methods": ["li-ddpm", "li-accelerated-sde", "li-accelerated-sde-readme", "edm-churn"],
                "steps": [level - 1 for level in doublings(25, 400 if quick else 1600)],
                "metrics": ["tv"],
            },
        },
        "sde-solvers": solvers(SDE, quick),
        "over-tau": solvers(OVER_TAU, quick),
    }


def solvers(names: list[str], quick: bool) -> dict[str, Any]:
    """Solvers of the reverse SDE on steps equal in lambda."""
    return {
        "target": M1,
        "schedule": VP,
        "grid": {"kind": "uniform-lambda", "t_min": 1e-2, "t_max": 1.0},
        "run": {"methods": names, "steps": doublings(20, 80 if quick else 320), "metrics": ["tv"]},
    }


def pointed(study: str, quick: bool) -> dict[str, Any]:
    """One of the two studies behind the table of findings, with exact start values."""
    return {
        "target": M1,
        "schedule": VP,
        "grid": {"kind": "uniform-lambda", "t_min": 0.05, "t_max": 1.0},
        "run": {
            "methods": findings.methods(study),
            "steps": doublings(10, 160 if quick else 640),
            "metrics": ["trajectory"],
            "start": "exact",
            "points": 201 if quick else 401,
        },
    }


def reproduce(
    out: Path, quick: bool, progress: Progress = silent, with_checkpoints: bool = False, device: str = "cpu"
) -> dict[str, Any]:
    """Run every study, draw the figures, write the tables, the records and a manifest into `out`.

    with_checkpoints: run the studies on networks too; the networks compute on `device`.

    Finished runs are kept, study by study, and not computed again.  Returns the content of records.json.
    Raises InputError where `out` cannot be written or has a full run that a quick one would overwrite, and on a device
    that this machine does not have.
    """
    started = datetime.now(UTC)
    if device_of(device).type != "cpu" and not with_checkpoints:
        raise InputError("--device", device, "cpu; only networks compute elsewhere, --with-checkpoints runs them")
    wanted = studies(quick)
    if quick and _has_full_run(out):
        raise InputError("--out", str(out), "another folder: this one has a full run, which --quick does not overwrite")
    check_writable(out)
    total = sum(len(s["run"]["methods"]) * len(s["run"]["steps"]) for s in wanted.values())
    answers: dict[str, dict[str, Any]] = {}
    before = 0
    for name, study in wanted.items():
        answers[name] = run(parse(study), out / name, _part(progress, before, total, name), OWN)
        before += len(study["run"]["methods"]) * len(study["run"]["steps"])
    progress(total, total, "steps that alternate")
    uneven = pointed(ALTERNATING, quick)
    both = {**answers, ALTERNATING: {"records": run_alternating(parse(uneven)), "manifest": {"run": uneven["run"]}}}
    progress(total, total, "dimension and score error")
    (out / BOUNDS).mkdir(exist_ok=True)
    with opened(out / BOUNDS) as store:
        measured = run_bounds(store, quick)
    progress(total, total, "leading errors")
    parsed = {name: parse(study) for name, study in wanted.items()}
    leading = {name: leading_errors_of(study) for name, study in parsed.items()}
    progress(total, total, "proofs, tables and figures")
    rows = exponent_table.table(parsed, answers, leading)
    found = findings.findings(both, findings.proofs())
    compared = bound_tables.bounds(rows, measured)
    draw_figures(figures(both, leading), bound_panels(both, measured), out)
    on_networks = with_networks(out, quick, progress, device) if with_checkpoints else {}
    answer = {
        "records": [{"study": name, **r} for name, a in both.items() for r in a["records"]],
        "exponents": rows,
        "findings": found,
        "bounds": {"records": measured, "exponents": compared},
        "manifest": {**manifest(0, started), "quick": quick, "studies": {**wanted, ALTERNATING: uneven}},
        **on_networks,
    }
    write_text(out / "exponents.md", exponent_table.markdown(rows))
    write_text(out / "findings.md", findings.markdown(found))
    write_text(out / "bounds.md", bound_tables.markdown(compared))
    write_text(out / "records.json", json.dumps(answer, indent=1, allow_nan=False) + "\n")
    write_text(out / "manifest.json", json.dumps(answer["manifest"], indent=1) + "\n")
    return answer


def _has_full_run(out: Path) -> bool:
    """Whether the manifest in a folder is that of a full run, or of none that can be read."""
    file = out / "manifest.json"
    try:
        return file.exists() and json.loads(file.read_text("utf-8")).get("quick") is not True
    except (OSError, ValueError, AttributeError):
        return True


def draw_figures(by_steps: Mapping[str, Sequence[Panel]], bounds: Sequence[Panel], out: Path) -> None:
    """Draw every figure, in `out`, and every panel of them into a file of its own, in its folder `panels`.

    A method has one colour and one marker in all of them.  by_steps: panels against N, by the stem of their figure;
    beside each is drawn the same against evaluations.
    """
    rows = {stem: pairs(panels) for stem, panels in by_steps.items()} | {BOUNDS: list(bounds)}
    every = [panel for panels in rows.values() for panel in panels]
    styles = method_styles([*([curve.method for curve in panel.curves] for panel in every), *GROUPS])
    (out / PANELS).mkdir(exist_ok=True)
    for stem, panels in rows.items():
        draw(panels, out / stem, styles)
    draw_each(every, out / PANELS, styles)
    draw_stability(out / "stability", styles, out / PANELS)
    write_text(out / CAPTIONS, captions(every))


def with_networks(out: Path, quick: bool, progress: Progress = silent, device: str = "cpu") -> dict[str, Any]:
    """Run the standard study on networks, with its tables and figure in `out`; returns its part of records.json.

    Records of other networks that lie in `out` or below it, network-*.json, are collected beside it.
    """
    from ..numerics.studies.network_record import collected
    from .records.study_results import OF_PUBLISHED
    from .studies.network_study import run_checkpoints
    from .tables import network_tables

    brought = collected(out)  # before the study: a record that cannot be read or shown costs no minutes
    sections = list(map(network_tables.brought, brought))
    found = run_checkpoints(out / "checkpoints", quick, progress, device)
    panels = network_tables.panels(found)
    draw(panels, out / "checkpoints")
    (out / PANELS).mkdir(exist_ok=True)
    draw_each(panels, out / PANELS, styles_of(panels))
    kept = [entry for entry in map(OF_PUBLISHED.read, OF_PUBLISHED.names) if entry is not None]
    others = [f"# Kept: {entry['name']}, trained by others\n\n{network_tables.published(entry)}\n" for entry in kept]
    write_text(out / "checkpoints.md", "\n".join([network_tables.markdown(found), *others, *sections]))
    return {"checkpoints": {**found, "published": kept, "brought": brought}}


def _part(progress: Progress, before: int, total: int, study: str) -> Callable[[int, int, str], None]:
    """The progress of one study as part of that of all."""
    return lambda done, _all, label: progress(before + done, total, f"{study}: {label}" if label else study)
