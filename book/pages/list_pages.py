"""The pages that list: all samplers, all symbols, all verdicts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import sympy as sp

from ...numerics.catalogue import METHODS
from ...numerics.records import Record
from ...theory.frames import FRAMES, Frame
from ...theory.latex import CLOCKS, PREDICTION, tex
from ...theory.methods import METHODS as EXACT_METHODS
from ...theory.notation import NOTATION, u
from ..markup import plain, table
from ..tables.verification_tables import discrepancies, overview
from .method_page import concerns, page
from .myst import link, slug, year
from .theorems_page import theorems

WIDE = "---\nhtml_theme.sidebar_secondary.remove: true\n---\n\n"  # nothing at the right, for a table needs the room


def all_pages(answers: dict[str, Any], verification: dict[str, Any]) -> dict[str, str]:
    """File -> text of every page that is made from the catalogue.

    answers: the kept results of samplers and claims.  verification: those of the study of verifications.
    """
    verified = verification["records"]
    pages = {
        "theorems.md": theorems(answers),
        "methods.md": catalogue(verified),
        "notation.md": notation(),
        "verification.md": WIDE + linked(overview(verification)),
        "discrepancies.md": linked(discrepancies(verification)),
    }
    for record in METHODS.values():
        of_it = [v for v in verified if concerns(record, v)]
        pages[f"methods/{slug(record.name)}.md"] = page(record, answers, of_it)
    return pages


def catalogue(verified: Iterable[dict[str, Any]]) -> str:
    """The table of all samplers; _static/sort.js sorts it by the column that is clicked."""
    seen = list(verified)
    head = ("sampler", "family", "frame", "order", "whole run", "NFE a step", "noise", "year", "verified")
    rows = [_row(record, sum(concerns(record, v) for v in seen)) for record in METHODS.values()]
    count = len(rows)
    about = (
        f"All {count} samplers of the catalogue, one page each. A click on a head sorts by that column; order is the "
        "nominal one, the weak one where there is noise, and *whole run* that with its start-up. NFE are evaluations "
        "of the model, *year* is that of the paper, *verified* counts implementations that were compared with it."
    )
    find = (
        "A name of a library, such as `k-diffusion:sample_dpmpp_2m`, is an alias: `samplerproof methods` lists them, "
        "and every command takes them."
    )
    return WIDE + "\n\n".join(["# All samplers", about, table(head, rows), find]) + "\n"


def _row(record: Record, implementations: int) -> tuple[str, ...]:
    return (
        link(record.name, "methods/"),
        record.family,
        record.frame,
        str(record.order),
        str(record.order_asymptotic),
        str(record.nfe_per_step),
        "yes" if record.stochastic else "no",
        year(record.cite),
        str(implementations or "-"),
    )


def notation() -> str:
    """Every symbol with its meaning, and the frames."""
    rows = [(f"${entry.latex}$", f"`{name}`", plain(entry.meaning)) for name, entry in NOTATION.items()]
    frames = [_frame(frame) for frame in FRAMES.values()]
    parts = [
        "# Notation",
        "Every symbol, as it is written here, as the code calls it, and what it means.",
        table(("symbol", "in code", "meaning"), rows),
        "## Parameters of samplers",
        "What a sampler's name takes behind the question mark, and its symbol in formulas.",
        table(("symbol", "name", "meaning", "samplers"), _parameters()),
        "## Frames",
        r"In a frame the probability flow reads $dz/du = w\,F$ with $z = x/m$: its linear part is gone. "
        "[The chapter on frames](chapters/schedules_and_frames.md) derives them.",
        table(("frame", "scale $m$", "clock $u$", "prediction $F$", "weight $w$"), frames),
    ]
    return "\n\n".join(parts) + "\n"


def _parameters() -> list[tuple[str, ...]]:
    """A line for each parameter: its symbol, name and meaning, and the samplers that have it."""
    samplers: dict[tuple[str, ...], list[str]] = {}
    for method in EXACT_METHODS:
        for p in method.parameters:
            samplers.setdefault((f"${p.latex}$", f"`{p.name}`", plain(p.meaning)), []).append(f"`{method.name}`")
    return [(*parameter, ", ".join(names)) for parameter, names in samplers.items()]


def _frame(frame: Frame) -> tuple[str, ...]:
    weight = frame.c * sp.exp(frame.kappa * u) if frame.rate is None else None
    factor = "" if frame.factor == 1 else tex(frame.factor) + r"\,"
    return (
        f"`{frame.name}`",
        f"${tex(frame.scale)}$",
        f"${CLOCKS[frame.column]}$",
        f"${factor}{PREDICTION[frame.prediction]}$",
        r"$d\rho/dt$" if weight is None else f"${tex(weight)}$",
    )


def linked(text: str) -> str:
    """A page whose tables begin with the name of a sampler, with links to the samplers' pages."""
    known = {f"| `{name}` |": f"| {link(name, 'methods/')} |" for name in METHODS}
    return re.sub(r"^\| `[^`|?]+` \|", lambda cell: known.get(cell[0], cell[0]), text, flags=re.M)
