"""The page on published figures and tables that are redone: theirs, ours, and how far apart they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..markup import table
from ..records.kept_records import COMMAND, Entry
from ..studies.gaussian_runs import FIRST, SLOPE
from ..studies.published_figures import ABSENT, AS_CODED, NOT_FINITE, NUMBERS, Figure, agrees, compared, published
from .myst import ONE_SIDEBAR, origin

FILE = "figures.md"
Compared = Sequence[tuple[str, str, float | None]]

PAGE = """# Published figures, redone

What others print of samplers on targets and models that are known exactly, beside the same numbers by the routes of
this project. *Redone* counts the numbers that agree to less than one in the last digit printed, which is to be rounded
or cut; *difference* is the largest one between ours and theirs, of all that are finite. A row that ends in
"{as_coded}" has the steps of the authors' code where these are others than those of their text, and is not counted.

{summary}

{gaussian}

## Numbers of tests and manuals

The model of diffusers' tests predicts x k/(k + 1) at level k, as the noise or as v, and runs start at 768 equidistant
points of [0, 1). Clipping of the data prediction, which the test of DDIM has, never acts on it; 2M ends at the cleanest
level. A variance is the sum of squares in the row of the table of `ddpm`. An error norm is the root of the sum of
squares of a method's leading defects, each over the symmetry of its tree.

{numbers}

## What is not redone

- [2606.10353](https://arxiv.org/abs/2606.10353), errors on anisotropic mixtures: the body of the paper could not be
  had, and no file of its authors with the numbers was found.
- Figure 1 of [2405.14250](https://arxiv.org/abs/2405.14250): its curves are of the same runs as the tables here, and
  are published as pictures; figures 2 and 3 likewise. The columns of Table 2 for a trained score need its network.
- FIDs, likelihoods and preferences of papers on samplers are of trained networks, on data whose law is not known. No
  number of theirs is exact.

Tables on Gaussian data are renewed by `{command} figures`, with the files of their authors in `_build/figures`; the
message of a missing one names where it comes from. The numbers of tests and manuals are computed with the book.
"""

GAUSSIAN = """## {title}

[{arxiv}](https://arxiv.org/abs/{arxiv}), {where}, at commit {commit:.12} of its [repository]({repository}). The data
are the {file} there, variances of independent coordinates. W2 to them, theirs / ours, with x' = -b x + sqrt(2b) w',
b = {first} + {slope} t: without steps, and with each number of equidistant times from 1 to the last, from the exact law
at t = 1 (e) and from N(0, I) (n). A dash is a number that is not finite.{note}

{rows}

Made {origin}, in {seconds:.0f} seconds.
"""

HEUN = """

The text states evaluations of the score, and the row of Heun's method agrees with half as many steps as evaluations in
{stated} of its {of} numbers with steps, with as many in {coded}: its code takes as many steps as the other methods,
which is twice the evaluations. With {nfe} evaluations, to t = {last}, W2 is {ours:.2f} and not {theirs}."""


def figures_page(entries: Mapping[str, Entry]) -> dict[str, str | bytes]:
    """File -> content.  entries: the kept rows of the tables on Gaussian data."""
    listed = published()
    gaussian = {name: compared(listed["gaussian"][name], entry["rows"]) for name, entry in entries.items()}
    numbers = {name: compared(listed["numbers"][name], compute()) for name, compute in NUMBERS.items()}
    every = {**listed["gaussian"], **listed["numbers"]}
    page = PAGE.format(
        as_coded=AS_CODED,
        summary=_summary(every, {**gaussian, **numbers}),
        gaussian="\n".join(_gaussian(listed["gaussian"][name], gaussian[name], entries[name]) for name in entries),
        numbers="\n\n".join(_numbers(listed["numbers"][name], found) for name, found in numbers.items()),
        command=COMMAND,
    )
    return {FILE: ONE_SIDEBAR + page}


def _summary(every: Mapping[str, Figure], found: Mapping[str, Compared]) -> str:
    rows = []
    for name, cells in found.items():
        stated = [(theirs, ours) for row, theirs, ours in cells if not row.endswith(AS_CODED) and theirs != ABSENT]
        apart = [abs(ours - float(theirs)) for theirs, ours in stated if ours is not None and theirs != NOT_FINITE]
        agreed = sum(bool(agrees(*both)) for both in stated)
        rows.append((every[name]["title"], str(len(stated)), str(agreed), f"{max(apart):.1g}"))
    return table(("table", "numbers", "redone", "difference"), rows)


def _gaussian(figure: Figure, found: Compared, entry: Entry) -> str:
    columns = [f"{steps}, {start}" for steps in ("no steps", *figure["points"]) for start in "en"]
    rows: dict[str, list[str]] = {}
    for name, theirs, ours in found:
        rows.setdefault(name, []).append(_cell(theirs, ours))
    return GAUSSIAN.format(
        **{key: figure[key] for key in ("title", "arxiv", "where", "commit", "repository")},
        file=f"`{figure['path']}`",
        first=f"{FIRST:g}",
        slope=f"{SLOPE:g}",
        note=_note(figure, found),
        rows=table(("scheme, last time", *columns), [(name, *cells) for name, cells in rows.items()]),
        origin=origin(entry["manifest"]),
        seconds=entry["manifest"]["seconds"],
    )


def _cell(theirs: str, ours: float | None) -> str:
    own = NOT_FINITE if ours is None else f"{ours:.4g}"
    printed = "not printed" if theirs == ABSENT else theirs
    return f"{printed} / {own}" if agrees(theirs, ours) is not False else f"{printed} / **{own}**"


def _note(figure: Figure, found: Compared) -> str:
    """The words on a scheme whose code takes other steps than the text; none where there is none."""
    if not any(name.endswith(AS_CODED) for name, *_ in found):
        return ""
    rows: dict[str, list[Any]] = {}
    for name, *both in found:
        rows.setdefault(name, []).append(both)
    coded = {
        name: [b for b in cells[2:] if b[1] is not None] for name, cells in rows.items() if name.endswith(AS_CODED)
    }
    stated = {name.removesuffix(f" {AS_CODED}"): None for name in coded}
    first, last = [rows[name][2:] for name in stated], list(stated)[-1]
    theirs, ours = rows[last][2]
    return HEUN.format(
        stated=sum(bool(agrees(*both)) for cells in first for both in cells),
        of=sum(map(len, first)),
        coded=sum(bool(agrees(*both)) for cells in coded.values() for both in cells),
        nfe=figure["points"][0],
        last=last.split()[1],
        ours=ours,
        theirs=theirs,
    )


def _numbers(figure: Figure, found: Compared) -> str:
    rows = [(name, theirs, f"{ours:.16g}" if len(theirs) > 12 else f"{ours:.7g}") for name, theirs, ours in found]
    head = f"{figure['title']}: [{figure['where']}]({figure['repository']})."
    return f"{head}\n\n{table(('', 'theirs', 'ours'), rows)}"
