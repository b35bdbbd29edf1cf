"""`python -m samplerproof.book FOLDER`: write the sources of the book, generated and by hand, into a folder."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from ..numerics.errors import InputError
from .pages.advice_of_networks import advice_of_networks
from .pages.arena_page import arena
from .pages.comparison_page import comparison
from .pages.costs_page import costs
from .pages.designs_page import designs_page
from .pages.figures_page import figures_page
from .pages.list_pages import all_pages
from .pages.method_picture import all_pictures
from .pages.mutant_counts import mutant_counts
from .pages.networks_page import networks
from .pages.published_network_page import published_network
from .pages.short_runs_page import short_runs
from .pages.tableaux_page import tableaux_page
from .pages.technique_page import technique_pages
from .pages.tried_counts import FILE, counts, tried
from .records import (
    advice_results,
    design_results,
    method_results,
    network_results,
    study_results,
    tableau_results,
    technique_results,
    verification_results,
)
from .records.kept_records import ROOT

PLACES = {"book": "", "proofs_notebooks": "chapters", "formal": "formal"}  # folder of the project -> folder of the book


def lay_out(folder: Path, pages: Mapping[str, str | bytes]) -> list[Path]:
    """Write the generated pages, file -> text, and copy the files written by hand; remove all others from the folder.

    Returns the files written. One whose content has not changed keeps its time.
    """
    made = {name: text.encode() if isinstance(text, str) else text for name, text in pages.items()}
    made["CONTRIBUTING.md"] = (ROOT / "CONTRIBUTING.md").read_bytes()
    for source, place in PLACES.items():
        for path in sorted((ROOT / source).rglob("*")):
            if path.is_file() and path.suffix not in (".py", ".pyc") and "records" not in path.parts:
                made[str(Path(place) / path.relative_to(ROOT / source))] = path.read_bytes()
    written = [folder / name for name in made]
    for path, content in zip(written, made.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
    for path in {p for p in folder.rglob("*") if p.is_file()} - set(written):
        path.unlink()
    return written


def main(folder: Path) -> int:
    try:
        answers, verification = method_results.answers(), verification_results.answer()
        of_networks, signed = network_results.answer(), study_results.signed_results()
        made = {**networks(of_networks), FILE: counts(tried())} | mutant_counts()
        made |= published_network(study_results.published_results()) | short_runs(signed)
        made |= comparison(answers["convergence"], signed, of_networks)
        made |= technique_pages(technique_results.technique_results(), technique_results.trial_results())
        made |= advice_of_networks(advice_results.advice_results(), advice_results.bar_results())
        made |= arena(study_results.arena_results()) | figures_page(study_results.figure_results())
        made |= tableaux_page(tableau_results.tableau_results(), verification["records"])
        made |= designs_page(design_results.design_results(), design_results.transferred_results()) | costs()
    except InputError as fault:
        print(fault, file=sys.stderr)
        return 2
    laid_out = lay_out(folder, {**all_pages(answers, verification), **all_pictures(answers), **made})
    print(f"{len(laid_out)} files laid out in {folder}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
