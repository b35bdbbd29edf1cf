"""All pages that are generated from the catalogue, and the table of all methods."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ...names.library_names import names_of_records
from ...numerics.catalogue import METHODS
from ...numerics.records import Record
from ..markup import code, plain, table
from ..records.study_results import order_results
from ..tables.claimed_table import claimed_page
from ..tables.library_table import library_page
from ..tables.verification_tables import discrepancies, overview
from .api_page import api_page
from .glossary_page import glossary
from .grids_page import grids_page
from .kernel_page import kernel_checked
from .method_page import concerns, page
from .myst import ONE_SIDEBAR, link, slug, year
from .theorems_page import theorems

# Choices for the columns that it names; a column of lists, as libraries, has a choice for each of their words.
FILTERS = """```{raw} html
<div class="filters" data-columns="family|order|NFE a step|noise|libraries"></div>
```"""


def all_pages(answers: dict[str, Any], verification: dict[str, Any]) -> dict[str, str]:
    """File -> text of every page that is generated from the catalogue and the interface.

    answers: the kept results of samplers and claims.  verification: those of the study of verifications.
    """
    verified = verification["records"]
    answers = {**answers, "orders": order_results()}
    pages = {
        **theorems(answers),
        "kernel_checked.md": kernel_checked(),
        "methods.md": catalogue(verified),
        "glossary.md": glossary(),
        "library_names.md": library_page(),
        "claimed_orders.md": claimed_page(answers["orders"]),
        "verification.md": ONE_SIDEBAR + linked(overview(verification)),
        "discrepancies.md": linked(discrepancies(verification)),
        **api_page(),
        **grids_page(),
    }
    for record in METHODS.values():
        of_it = [v for v in verified if concerns(record, v)]
        pages[f"methods/{slug(record.name)}.md"] = page(record, answers, of_it)
    return pages


def catalogue(verified: Iterable[dict[str, Any]]) -> str:
    """The table of all methods; _static/sort.js sorts it by the column that is clicked, filter.js filters it."""
    seen = list(verified)
    head = (
        "sampler",
        "name",
        "family",
        "frame",
        "order",
        "whole run",
        "NFE a step",
        "noise",
        "libraries",
        "year",
        "verified",
    )
    rows = [_row(record, sum(concerns(record, v) for v in seen)) for record in METHODS.values()]
    count = len(rows)
    columns = (
        f"All {count} methods of the catalogue, one page each. *Name* is what commands and functions take. A click "
        "on a column head sorts by it, and so does the Enter key. *Order* is the "
        "nominal order, of methods with noise the weak order; *whole run* is the order with the start-up. NFE counts "
        "evaluations of the model, *libraries* are those that have it under some name or option, *year* is the year of "
        "the paper, *verified* counts the implementations compared."
    )
    find = (
        "A name of a library, such as `k-diffusion:sample_dpmpp_2m`, is an alias: `samplerproof methods` lists them, "
        "and every command takes them. [Names of libraries](library_names.md) has every one, also those without a "
        "record, with the reason."
    )
    return ONE_SIDEBAR + "\n\n".join(["# All samplers", columns, FILTERS, table(head, rows), find]) + "\n"


def libraries(record: Record) -> list[str]:
    """The libraries that have a sampler under one of its aliases, or under a name with options."""
    names = (*record.aliases, *names_of_records().get(record.name, ()))
    return sorted({name.partition(":")[0] for name in names if ":" in name})


def _row(record: Record, implementations: int) -> tuple[str, ...]:
    return (
        f"[{plain(record.label)}](methods/{slug(record.name)}.md)",
        code(record.name),
        record.family,
        record.frame,
        str(record.order),
        str(record.order_asymptotic),
        str(record.nfe_per_step),
        "yes" if record.stochastic else "no",
        ", ".join(libraries(record)) or "-",
        year(record.cite),
        str(implementations or "-"),
    )


def linked(text: str) -> str:
    """A page whose tables begin with the name of a sampler, with links to the samplers' pages."""
    known = {f"| `{name}` |": f"| {link(name, 'methods/')} |" for name in METHODS}
    return re.sub(r"^\| `[^`|?]+` \|", lambda cell: known.get(cell[0], cell[0]), text, flags=re.M)
