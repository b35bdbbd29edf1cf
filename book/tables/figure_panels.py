"""The panels of the figures of `reproduce`: which lines of which study each shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...numerics.studies.config import LI
from ...numerics.studies.figure_panel import Curve, Panel, against_evaluations
from ...numerics.studies.fits import curve_of, fit
from ...numerics.studies.study_figure import (
    EXACT_START,
    LEVELS,
    METRICS,
    caption,
    curve_from,
    label_of,
    numbers_of,
    steps_label,
)
from ..studies.bounds import AT_FREQUENCY, AT_SIZE, BOTH, LOW_RANK, PRODUCT, SAMPLERS
from .bound_tables import FREQUENCY, PUBLISHED, SIZE, points
from .bound_tables import STEPS as OF_STEPS
from .exponent_table import LeadingErrors
from .findings import ALTERNATING, FINDINGS

TV = METRICS["tv"]
OWN_SCHEDULE = "li-schedule"
NEAR_A_LINE = ", near a line"
LAMBDA, TAU, EPSILON, OMEGA = "\u03bb", "\u03c4", "\u03b5", "\u03c9"
Answers = Mapping[str, dict[str, Any]]


def figures(answers: Answers, leading_errors: Mapping[str, LeadingErrors]) -> dict[str, list[Panel]]:
    """The panels of each figure against steps, by the stem of its files."""

    def panel(name: str, study: str, title: str, slopes: Sequence[tuple[float, int]] = (), *methods: str) -> Panel:
        return _panel(answers, leading_errors, name, study, title, slopes, methods)

    both = panel("two-components", "stochastic", "two components, uniform t", [(1, 0), (2, 3)])
    ode = panel("", "fixed-time", "", (), "li-accelerated-ode")
    found = {
        "convergence": [
            panel("fixed-time", "fixed-time", "Li et al., fixed time", [(1, 0), (2, 1)]),
            panel("own-schedule", OWN_SCHEDULE, "Li et al., own schedule"),
            panel("adams", "exponential-adams", f"exponential Adams, uniform {LAMBDA}", [(1, 0), (4, 4)]),
        ],
        "trajectory": [
            panel("plane", "plane", f"three Gaussians in the plane, uniform {LAMBDA}", [(1, 0), (2, 3), (4, 6)])
        ],
        "stochastic": [
            replace(both, curves=[*both.curves, *ode.curves]),
            panel("one-gaussian", "gaussian", "one Gaussian, uniform t", [(1, 0), (2, 1)]),
            panel("solvers", "sde-solvers", f"two components, uniform {LAMBDA}", [(1, 0), (2, 3)]),
            panel("over-tau", "over-tau", f"SA-Solver's predictor 2 over {TAU}", [(2, 0)]),
        ],
        "findings": [
            panel(
                *("repaired", FINDINGS, "as published, and repaired", [(1, 0), (3, 3)]),
                *("unipc-2-vary-published", "unipc-2-vary", "dpm-solver++-3m-published", "exp-adams-3"),
            ),
            panel(
                *("equal-steps", FINDINGS, "weights for equal steps", [(4, 2)]),
                *("ipndm-3", "ipndm-4", "deis-rhoab3"),
            ),
            panel(
                *("bdia", FINDINGS, "BDIA: a share of DDIM's error", [(1, 2), (2, 3)]),
                *("ddim", "bdia-ddim", "bdia-ddim?gamma=9/10", "bdia-ddim?gamma=1"),
            ),
            panel("alternating", ALTERNATING, f"steps that alternate 1 : 2 in {LAMBDA}", [(2, 4)]),
        ],
    }
    return {stem: [_named(stem, panel) for panel in panels] for stem, panels in found.items()}


def pairs(panels: Sequence[Panel]) -> list[Panel]:
    """Each panel against steps, and beside it against evaluations."""
    found = []
    for panel in panels:
        beside = against_evaluations(panel, f"{panel.name}-nfe")
        found += [panel, replace(beside, legend=False, caption=caption(beside))]
    return found


def _named(stem: str, panel: Panel) -> Panel:
    """The panel with its caption, and the name of its own files: that of the figure, and its own."""
    return replace(panel, name=f"{stem}-{panel.name}", caption=panel.caption or caption(panel))


def _panel(
    answers: Answers,
    leading_errors: Mapping[str, LeadingErrors],
    name: str,
    study: str,
    title: str,
    slopes: Sequence[tuple[float, int]],
    methods: Sequence[str],
) -> Panel:
    """Some methods of a study, or all of them, in its first metric against steps, with their leading errors."""
    run = answers[study]["manifest"]["run"]
    curves = [curve(answers[study], method, run["metrics"][0]) for method in methods or run["methods"]]
    known = leading_errors.get(study, {})
    for k, drawn in enumerate(curves):
        leading = [known.get((drawn.method, int(n))) for n in drawn.x]
        line = [None if p is None else p.at(run["metrics"][0], int(n)) for p, n in zip(leading, drawn.x, strict=True)]
        curves[k] = replace(drawn, leading_error=None if None in line else line)
    return Panel(
        name,
        title,
        steps_label(curves, LI if study == OWN_SCHEDULE else ""),
        METRICS[run["metrics"][0]],
        curves,
        slopes,
        subtitle=EXACT_START if run.get("start") == "exact" else "",
        numbers=numbers_of(answers[study].get("fits", ())) if any(drawn.note for drawn in curves) else "",
    )


def curve(answer: Mapping[str, Any], method: str, metric: str) -> Curve:
    """The errors of a method in a study, with the exponent of its fit and the status of that."""
    of = [r for r in answer["records"] if (r["method"], r["metric"]) == (method, metric)]
    fits = [f for f in answer.get("fits", ()) if curve_of(f)[::2] == (method, metric)]
    return curve_from(of, fits[0] if fits else fit(of))


def bound_panels(answers: Answers, measured: Sequence[dict[str, Any]]) -> list[Panel]:
    """The figure of bounds against truth.  measured: records of the two studies."""
    published = {b.method: b.power for b in PUBLISHED if b.quantity == OF_STEPS}
    published["li-ddpm"] = max(b.power for b in PUBLISHED if (b.method, b.quantity) == ("li-ddpm", OF_STEPS))

    def steps(name: str) -> Curve:
        study = "fixed-time" if name in answers["fixed-time"]["manifest"]["run"]["methods"] else "stochastic"
        return replace(curve(answers[study], name, "tv"), bound=published[name])

    def line(name: str, quantity: str) -> Curve:
        x, y = zip(*points(measured, name, quantity), strict=True)
        return Curve(name, label_of(name), x, y)

    def near_a_line(name: str) -> Curve:
        found = line(name, LOW_RANK)
        return replace(found, label=found.label + NEAR_A_LINE, line="--")

    by_steps = Panel(
        "steps",
        "steps, with the first published bounds",
        LEVELS,
        TV,
        [steps(name) for name in SAMPLERS],
        numbers=numbers_of(()),
    )
    found = [
        replace(
            by_steps,
            caption=f"{caption(by_steps)} Dotted lines are the powers of N in the first published bounds; their "
            "constants, which the papers do not give, are the smallest for which they hold at all points shown.",
        ),
        Panel(
            "dimension",
            "dimension: copies, and data near a line",
            "dimension d",
            TV,
            [*(line(name, PRODUCT) for name in SAMPLERS), *map(near_a_line, ("li-ddpm", "li-accelerated-sde"))],
            [(-1, 2), (-0.5, 1)],
            symbol="d",
            slope_name="powers of d; the bound of DDPM is d",
            caption="Total variation against the dimension d: independent copies of the mixture, and data near a line. "
            "Dashed grey lines are powers of d; a published bound of DDPM is proportional to d.",
        ),
        Panel(
            "size",
            f"score off by {EPSILON} sin({AT_FREQUENCY:g}x)",
            f"size {EPSILON} of the score's error",
            TV,
            [line(name, SIZE) for name in BOTH],
            [(-1, 1)],
            symbol=EPSILON,
            slope_name=f"a power of {EPSILON}",
            caption="Total variation against the size of an error of the score.",
        ),
        Panel(
            "frequency",
            f"score off by {AT_SIZE:g} sin({OMEGA}x)",
            f"frequency {OMEGA} of the score's error",
            TV,
            [line(name, FREQUENCY) for name in BOTH],
            caption="Total variation against the frequency of an error of the score.",
        ),
    ]
    return [_named("bounds", panel) for panel in found]
