"""The panels of the figures of `reproduce`: which lines of which study each shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...numerics.studies.convergence_figure import Curve, Panel
from ..studies.bounds import AT_FREQUENCY, AT_SIZE, BOTH, LOW_RANK, PRODUCT, SAMPLERS
from .bound_tables import FREQUENCY, PUBLISHED, SIZE, STEPS, points
from .exponent_table import LeadingErrors, curve
from .findings import ALTERNATING, FINDINGS

LINES = "numbers: $a$ in $N^{-a}$; lines: predicted, not fitted"
TV, TRAJECTORY = "total variation", "trajectory error (rms)"


def figures(
    answers: Mapping[str, dict[str, Any]], rows: Sequence[dict[str, Any]], leading_errors: Mapping[str, LeadingErrors]
) -> dict[str, list[Panel]]:
    """The panels of each figure, by the stem of its files; rows: of exponents, by study, method and metric."""
    found = {(r["study"], r["method"], r["metric"]): r["exponent"] for r in rows}

    def curves(study: str, metric: str, names: Sequence[str] = ()) -> list[Curve]:
        lines = []
        for name in names or answers[study]["manifest"]["run"]["methods"]:
            steps, values = curve(answers[study], name, metric)
            expected = [
                p.at(metric, n) for n in steps if (p := leading_errors.get(study, {}).get((name, n))) is not None
            ]
            line = [value for value in expected if value is not None]
            whole = line if len(line) == len(steps) else None
            lines.append(Curve(name, steps, values, found[study, name, metric], whole))
        return lines

    def pointed(title: str, *names: str, slopes: Sequence[tuple[float, int]]) -> Panel:
        return Panel(title, TRAJECTORY, curves(FINDINGS, "trajectory", names), slopes, note=LINES)

    return {
        "convergence": [
            Panel("Li et al., fixed time", TV, curves("fixed-time", "tv"), [(1, 0), (2, 1)], note=LINES),
            Panel(
                "Li et al., own schedule",
                TV,
                curves("li-schedule", "tv"),
                note=r"numbers: $a$ in $(\log N)^{p+1} N^{-a}$; lines: predicted",
            ),
            Panel(
                r"exponential Adams, uniform $\lambda$",
                TV,
                curves("exponential-adams", "tv"),
                [(1, 0), (4, 4)],
                note=LINES,
            ),
        ],
        "trajectory": [
            Panel(
                r"three Gaussians in the plane, uniform $\lambda$",
                TRAJECTORY,
                curves("plane", "trajectory"),
                [(1, 0), (2, 3), (4, 6)],
                note=LINES,
            )
        ],
        "stochastic": [
            Panel(
                "two components, uniform $t$",
                TV,
                [
                    *curves("stochastic", "tv"),
                    *curves("fixed-time", "tv", ["li-accelerated-ode"]),
                ],
                [(1, 0), (2, 3)],
            ),
            Panel("one Gaussian, uniform $t$", TV, curves("gaussian", "tv"), [(1, 0), (2, 1)]),
            Panel(r"two components, uniform $\lambda$", TV, curves("sde-solvers", "tv"), [(1, 0), (2, 3)]),
            Panel(r"SA-Solver's predictor 2 over $\tau$", TV, curves("over-tau", "tv"), [(2, 0)]),
        ],
        "findings": [
            pointed(
                "as published, and repaired",
                *("unipc-2-vary-published", "unipc-2-vary", "dpm-solver++-3m-published", "exp-adams-3"),
                slopes=[(1, 0), (3, 3)],
            ),
            pointed("weights for equal steps", "ipndm-3", "ipndm-4", "deis-rhoab3", slopes=[(4, 2)]),
            pointed(
                r"BDIA: $(1-\gamma)/(1+\gamma)$ of DDIM's error",
                *("ddim", "bdia-ddim", "bdia-ddim?gamma=9/10", "bdia-ddim?gamma=1"),
                slopes=[(1, 2), (2, 3)],
            ),
            Panel(
                r"steps that alternate 1 : 2 in $\lambda$",
                TRAJECTORY,
                curves(ALTERNATING, "trajectory"),
                [(2, 4)],
            ),
        ],
    }


def bound_panels(
    answers: Mapping[str, dict[str, Any]], rows: Sequence[dict[str, Any]], measured: Sequence[dict[str, Any]]
) -> list[Panel]:
    """The figure of bounds against truth; rows: of exponents and of bounds, measured: records of the two studies."""
    found = {(r["method"], r["quantity"]): r["measured"] for r in rows if "quantity" in r}
    published = {b.method: -b.power for b in PUBLISHED if b.quantity == STEPS}
    published["li-ddpm"] = min(-b.power for b in PUBLISHED if (b.method, b.quantity) == ("li-ddpm", STEPS))

    def steps(name: str) -> Curve:
        study = "fixed-time" if name in answers["fixed-time"]["manifest"]["run"]["methods"] else "stochastic"
        return Curve(name, *curve(answers[study], name, "tv"), -found[name, STEPS], bound=published[name])

    def line(name: str, quantity: str, suffix: str = "") -> Curve:
        x, y = zip(*points(measured, name, quantity), strict=True)
        return Curve(name + suffix, x, y, found[name, quantity])

    return [
        Panel("steps: dotted, the first published bound", TV, [steps(name) for name in SAMPLERS]),
        Panel(
            "dimension: copies, and data near a line",
            TV,
            [
                *(line(name, PRODUCT) for name in SAMPLERS),
                *(line(name, LOW_RANK, ", line") for name in ("li-ddpm", "li-accelerated-sde")),
            ],
            [(-1, 2), (-0.5, 1)],
            "numbers: $a$ in $d^a$; the bound of DDPM is $d$",
            "dimension",
            "d",
        ),
        Panel(
            rf"score off by $\epsilon\,\sin({AT_FREQUENCY:g}x)$",
            TV,
            [line(name, SIZE) for name in BOTH],
            [(-1, 1)],
            r"numbers: $a$ in $\epsilon^a$",
            "size",
            r"\epsilon",
        ),
        Panel(
            rf"score off by ${AT_SIZE:g}\,\sin(\omega x)$",
            TV,
            [line(name, FREQUENCY) for name in BOTH],
            note=r"numbers: $a$ in $\omega^a$",
            axis="frequency",
            symbol=r"\omega",
        ),
    ]
