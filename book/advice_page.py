"""`samplerproof advise --html`: an advice as one self-contained page, with predicted against confirmed errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from ..numerics.advice.advice import ERRORS
from ..numerics.studies.inline_svg import PAGE, inline_svg
from ..numerics.studies.style import COLOURS, GREY
from .offline_page import document, table

Answer = Mapping[str, Any]
SHOWN = 40  # candidates in the table
WITHIN = 1.5  # the band of the picture: predicted within this factor of confirmed


def page(answer: Answer, title: str) -> str:
    """The page as HTML: the choice, the picture, the candidates, the lines to paste."""
    choice, baseline = answer["choice"], answer["baseline"]
    gain = f"{baseline['expected'] / choice['expected']:.2g}" if baseline["expected"] else "-"
    caption = (
        f"Errors of the candidates that were run, against what was predicted from the recording; bars from the least "
        f"to the largest over {answer['trajectories']} samples, the band a factor {WITHIN}."
    )
    parts = [
        f"<h1>{escape(title)}: {answer['nfe']} evaluations</h1>",
        table(
            ("", *HEADS),
            list(_best(answer)),
            "answer",
        ),
        f"<p>The choice has {gain} times less error than the baseline. Error: {escape(answer['error'])}. "
        f"{answer['evaluations']} evaluations of the model in {answer['calls']} calls were asked; "
        f"{answer['compared']} candidates compared, {len(answer['left_out'])} methods with noise left out.</p>",
        *([f"<p>{escape(answer['note'])}.</p>"] if answer["note"] else []),
        f"<figure><div aria-hidden=true>{inline_svg(picture(answer['candidates']))}</div>"
        f"<figcaption>{escape(caption)}</figcaption></figure>",
        "<h2>Lines to paste</h2>",
        f"<pre>{escape(chr(10).join(choice['paste']))}</pre>",
        "<h2>Candidates</h2>",
        table(HEADS, [_row(entry) for entry in answer["candidates"][:SHOWN]], "candidates", numbers=True),
    ]
    return document(title, parts)


HEADS = ("method", "grid", "evaluations", *ERRORS)


def picture(entries: Sequence[Mapping[str, Any]]) -> Figure:
    """Predicted against confirmed errors, on logarithmic axes; candidates without one of them are left out."""
    shown = [entry for entry in entries if entry["confirmed"] and entry["predicted"]]
    with mpl.rc_context(PAGE):
        figure = Figure(figsize=(4.6, 4.0), layout="constrained")
        axes = figure.subplots()
        ends = [value for entry in shown for value in (entry["predicted"], entry["confirmed"])]
        if ends:
            line = [min(ends) / 2, max(ends) * 2]
            axes.fill_between(
                line, [v / WITHIN for v in line], [v * WITHIN for v in line], color=GREY, alpha=0.15, lw=0
            )
            axes.plot(line, line, color=GREY, lw=0.8)
        for n, entry in enumerate(shown):
            colour = COLOURS[1] if n == 0 else COLOURS[0]
            spread = [
                [max(entry["confirmed"] - (entry["low"] or 0), 0)],
                [max((entry["high"] or 0) - entry["confirmed"], 0)],
            ]
            axes.errorbar([entry["predicted"]], [entry["confirmed"]], yerr=spread, fmt="o", color=colour, lw=0.8)
        if shown:
            first = shown[0]
            axes.annotate(
                f"{first['method']}\n{first['grid']}",
                (first["predicted"], first["confirmed"]),
                xytext=(8, -18),
                textcoords="offset points",
                fontsize=8,
            )
        axes.set(xscale="log", yscale="log", xlabel="predicted error", ylabel="confirmed error")
    return figure


def _best(answer: Answer) -> Iterator[tuple[Any, ...]]:
    for name in ("choice", "baseline"):
        yield (name, *_row(answer[name]))


def _row(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    errors = (entry[key] for key in ERRORS)
    return (entry["method"], entry["grid"], entry["nfe"], *(None if v is None else f"{v:.3g}" for v in errors))
