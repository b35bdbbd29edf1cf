"""The section on measured errors: the study behind the picture, and a summary of the last points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log
from typing import Any

from ...numerics.rates import LEADING, trend
from ...numerics.records import Record
from ..records.method_results import HIGH, study
from .myst import slug

MEASURED = {
    "exact": "the root mean square distance from the exact flow",
    "noise": "the total variation between the law of the samples and the exact one, computed without Monte Carlo",
    "gaussian": "the total variation between the law of the samples and the exact one, computed without Monte Carlo",
}
CLOSE = 0.05  # the largest share of later terms up to which a leading error leads, from order HIGH on
WHY_GAUSSIAN = (
    "On a mixture the joint law of the state and the earlier outputs has too many dimensions to be computed. On a "
    "Gaussian the order may be higher."
)


def picture_file(record: Record, of: str) -> str:
    """The file of a sampler's picture, relative to the folder of the book; of: "error" or "stability"."""
    return f"pictures/{slug(record.name)}-{of}.html"


def picture(record: Record, of: str) -> str:
    """The directive that inserts a picture into the sampler's page."""
    return f"```{{raw}} html\n:file: ../{picture_file(record, of)}\n```"


def measured(record: Record, entries: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The study, the picture of its errors, and a summary of the last of them."""
    own = [e for e in entries if e["kind"] != "ramp" and e["value"] is not None]
    kind = own[0]["kind"]
    why = f" {WHY_GAUSSIAN}" if kind == "gaussian" else ""
    yield f"The error is {MEASURED[kind]}, on {_setting(study(kind, [record.name]))}.{why}"
    yield picture(record, "error")
    yield f"{_slope(own)}{against_prediction(own, record.order)}."


def _slope(entries: Sequence[dict[str, Any]]) -> str:
    before, last = entries[-2:]
    exponent = log(before["value"] / last["value"]) / log(last["steps"] / before["steps"])
    return f"From {before['steps']} to {last['steps']} steps the error falls like $N^{{{-exponent:.2f}}}$"


def against_prediction(entries: Sequence[dict[str, Any]], order: int) -> str:
    """The last measured error over its leading term, and with the term after it where that is known.

    From order HIGH on the former is not yet leading where the latter is above the share CLOSE of it. Where it is not
    known, the share that is missing is estimated.
    """
    last = entries[-1]
    if last["predicted"] is None:
        return ""
    ratios = [(e["steps"], e["value"] / e["predicted"]) for e in entries]
    leading = "[leading term](../chapters/predicted_errors.md)"
    which = "that term"
    text = f", and the last error is {ratios[-1][1]:.3f} times its {leading}"
    if last.get("next") is not None:
        both, share = last["value"] / (last["predicted"] + last["next"]), last["next"] / last["predicted"]
        text += f" and {both:.3f} times its first two terms, which have no fitted parameter"
        which = "the first"
        late = f"the term after it is {share:.1%} of it" if abs(share) > CLOSE else ""
    else:
        text += ", which has no fitted parameter"
        missing = trend(ratios) or 0.0
        bound = CLOSE if order >= HIGH else LEADING
        late = f"by the trend of the ratio about {missing:.0%} is missing" if missing > bound else ""
    return f"{text}; {which} is not yet leading: {late}" if late else text


def _setting(of: dict[str, Any]) -> str:
    """Target, schedule and grid of a study file on the line."""
    target, schedule, grid = of["target"], of["schedule"], of["grid"]
    parts = [
        ("" if weight == 1 else rf"{weight:g}\,") + rf"\mathcal N({mean:g}, {std:g}^2)"
        for weight, mean, std in zip(target["weights"], target["means"], target["stds"], strict=True)
    ]
    law = f"${' + '.join(parts)}$"
    return (
        rf"the target {law}, with the linear VP schedule ($\beta$ from {schedule['beta_min']:g} to "
        rf"{schedule['beta_max']:g}) from $t = {grid['t_max']:g}$ to {grid['t_min']:g} in equal steps of $\lambda$"
    )
