"""The table of exponents of `reproduce`: measured against proved orders and against leading errors."""

from __future__ import annotations

from typing import Any

from ...numerics import rates
from ...numerics.catalogue import resolve
from ...numerics.leading.leading_error import LeadingError
from ...numerics.leading.of_study import left_out, tolerance
from ...numerics.studies.config import Study
from ...numerics.studies.fits import points
from .. import markup

LeadingErrors = dict[tuple[str, int], LeadingError]  # of a study, by method and number of steps


def table(
    studied: dict[str, Study], answers: dict[str, dict[str, Any]], leading_errors: dict[str, LeadingErrors]
) -> list[dict[str, Any]]:
    """One row a study, method and metric: nominal and asymptotic order, and the exponent measured in its window.

    predicted: C of the leading error C / N^p, p the order with the start-up of the study (KL: C / N^{2p}); ratio:
    measured error over it, both at the most steps of the window; left_out: how much of the leading error is estimated
    to be missing in it there; leading: whether that is at most a tenth; promise: how far from one the ratio may be;
    fit: whether it is nearer.

    Exponent, window, local orders and status are those of the study's fit (numerics/studies/fits.py); on Li et al.'s
    schedule with the power of log T divided out.
    """
    rows = []
    for study, answer in answers.items():
        for fit in answer["fits"]:
            method, metric = fit["method"], fit["metric"]
            record = resolve(method)
            clean = above_noise(answer, method, metric)
            power = fit.get("log_power", 0)
            rows.append(
                {
                    "study": study,
                    "method": method,
                    "metric": metric,
                    "order": (order := record.order_in_law(len(studied[study].target.weights) == 1)),
                    "order_asymptotic": min(order, record.order_asymptotic) if record.start else order,
                    "start": answer["manifest"]["run"]["start"],
                    "log_power": power,
                    "exponent": fit["compensated_exponent"] if power else fit["exponent"],
                    **{key: fit[key] for key in ("stderr", "window", "local_orders", "status", "reason")},
                    **comparison(studied[study], leading_errors[study], method, metric, clean),
                }
            )
    return rows


def comparison(
    study: Study, leading_errors: LeadingErrors, method: str, metric: str, clean: list[tuple[int, float]]
) -> dict[str, Any]:
    """The columns of the table that compare the last of the measured values with its leading error."""
    steps, value = clean[-1] if clean else (0, 0.0)
    leading = leading_errors.get((method, steps))
    expected = None if leading is None else leading.at(metric, steps)
    if leading is None or expected is None:
        return dict.fromkeys(("predicted", "ratio", "left_out", "leading", "promise", "fit"))
    ratio, missing = value / expected, left_out(leading_errors, method, metric, clean)
    share = tolerance(study, resolve(method), leading, metric, steps)
    fit = "no promise" if share is None else "inside" if abs(ratio - 1) <= share else "outside"
    judged = {"left_out": missing, "leading": rates.leads(missing), "promise": share, "fit": fit}
    return {"predicted": leading.constants[metric], "ratio": ratio, **judged}


def above_noise(answer: dict[str, Any], method: str, metric: str) -> list[tuple[int, float]]:
    """Steps and values of a line in the window of its fit."""
    of = [r for r in answer["records"] if (r["method"], r["metric"]) == (method, metric)]
    return [(p.steps, p.value) for p in rates.window(points(of)) if p.value is not None]


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table of exponents."""
    lines = [
        "Exponent a of N^-a by least squares over the window; where a log power b is given, of (log T)^b N^-a, with "
        "T = N + 1. Local orders are the slopes between neighbours in the window. Status: settled, if they agree with "
        "each other and with a proved order; turning, if they still move; floor, if the last errors are noise or "
        "rounding, or no longer fall; diverged; undefined, with fewer than three errors.",
        "",
        "C: the leading error is C / N^p (for KL C / N^2p) with p the order for these start values, computed from the "
        "order proof with no fitted parameter; on Li et al.'s schedule C depends on N and is given for the last one. "
        "Measured / leading is the ratio at the last N of the window, and the tolerance is its largest distance from "
        "one. There is a tolerance for methods up to order 3 that step in lambda, on grids uniform in lambda or of "
        "Karras et al., from a minimal number of steps on; in more than one dimension it is derived for the mean "
        "distance and applied to the root mean square. Left out: the estimated share of the error that the leading "
        "term lacks at the last N, from the trend of the ratio over the last two N, or from the known error that "
        "follows that of a start-up; up to 10 % the leading term dominates.",
        "",
        "For methods with noise the order is that in law with an exact score, on the target of the study; where it is "
        "higher than the weak order for any model, `samplerproof methods --json` gives both.",
        "",
    ]
    head = (
        *("study", "method", "metric", "order", "with own start-up", "start values", "log power"),
        *(
            "exponent",
            "status",
            "local orders",
            "window",
            "C",
            "measured / leading",
            "left out",
            "dominates",
            "tolerance",
            "fit",
        ),
    )
    return "\n".join(lines) + "\n" + markup.table(head, map(_cells, rows)) + "\n"


def fit_cells(r: dict[str, Any]) -> list[str]:
    """Exponent, status, local orders and window of a row; without an exponent the status alone."""
    if r["exponent"] is None:
        return ["", r["status"], "", ""]
    orders = " ".join(f"{order:.2f}" for order in r["local_orders"])
    return [f"{r['exponent']:.3f}", r["status"], orders, f"{r['window'][0]}..{r['window'][1]}"]


def _cells(r: dict[str, Any]) -> tuple[str, ...]:
    shown = [r[k] for k in ("study", "method", "metric", "order", "order_asymptotic", "start", "log_power")]
    foreseen = [""] * 6
    if r["ratio"] is not None:
        missing, promise = ("" if r[k] is None else f"{r[k]:.1%}" for k in ("left_out", "promise"))
        leading = {None: "", True: "yes", False: "NOT YET"}[r["leading"]]
        foreseen = [f"{r['predicted']:.4g}", f"{r['ratio']:.4f}", missing, leading, promise, r["fit"]]
    return tuple(map(markup.plain, [*shown, *fit_cells(r), *foreseen]))
