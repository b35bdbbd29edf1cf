"""`samplerproof reproduce`: the studies behind the convergence figures, the figures, the table and the manifest."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..numerics import rates
from ..numerics.catalogue import resolve
from ..numerics.predicted import Prediction
from ..numerics.studies.config import Study, parse
from ..numerics.studies.figures import Curve, Panel, draw
from ..numerics.studies.manifest import manifest
from ..numerics.studies.predictions import predictions, promised
from ..numerics.studies.run import Progress, check_writable, run, silent, write_text
from ..numerics.studies.stability import draw_stability

M1 = {"weights": [0.35, 0.65], "means": [-1.2, 0.9], "stds": [0.5, 0.35]}
PLANE = {"weights": [0.5, 0.3, 0.2], "means": [[1.5, 0.0], [-1.0, 1.0], [0.0, -1.5]], "stds": [0.5, 0.4, 0.6]}
VP = {"kind": "vp-linear", "beta_min": 0.1, "beta_max": 20.0}
ADAMS = ["ddim", "dpm-solver++-2m", "exp-adams-2", "exp-adams-3", "exp-adams-4"]
Predicted = dict[tuple[str, int], Prediction]  # of a study, by method and number of steps
LINES = "numbers: $a$ in $N^{-a}$; lines: predicted, not fitted"


def doublings(first: int, last: int) -> list[int]:
    """first, 2 first, 4 first, … up to last."""
    steps = [first]
    while 2 * steps[-1] <= last:
        steps.append(2 * steps[-1])
    return steps


def studies(quick: bool) -> dict[str, dict[str, Any]]:
    """The studies, as study files hold them. T = N + 1 noise levels double in the studies of Li et al.'s samplers."""
    levels = [level - 1 for level in doublings(25, 400 if quick else 3200)]
    points = 1001 if quick else 6001
    return {
        "fixed-time": {
            "target": M1,
            "schedule": VP,
            "grid": {"kind": "uniform-t", "t_min": 1e-3, "t_max": 1.0},
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
                "steps": [n for n in levels if n > 25],  # below 50 levels a b_k would come near 1
                "metrics": ["tv"],
                "points": 1001 if quick else 2001,
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
                "points": 1001 if quick else 2001,
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
                "samples": 200 if quick else 1000,
            },
        },
    }


def reproduce(out: Path, quick: bool, progress: Progress = silent) -> dict[str, Any]:
    """Run every study, draw the figures, write the table of exponents, the records and a manifest into `out`.

    Finished runs are kept, study by study, and not computed again.  Returns what records.json holds.
    Raises InputError where `out` cannot be written.
    """
    started = datetime.now(UTC)
    check_writable(out)
    wanted = studies(quick)
    total = sum(len(s["run"]["methods"]) * len(s["run"]["steps"]) for s in wanted.values())
    answers: dict[str, dict[str, Any]] = {}
    before = 0
    for name, study in wanted.items():
        answers[name] = run(parse(study), out / name, _part(progress, before, total, name))
        before += len(study["run"]["methods"]) * len(study["run"]["steps"])
    progress(total, total, "predicted errors")
    parsed = {name: parse(study) for name, study in wanted.items()}
    predicted = {name: predictions(study) for name, study in parsed.items()}
    rows = table(parsed, answers, predicted)
    for stem, panels in figures(answers, rows, predicted).items():
        draw(panels, out / stem)
    draw_stability(out / "stability")
    answer = {
        "records": [{"study": name, **r} for name, a in answers.items() for r in a["records"]],
        "exponents": rows,
        "manifest": {**manifest(0, started), "quick": quick, "studies": wanted},
    }
    write_text(out / "exponents.md", markdown(rows))
    write_text(out / "records.json", json.dumps(answer, indent=1, allow_nan=False) + "\n")
    write_text(out / "manifest.json", json.dumps(answer["manifest"], indent=1) + "\n")
    return answer


def _part(progress: Progress, before: int, total: int, study: str) -> Callable[[int, int, str], None]:
    """The progress of one study as part of the whole."""
    return lambda done, _all, label: progress(before + done, total, f"{study}: {label}" if label else study)


def table(
    studied: dict[str, Study], answers: dict[str, dict[str, Any]], predicted: dict[str, Predicted]
) -> list[dict[str, Any]]:
    """One row a study, method and metric: nominal and asymptotic order, and the exponent measured in its window.

    predicted: C of the leading error C / N^p, p the order with the start-up of the study (KL: C / N^{2p}); ratio:
    measured over predicted, both at the most steps of the window; promise: how far from one that may be; fit: whether
    it is nearer.

    Window: the last four numbers of steps whose value lies above 1e-11, where rounding does not show yet; on Li et
    al.'s schedule the power of log N that the order implies is divided out (see rates.fit).
    """
    rows = []
    for study, answer in answers.items():
        for fit in answer["fits"]:
            method, metric = fit["method"], fit["metric"]
            record = resolve(method)
            steps, values = curve(answer, method, metric)
            clean = [(n, v) for n, v in zip(steps, values, strict=True) if v is not None and v > 1e-11][-4:]
            power = fit.get("log_power", 0)
            measured = rates.fit([n for n, _ in clean], [v for _, v in clean], log_power=power)
            rows.append(
                {
                    "study": study,
                    "method": method,
                    "metric": metric,
                    "order": record.order,
                    "order_asymptotic": record.order_asymptotic,
                    "start": answer["manifest"]["run"]["start"],
                    "log_power": power,
                    "exponent": None if measured is None else measured.exponent,
                    "stderr": None if measured is None else measured.stderr,
                    "window": None if measured is None else list(measured.window),
                    **comparison(studied[study], predicted[study], method, metric, clean),
                }
            )
    return rows


def comparison(
    study: Study, predicted: Predicted, method: str, metric: str, clean: list[tuple[int, float]]
) -> dict[str, Any]:
    """The columns of the table that compare the last of the measured values with its prediction."""
    steps, value = clean[-1] if clean else (0, 0.0)
    prediction = predicted.get((method, steps))
    expected = None if prediction is None else prediction.at(metric, steps)
    if prediction is None or expected is None:
        return dict.fromkeys(("predicted", "ratio", "promise", "fit"))
    ratio = value / expected
    share = promised(study, resolve(method), prediction, metric, steps)
    fit = "no promise" if share is None else "inside" if abs(ratio - 1) <= share else "outside"
    return {"predicted": prediction.constants[metric], "ratio": ratio, "promise": share, "fit": fit}


def curve(answer: dict[str, Any], method: str, metric: str) -> tuple[list[int], list[float | None]]:
    """Steps and values of one line of a study."""
    of = [r for r in answer["records"] if (r["method"], r["metric"]) == (method, metric)]
    return [r["steps"] for r in of], [r["value"] for r in of]


def figures(
    answers: dict[str, dict[str, Any]], rows: list[dict[str, Any]], predicted: dict[str, Predicted]
) -> dict[str, list[Panel]]:
    """The figure in total variation, one dimension, and the one in trajectory error, two dimensions."""
    found = {(r["study"], r["method"], r["metric"]): r for r in rows}

    def curves(study: str, metric: str) -> list[Curve]:
        names = answers[study]["manifest"]["run"]["methods"]
        lines = []
        for name in names:
            steps, values = curve(answers[study], name, metric)
            expected = [p.at(metric, n) for n in steps if (p := predicted[study].get((name, n))) is not None]
            line = [value for value in expected if value is not None]
            whole = line if len(line) == len(steps) else None
            lines.append(Curve(name, steps, values, found[study, name, metric]["exponent"], whole))
        return lines

    tv = "total variation"
    return {
        "convergence": [
            Panel("Li et al., fixed time", tv, curves("fixed-time", "tv"), [(1, 0), (2, 1)], note=LINES),
            Panel(
                "Li et al., own schedule",
                tv,
                curves("li-schedule", "tv"),
                note=r"numbers: $a$ in $(\log N)^{p+1} N^{-a}$; lines: predicted",
            ),
            Panel(
                r"exponential Adams, uniform $\lambda$",
                tv,
                curves("exponential-adams", "tv"),
                [(1, 0), (4, 4)],
                note=LINES,
            ),
        ],
        "trajectory": [
            Panel(
                r"three Gaussians in the plane, uniform $\lambda$",
                "trajectory error (rms)",
                curves("plane", "trajectory"),
                [(1, 0), (2, 3), (4, 6)],
                note=LINES,
            )
        ],
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table of exponents."""
    lines = [
        "Exponent a of N^-a by least squares over the window; where a log power b is given, of (log N)^b N^-a.",
        "",
        "C: the leading error is C / N^p (of KL C / N^2p) with p the order for these start values, computed from the "
        "order proof with no fitted parameter; on Li et al.'s schedule C depends on N and is that of the last one. "
        "Measured / predicted is taken at the last N of the window, and the promise is how far from one it may be. It "
        "is made for methods up to order 3 that step in lambda, on grids uniform in lambda or of Karras et al., from "
        "enough steps on; in more than one dimension for the mean distance, and the root mean square is held to it.",
        "",
        "| study | method | metric | order | with own start-up | start values | log power | exponent | ± | window "
        "| C | measured / predicted | promise | fit |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        shown = [r[k] for k in ("study", "method", "metric", "order", "order_asymptotic", "start", "log_power")]
        fitted = ["", "", ""]
        if r["exponent"] is not None:
            fitted = [f"{r['exponent']:.3f}", f"{r['stderr']:.3f}", f"{r['window'][0]}..{r['window'][1]}"]
        foreseen = ["", "", "", ""]
        if r["ratio"] is not None:
            promise = "" if r["promise"] is None else f"{r['promise']:.1%}"
            foreseen = [f"{r['predicted']:.4g}", f"{r['ratio']:.4f}", promise, r["fit"]]
        lines.append("| " + " | ".join(map(str, [*shown, *fitted, *foreseen])) + " |")
    return "\n".join(lines) + "\n"
