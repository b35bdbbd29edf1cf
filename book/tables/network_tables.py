"""The tables on networks of `reproduce --with-checkpoints`, and the panels of the figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ...numerics.studies.figure_panel import Curve, Panel
from ...numerics.studies.study_figure import EXACT_START, METRICS, STEPS, caption, label_of
from ..markup import number, scientific, table
from ..studies.network_study import COST, WITHIN

SHOWN = ("ddim", "dpm-solver++-2m", "edm-heun", "exp-adams-3", "unipc-2", "dpm-solver++-3s")
ERROR = METRICS["trajectory"]
RATES = ("network", "method", "proved order", "asymptotic from", "local orders, from the first N to the last", "errors")
APART = ("error", "apart")
CAUSES = ("weights", "lambda", "state", "network", "all")


def panels(answer: dict[str, Any]) -> list[Panel]:
    """Rates on each network, and the floors of low precision."""
    found = []
    for network in answer["manifest"]["networks"]:
        rows = {r["method"]: r for r in answer["rates"] if r["network"] == network}
        curves = [Curve(m, label_of(m), rows[m]["steps"], rows[m]["values"]) for m in SHOWN if m in rows]
        slopes = [
            (order, curves.index(c)) for m, order in (("ddim", 1), ("exp-adams-3", 3)) for c in curves if c.method == m
        ]
        panel = Panel(f"checkpoints-{network}", network, STEPS, ERROR, curves, slopes, subtitle=EXACT_START)
        found.append(replace(panel, caption=caption(panel)))
    floors = [r for r in answer["floors"] if r["cause"] == "all"]
    if floors:
        network, method = floors[0]["network"], floors[0]["method"]
        exact = next(r for r in answer["rates"] if (r["network"], r["method"]) == (network, method))
        curves = [Curve(method, "float64", exact["steps"], exact["values"])]
        for dtype in dict.fromkeys(r["dtype"] for r in floors):
            of = [r for r in floors if r["dtype"] == dtype]
            curves.append(Curve(dtype, dtype, [r["steps"] for r in of], [r["error"] for r in of]))
        title, what = f"{label_of(method)} on {network}, in low precision", "network and state rounded"
        panel = Panel("checkpoints-precision", title, STEPS, ERROR, curves, subtitle=what)
        found.append(replace(panel, caption=f"{title}: {what}."))
    return found


def markdown(answer: dict[str, Any]) -> str:
    """The tables, each with the meaning of its columns."""
    parts = [*_rates(answer), *_floors(answer["floors"]), *_costs(answer["costs"]), *_frechet(answer["frechet"])]
    return "\n\n".join(parts) + "\n"


def _rates(answer: dict[str, Any]) -> Iterator[str]:
    yield "# Networks in place of mixtures"
    yield (
        "Trajectory error of each method against a fine reference flow of the same network in float64, on steps "
        "equal in lambda from -3 to 3.7, from exact start values. Asymptotic from: the first N from which every "
        f"local order is within {WITHIN:g} of the proved one; a dash if the last is not, in which case these numbers "
        "of steps do not show the order. Orders are computed where errors are well above that of the reference."
    )
    lines = []
    for name, network in answer["manifest"]["networks"].items():
        reference, samples = network["reference"], network["run"]["points"]
        lines.append(
            f"- {name}: {samples} {'sample' if samples == 1 else 'samples'}; references at tolerances "
            f"{reference['rtol']:g} and {reference['compared_with']:g} differ by {reference['distance']:.1e}; "
            f"checkpoint {network['checkpoint']['sha256'][:12]}; {network['samples_per_second']:.3g} samples a second "
            f"on {answer['manifest']['device']}, in float32 and 20 evaluations"
        )
    yield "\n".join(lines)
    yield table(RATES, map(_rate, answer["rates"]))


def published(entry: dict[str, Any]) -> str:
    """The tables of a network that others published, from its kept result."""
    reference = entry["reference"]
    text = (
        f"{entry['name']}, checkpoint {entry['sha256'][:12]}: {entry['run']['samples']} samples, on steps equal "
        f"in lambda from -3 to 3.7, from exact start values, in {entry['dtype']} on {entry['device']}. The reference "
        f"is {reference['method']} in {reference['steps']} steps; in {reference['compared_with']} it is "
        f"{reference['distance']:.1e} away."
    )
    rates = table(RATES, map(_rate, entry["rates"]))
    return "\n\n".join([text, rates, *_floors(entry["floors"]), *_costs(entry["costs"])])


def brought(record: dict[str, Any]) -> str:
    """The tables of a network that a user's studies and advice were asked about (network_record.py)."""
    parts = [f"# {record['network']}, checkpoint {record['sha256'][:12]}"]
    for study in record["studies"]:
        run, made = study["run"], study["manifest"]
        parts.append(
            f"{run['points']} samples from {run['start']} start values, in {study['dtype']} on {study['device']}, "
            f"samplerproof {made['versions']['samplerproof']}, {made['started'][:10]}. References at tolerances "
            f"{study['reference']['rtol']:g} and {study['reference']['compared_with']:g} differ by "
            f"{study['reference']['distance']:.1e}."
        )
        parts.append(table(("method", "proved order", "local orders", "status", "errors"), _orders(study)))
        if study["floors"]:
            parts.append("In low precision, network and state; apart: from the run in float64.")
            floors = [
                (
                    str(r["method"]),
                    str(r["steps"]),
                    str(r["dtype"]),
                    number(r["error"], ".2e"),
                    number(r["apart"], ".2e"),
                )
                for r in study["floors"]
            ]
            parts.append(table(("sampler", "N", "dtype", *APART), floors))
    if record["advice"]:
        rows = [_advised(advice) for advice in record["advice"]]
        parts.append(table(("evaluations", "advised", "expected error", "2M on Karras", "asked", "device"), rows))
    return "\n\n".join(parts) + "\n"


def _orders(study: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for fit in study["orders"]:
        of = [e for e in study["errors"] if (e["method"], e.get("grid")) == (fit["method"], fit.get("grid"))]
        yield (
            fit["method"],
            "-" if fit["predicted"] is None else str(fit["predicted"]["steady"]),
            " ".join(f"{slope:.2f}" for slope in fit["local_orders"] or ()),
            fit["status"],
            ", ".join(f"{e['steps']}: {number(e['value'], '.2e')}" for e in of),
        )


def _advised(advice: dict[str, Any]) -> tuple[str, ...]:
    choice, base = advice["choice"], advice["baseline"]
    return (
        str(advice["nfe"]),
        f"{choice['method']} on {choice['grid']}",
        number(choice["expected"], ".2g"),
        number(base["expected"], ".2g"),
        str(advice["evaluations"]),
        advice["device"],
    )


def _rate(r: dict[str, Any]) -> tuple[str, ...]:
    slopes = " ".join(f"{slope:.2f}" for _, _, slope in r["local_orders"])
    return (
        r["network"],
        r["method"],
        str(r["order"]),
        number(r["asymptotic_from"], "d"),
        f"{slopes} (N = {r['steps'][0]}..{r['steps'][-1]})",
        " ".join(map(scientific, r["values"])),
    )


def _floors(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "## Floors in low precision"
    yield (
        "The distance of a run from the same run in float64 (root mean square). Each cause is tested by itself, all "
        "else in float64: weights rounded once (they are stored in float32), the lambda passed to the network, the "
        "state. `network`: the whole network in the dtype, its arithmetic included; `all`: the state as well. Largest: "
        "the largest of the first three and of what the network's arithmetic adds to weights and lambda."
    )
    keys = {(r["network"], r["method"], r["dtype"], r["steps"]): None for r in rows if r["cause"] == "weights"}
    lines = []
    for key in keys:
        of = {r["cause"]: r["apart"] for r in rows if (r["network"], r["method"], r["dtype"], r["steps"]) == key}
        lines.append((*map(str, key), *("diverged" if of[c] is None else f"{of[c]:.1e}" for c in CAUSES), largest(of)))
    yield table(("network", "sampler", "dtype", "N", *CAUSES, "largest"), lines)


def largest(apart: dict[str, float | None]) -> str:
    """The cause with the largest effect; apart: the distance of a run from float64, by cause."""
    if any(value is None for value in apart.values()):
        return "-"
    known = {cause: value for cause, value in apart.items() if value is not None}
    known["arithmetic"] = max(0.0, known["network"] ** 2 - known["weights"] ** 2 - known["lambda"] ** 2) ** 0.5
    return max(("weights", "lambda", "state", "arithmetic"), key=lambda cause: known[cause])


def _costs(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield f"## Evaluations to a relative error of {COST:.0%}"
    yield (
        "For methods with their own start-up: the number of network evaluations from which the error stays below, by "
        "linear interpolation in log-log between the runs; a dash if it is not reached."
    )
    lines = [
        (
            r["network"],
            r["method"],
            number(r["nfe"], ".0f"),
            ", ".join(f"{nfe}: {value:.2g}" for nfe, value in r["points"]),
        )
        for r in sorted(rows, key=lambda r: (r["network"], r["nfe"] is None, r["nfe"] or 0.0))
    ]
    yield table(("network", "sampler", "evaluations", "relative errors by evaluations"), lines)


def _frechet(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        return
    last = next(r for r in rows if r["method"] == "classifier's accuracy")
    yield "## A Frechet distance on digits"
    yield (
        "Between the training digits and samples of the network, in the features of a small classifier trained for "
        f"this purpose, which is correct on {last['distance']:.1%} of held-out digits. It is not FID, it depends on "
        "the number of samples, and it compares samplers on this network only."
    )
    lines = [
        (r["method"], str(r["evaluations"] or ""), number(r["distance"], ".3f"), str(r["samples"]))
        for r in rows
        if r is not last
    ]
    yield table(("sampler", "evaluations at most", "distance", "samples"), lines)
