"""The pages of techniques: claimed, proved, measured, not known; and the table of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

import matplotlib as mpl
from matplotlib.figure import Figure

from ...numerics.studies.inline_svg import PAGE, inline_svg
from ...numerics.studies.style import COLOURS, GREY
from ..markup import fenced, table
from ..records.kept_records import Entry
from ..records.technique_results import measured_of
from ..techniques.all_techniques import TECHNIQUES
from ..techniques.all_trials import TRIALS
from ..techniques.technique import EXTENTS, Measured, Technique
from .few_step_pages import few_step_pages
from .myst import ONE_SIDEBAR, link, origin
from .surgery_page import surgery_page

PLACE = "techniques"  # folder of the pages in the book
MARKS = "osD^vP"
MOST_INSIDE = 5  # curves whose legend fits between them
MOST_TICKS = 5  # places on the horizontal axis that are labelled one by one


def technique_pages(results: dict[str, Entry], trials: dict[str, Entry]) -> dict[str, str]:
    """File -> text of the page of every technique, of the table of all, and of those that put several together.

    results, trials: what is kept of techniques, and of those that were tried on networks.
    """
    pages = {f"{PLACE}.md": overview(results), **surgery_page(results), **few_step_pages(results, trials)}
    for technique in TECHNIQUES:
        entry = results[technique.name]
        text = page(technique, measured_of(entry), origin(entry["manifest"]))
        tried = {n: trials[n] for n, trial in TRIALS.items() if trial.technique == technique.name and n in trials}
        pages[f"{PLACE}/{technique.name}.md"] = with_trials(text, tried) if tried else text
    return pages


def overview(results: dict[str, Entry]) -> str:
    """The table of all techniques."""
    rows = [
        (
            f"[{technique.system}]({PLACE}/{technique.name}.md)",
            f"{{cite:t}}`{technique.cite}`",
            technique.verdict,
            ", ".join(_claims(technique)),
            technique.extent,
            f"{results[technique.name]['number']:.4g}, {technique.quantity}",
        )
        for technique in TECHNIQUES
    ]
    text = (
        "Techniques around samplers, as their papers have them, such as inversion. A "
        "page has what is claimed, what is proved, what is measured with exact scores, and what is not known. "
        "`samplerproof reproduce --seeds` measures every number anew. Covered is how much of a technique was tried: "
        + "; ".join(f"*{extent}*, {meaning}" for extent, meaning in EXTENTS.items())
        + "."
    )
    return ONE_SIDEBAR + "\n\n".join(
        ["# All techniques", text, table(("technique", "paper", "here", "proved", "covered", "number"), rows)]
    )


def page(technique: Technique, measured: Measured, made: str) -> str:
    """One page.  made: the commit and the versions that made its numbers."""
    parts = [
        f"# {technique.title}",
        f"{{cite:t}}`{technique.cite}`. Verdict with exact scores: {technique.verdict}. "
        f"Covered: **{technique.extent}**, {EXTENTS[technique.extent]}; {technique.covered.partition(': ')[2]}.",
        f"## Claimed\n\n{technique.claimed}",
        f"## Formula\n\n{technique.formula}\n\nProvenance: {technique.provenance}",
        *_proved(technique),
        f"## Measured\n\n{technique.known}",
        f"{technique.quantity[0].upper() + technique.quantity[1:]}: **{measured.number:.4g}**.",
        *([figure(technique, measured)] if measured.curves else []),
        table(measured.head, measured.rows),
        f"Made {made}; `python -m samplerproof.book.records techniques --only {technique.name}` makes it anew.",
        f"## Not known\n\n{technique.unknown}",
        f"## In code\n\n{fenced(technique.code.strip(), 'python')}",
    ]
    return "\n\n".join(parts) + "\n"


def with_trials(text: str, tried: Mapping[str, Entry]) -> str:
    """A page with what the technique does on networks, before what is not known.  tried: of its trials, by name."""
    parts = ["## On networks"]
    for name, entry in tried.items():
        measured, made = measured_of(entry), origin(entry["manifest"])
        again = f"Made {made}; `python -m samplerproof.book.records trials --only {name}` makes it anew."
        parts += [TRIALS[name].text, table(measured.head, measured.rows), again]
    before, mark, after = text.partition("## Not known")
    return before + "\n\n".join(parts) + "\n\n" + mark + after


def _proved(technique: Technique) -> Iterator[str]:
    """The claims with links to their statements, and the records of the catalogue."""
    yield "## Proved"
    yield "\n".join(f"- {claim}" for claim in _claims(technique))
    if technique.methods:
        yield f"In the catalogue: {', '.join(link(name, '../methods/') for name in technique.methods)}."


def _claims(technique: Technique) -> list[str]:
    """The names of what is proved, as links to the statements."""
    return [f"[`{name}`](#claim-{name})" for name in technique.proved]


def figure(technique: Technique, measured: Measured) -> str:
    """The curves on logarithmic axes, as HTML in the colours of the text."""
    with mpl.rc_context(PAGE):
        below = 0.2 * ((len(measured.curves) + 1) // 2) if len(measured.curves) > MOST_INSIDE else 0.0  # inches
        height = 3.2 + below
        drawn = Figure(figsize=(4.6, height))
        axes = drawn.add_axes((0.16, (0.48 + below) / height, 0.82, 2.62 / height))
        for n, (label, points) in enumerate(measured.curves.items()):
            x, y = zip(*points, strict=True)
            if label in measured.dashed:
                axes.plot(x, y, "--", label=label, linewidth=1, color=GREY)
            else:
                mark, colour = MARKS[n % len(MARKS)], COLOURS[n % len(COLOURS)]
                axes.plot(x, y, f"{mark}-", label=label, markersize=4, linewidth=1, color=colour)
        axes.set(xscale="log", yscale="log", xlabel=measured.x, ylabel=measured.y)
        places = sorted({x for points in measured.curves.values() for x, _ in points})
        if len(places) <= MOST_TICKS:
            axes.set_xticks(places, [f"{x:g}" for x in places])
            axes.set_xticks([], minor=True)
        if below:
            drawn.legend(loc="lower center", ncols=2, frameon=False, fontsize=7.5)
        else:
            axes.legend(frameon=False, fontsize=7.5)
    text = f"{technique.system}: {measured.y} against {measured.x}, of {', '.join(measured.curves)}"
    svg = inline_svg(drawn, f"{technique.name}-")
    return f'<div class="drawn" role="img" aria-label="{escape(text)}">\n{svg}\n</div>'
