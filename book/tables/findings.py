"""The table of findings about published samplers: the order claimed, the order proved and the order measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from ...numerics.studies.fits import fit
from ..markup import plain, table
from .exponent_table import above_noise, fit_cells

FINDINGS, ALTERNATING = "findings", "alternating"  # the two studies: equal steps in lambda, and steps as 1 : 2 : 1 : 2
STEPS = {FINDINGS: "equal in lambda", ALTERNATING: "1 : 2 : 1 : 2 in lambda"}
WITHIN = 0.1  # of a proved order
SHARE_WITHIN = 0.01  # of a proved share of another method's error, relatively
AS_PROVED, DIFFERS, UNSETTLED = "as proved", "differs", "not settled"


@dataclass(frozen=True)
class Finding:
    """One method in one study.  claimed, where: the order that a paper or a library states, and which."""

    method: str
    study: str
    claimed: int | None = None
    where: str = ""


OURS = (
    Finding("dpm-solver++-3m-published", FINDINGS, 3, "diffusers, solver_order = 3"),
    Finding("exp-adams-3", FINDINGS),
    Finding("unipc-2-vary-published", FINDINGS, 3, "UniPC, p + 1"),
    Finding("unipc-2-vary", FINDINGS),
    Finding("ipndm-3", FINDINGS),
    Finding("ipndm-4", FINDINGS, 4, "diffusers, fourth-order"),
    Finding("deis-rhoab3", FINDINGS),
    Finding("ddim", FINDINGS),
    Finding("bdia-ddim", FINDINGS),
    Finding("bdia-ddim?gamma=9/10", FINDINGS),
    Finding("bdia-ddim?gamma=1", FINDINGS),
    Finding("bdia-ddim?gamma=1", ALTERNATING),
    Finding("ipndm-3", ALTERNATING),
    Finding("ipndm-4", ALTERNATING, 4, "diffusers, fourth-order"),
    Finding("li-accelerated-ode", ALTERNATING, 2, "Li et al., 1/T^2"),
    Finding("dpm-solver++-2m", ALTERNATING, 2, "DPM-Solver++, 2M"),
)


@dataclass(frozen=True)
class Proved:
    """What is proved of a method: its order for step ratios 1 + O(h), its order for free ratios, and the limit of its
    error over that of DDIM, if there is one.
    """

    order: int
    order_free: int
    share: Fraction | None = None


def methods(study: str) -> list[str]:
    """The methods of one of the two studies."""
    return [finding.method for finding in OURS if finding.study == study]


def proofs() -> dict[str, Proved]:
    """The orders of every method, proved now; theory is imported only here."""
    from ...theory.methods import find
    from ...theory.order import prove_order

    found = {}
    for name in dict.fromkeys(finding.method for finding in OURS):
        method = find(name)
        order = prove_order(method).order
        free = prove_order(method, free=True).order if method.equal_steps else order
        found[name] = Proved(order, free, _share(name) if name.startswith("bdia-ddim") and order == 1 else None)
    return found


def _share(name: str) -> Fraction:
    """The limit of the error of BDIA-DDIM over that of DDIM: the ratio of their local errors over one minus the second
    root. The claim bdia-error proves that the ratio is the same for all leading defects.
    """
    from ...theory.methods import find
    from ...theory.order import prove_order

    method = find(name).at({p.name: p.default for p in find(name).parameters})
    defect, plain = (prove_order(m).leading_defects[0].coefficient for m in (method, find("bdia-ddim?gamma=0")))
    assert method.second_root is not None
    return Fraction(str(defect / plain / (1 - method.second_root)))


def findings(answers: Mapping[str, dict[str, Any]], proved: Mapping[str, Proved]) -> list[dict[str, Any]]:
    """One row a finding: the orders claimed, proved and measured in trajectory error, and whether the last two agree.

    order: the proved one for the steps of the study.  share: of DDIM's error, proved, measured at the most steps, and
    extrapolated from the last two numbers of steps as if off by a multiple of 1/N.
    """
    rows = []
    for f in OURS:
        known, points = proved[f.method], above_noise(answers[f.study], f.method, "trajectory")
        order = known.order if f.study == FINDINGS else known.order_free
        found = fit([r for r in answers[f.study]["records"] if r["method"] == f.method and r["metric"] == "trajectory"])
        rows.append(
            {
                "study": f.study,
                "method": f.method,
                "metric": "trajectory",
                "claimed": f.claimed,
                "where": f.where,
                "proved_order": known.order,
                "proved_order_free": known.order_free,
                "order": order,
                **{key: found[key] for key in ("exponent", "stderr", "window", "local_orders", "status", "reason")},
                "verdict": verdict(order, points, found["exponent"]),
                "share": None if known.share is None else share(known.share, answers[f.study], f.method),
            }
        )
    return rows


def verdict(order: int, points: Sequence[tuple[int, float]], exponent: float | None) -> str:
    """Whether the measured exponent is the proved order, within 0.1.

    A slope that has not settled does not contradict the order if it approaches it: its distance is then a multiple of
    1/N, which two slopes over doublings of N extrapolate away.
    """
    if exponent is None:
        return UNSETTLED
    if abs(exponent - order) <= WITHIN:
        return AS_PROVED
    *_, before, last = (math.log(a / b) / math.log(m / n) for (n, a), (m, b) in pairwise(points))
    return UNSETTLED if abs(2 * last - before - order) <= WITHIN else DIFFERS


def share(proved: Fraction, answer: dict[str, Any], method: str) -> dict[str, Any] | None:
    """The proved share of DDIM's error, the measured share, and whether they agree.

    None where fewer than two numbers of steps have both errors.
    """
    ours, theirs = (dict(above_noise(answer, name, "trajectory")) for name in (method, "ddim"))
    ratios = [(n, error / theirs[n]) for n, error in ours.items() if n in theirs]
    if len(ratios) < 2:
        return None
    (n, before), (m, last) = ratios[-2:]
    limit = (m * last - n * before) / (m - n)
    agrees = abs(limit - proved) <= SHARE_WITHIN * proved
    return {
        "proved": str(proved),
        "measured": last,
        "steps": m,
        "extrapolated": limit,
        "verdict": AS_PROVED if agrees else DIFFERS,
    }


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table of findings, and the table of BDIA's shares."""
    lines = [
        "Orders of samplers as published and as repaired: claimed, proved, and measured as the exponent of the "
        "trajectory error from exact start values, by least squares over the window.",
        "",
        "Proved: the order for step ratios 1 + O(h) / for any ratios; the first is compared where steps are equal in "
        "lambda, the second where they alternate. Verdict: the measured and the proved order agree within 0.1; they "
        "differ; or the slope has not settled at these numbers of steps, and approaches the proved order.",
        "",
    ]
    head = ("method", "steps", "claimed", "proved", "measured", "status", "local orders", "window", "verdict")
    shares = [
        (r["method"], s["proved"], f"{s['measured']:.5f}", s["steps"], f"{s['extrapolated']:.5f}", s["verdict"])
        for r in rows
        if (s := r["share"])
    ]
    parts = [
        "\n".join([*lines, table(head, map(_orders, rows))]),
        "BDIA-DDIM's error over DDIM's: (1 - gamma)/(1 + gamma) in the limit.",
        table(
            ("method", "proved", "measured", "at N", "extrapolated", "verdict"),
            [tuple(map(plain, cells)) for cells in shares],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _orders(r: dict[str, Any]) -> tuple[str, ...]:
    claimed = "" if r["claimed"] is None else f"{r['claimed']} ({r['where']})"
    orders = f"{r['proved_order']} / {r['proved_order_free']}"
    return tuple(map(plain, (r["method"], STEPS[r["study"]], claimed, orders, *fit_cells(r), r["verdict"])))
