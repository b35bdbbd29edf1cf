"""`samplerproof verify --html`: the verdict as one self-contained HTML page."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ..numerics.conformance.report import Verdict
from ..numerics.conformance.verify import ranges
from . import offline_page
from .markup import scientific
from .offline_page import cells, document, scrolling, table
from .pages.myst import sampler_page
from .tables.verification_tables import MEANING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def write(verdict: Verdict, file: Path) -> None:
    """Write the page, whole or not at all.  Raises OSError where it cannot be written."""
    offline_page.write(page(verdict), file)


def page(verdict: Verdict) -> str:
    """The page as HTML: verdict and reference, findings, orders with a plot, and every row."""
    parts = [
        f"<h1>{escape(verdict.target)}</h1>",
        f"<p><span class=verdict>{escape(verdict.verdict)}</span>: {MEANING[verdict.verdict]}.</p>",
        table(("", ""), _summary(verdict), "summary"),
        "<h2>Findings</h2>",
        table(
            ("kind", "severity", "step", "what"),
            [(f.kind, f.severity, f.step, f.detail) for f in verdict.findings],
            "findings",
        )
        if verdict.findings
        else "<p>None.</p>",
    ]
    if verdict.repair:
        change = f"<pre>{escape(verdict.repair)}</pre>"
        parts += ["<h2>The smallest change that mends it</h2>", scrolling(change, "change")]
    if verdict.coverage:
        parts += ["<h2>Coverage</h2>", table(("",), [(line,) for line in verdict.coverage], "coverage")]
    if verdict.errors:
        parts += ["<h2>Observed order</h2>", _figure(verdict)]
    if verdict.growth:
        grown = [(n, f"{error:.1e}") for n, error in sorted(verdict.growth.items())]
        parts += ["<h2>Roundoff as shipped, over N</h2>", table(("N", "largest relative error"), grown, "roundoff")]
    if verdict.steps:
        parts += ["<h2>Rows</h2>", _rows(verdict)]
    if verdict.sweep:
        swept = table(("target", "what"), _sweep(verdict), "sweep")
        parts += ["<h2>Sweep: 5 to 60 steps, one option at a time</h2>", swept]
    made = ", ".join(f"{name} {version}" for name, version in verdict.versions.items())
    parts.append(f"<p>Made by samplerproof verify, with {escape(made)}.</p>")
    return document(f"{verdict.target}: {verdict.verdict}", parts)


def _summary(verdict: Verdict) -> list[tuple[str, object]]:
    return [
        ("reference", verdict.reference),
        ("equals", ", ".join(verdict.matches) or None),
        ("nearest", None if verdict.matches else verdict.nearest),
        ("with two outputs of its model", verdict.guidance),
        ("page of the book", sampler_page(verdict.record) if verdict.record else None),
        ("largest relative error of a row, as shipped", scientific(verdict.max_relative_error)),
        ("the same in float64", scientific(verdict.max_relative_error_float64)),
        ("order proved for the record it equals", verdict.nominal_order),
        ("order that its name or options advertise", verdict.advertised_order),
        ("order observed", None if verdict.observed_order is None else f"{verdict.observed_order:.2f}"),
        ("orders of its steps", " ".join("-" if o is None else f"{o:g}" for o in verdict.local_orders) or None),
    ]


def _sweep(verdict: Verdict) -> list[tuple[str, str]]:
    rows = []
    for setting in verdict.sweep:
        found = [f"{t.kind} on N = {ranges(t.steps)}: {t.what}" for t in setting.troubles]
        rows.append((setting.target, f"refused: {setting.refused}" if setting.refused else "; ".join(found) or "runs"))
    return rows


def _rows(verdict: Verdict) -> str:
    head = ("step", "worst entry", "found", "expected", "as shipped", "in float64", "the row is that of")
    lines = [
        (
            row.off,
            (
                row.step,
                row.entry,
                f"{row.found:.9g}",
                f"{row.expected:.9g}",
                scientific(row.error),
                scientific(row.error_float64),
                ", ".join(row.equals),
            ),
        )
        for row in verdict.steps
    ]
    body = "".join(f"<tr{' class=off' if off else ''}>{cells('td', row)}</tr>" for off, row in lines)
    return scrolling(f"<table><tr>{cells('th scope=col', head)}</tr>{body}</table>", "rows")


def _figure(verdict: Verdict) -> str:
    """The errors over N as inline SVG, with the proved order as a slope."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from ..numerics.studies.inline_svg import PAGE, inline_svg

    with rc_context(PAGE):
        figure = Figure(figsize=(5.5, 3.6), layout="constrained")
        _plot(figure.add_subplot(), verdict)
    return f"<div role=img aria-label='error over steps'>{inline_svg(figure)}</div>"


def _plot(axes: Axes, verdict: Verdict) -> None:
    steps, errors = zip(*sorted(verdict.errors.items()), strict=True)
    axes.loglog(steps, errors, "o-", label="measured")
    order = verdict.nominal_order
    if order is not None:
        axes.loglog(steps, [errors[-1] * (steps[-1] / n) ** order for n in steps], ":", label=f"order {order}, proved")
    axes.set(xlabel="steps N", ylabel="error")
    axes.set_xticks(steps, [str(n) for n in steps])
    axes.minorticks_off()
    axes.legend()
