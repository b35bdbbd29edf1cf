"""`samplerproof verify --html`: the verdict as one self-contained HTML page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ..numerics.conformance.report import Verdict
from ..numerics.conformance.verify import ranges
from ..numerics.errors import InputError
from ..numerics.support.files import check_writable, write_text
from ..numerics.support.limits import NAME, PATH
from .markup import scientific
from .tables.verification_tables import MEANING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CSS = """
:root { color-scheme: light dark; --line: #8886; --off: #e5393522; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin-top: 2rem; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
th, td { border-bottom: 1px solid var(--line); padding: 0.25rem 0.7rem; text-align: left; vertical-align: top; }
tr.off { background: var(--off); } .verdict { font-weight: 600; }
svg { max-width: 100%; height: auto; background: #fff; }
"""


def check(file: Path) -> None:
    """Raise InputError where the page cannot be written; leaves nothing behind, since the target may still be refused.

    An existing file of this name is replaced later; a device is refused.
    """
    if len(str(file)) > PATH or len(file.name) > NAME:
        raise InputError("--html", str(file), f"a file name of at most {NAME} characters, a path of at most {PATH}")
    check_writable(file.parent, "--html", keep=False)
    if file.exists() and not file.is_file():
        what = "a folder" if file.is_dir() else "a device, a pipe or a socket"
        raise InputError("--html", str(file), f"the name of a file; this is {what}")


def write(verdict: Verdict, file: Path) -> None:
    """Write the page, whole or not at all.  Raises OSError where it cannot be written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, page(verdict))


def page(verdict: Verdict) -> str:
    """The page as HTML: verdict and reference, findings, orders with a plot, and every row."""
    parts = [
        f"<h1>{escape(verdict.target)}</h1>",
        f"<p><span class=verdict>{escape(verdict.verdict)}</span>: {MEANING[verdict.verdict]}.</p>",
        _table(("", ""), _summary(verdict)),
        "<h2>Findings</h2>",
        _table(("kind", "severity", "step", "what"), [(f.kind, f.severity, f.step, f.detail) for f in verdict.findings])
        if verdict.findings
        else "<p>None.</p>",
    ]
    if verdict.coverage:
        parts += ["<h2>Coverage</h2>", _table(("",), [(line,) for line in verdict.coverage])]
    if verdict.errors:
        parts += ["<h2>Observed order</h2>", _figure(verdict)]
    if verdict.growth:
        grown = [(n, f"{error:.1e}") for n, error in sorted(verdict.growth.items())]
        parts += ["<h2>Roundoff as shipped, over N</h2>", _table(("N", "largest relative error"), grown)]
    if verdict.steps:
        parts += ["<h2>Rows</h2>", _rows(verdict)]
    if verdict.sweep:
        parts += ["<h2>Sweep: 5 to 60 steps, one option at a time</h2>", _table(("target", "what"), _sweep(verdict))]
    made = ", ".join(f"{name} {version}" for name, version in verdict.versions.items())
    parts.append(f"<p>Made by samplerproof verify, with {escape(made)}.</p>")
    body = "\n".join(parts)
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\n"
        f"<title>{escape(verdict.target)}: {escape(verdict.verdict)}</title>\n<style>{CSS}</style>\n{body}\n</html>\n"
    )


def _summary(verdict: Verdict) -> list[tuple[str, object]]:
    return [
        ("reference", verdict.reference),
        ("equals", ", ".join(verdict.matches) or None),
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
            bool(row.equals) or row.error > row.bound or row.error_float64 > row.bound_float64,
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
    body = "".join(f"<tr{' class=off' if off else ''}>{_cells('td', cells)}</tr>" for off, cells in lines)
    return f"<div class=wide><table><tr>{_cells('th', head)}</tr>{body}</table></div>"


def _figure(verdict: Verdict) -> str:
    """The errors over N as inline SVG, with the proved order as a slope."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from ..numerics.studies.style import STYLE

    text = io.StringIO()
    with rc_context(STYLE):
        figure = Figure(figsize=(5.5, 3.6), layout="constrained")
        _plot(figure.add_subplot(), verdict)
        figure.savefig(text, format="svg")
    drawn = text.getvalue()
    return f"<div role=img aria-label='error over steps'>{drawn[drawn.index('<svg') :]}</div>"


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


def _table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
    top = f"<tr>{_cells('th', head)}</tr>" if any(head) else ""
    return f"<div class=wide><table>{top}{body}</table></div>"


def _cells(tag: str, values: Sequence[object]) -> str:
    return "".join(f"<{tag}>{'-' if value is None else escape(str(value))}</{tag}>" for value in values)
