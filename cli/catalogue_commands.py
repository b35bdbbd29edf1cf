"""The commands about the catalogue: methods, grids, derive, cite."""

from __future__ import annotations

from typing import Annotated

import typer

from ..numerics.errors import InputError
from .shared_parameters import AnyMethods, Family, Format, Json, Method, OneKind, OneMethod, OneSchedule, Search


def methods(
    name: OneMethod = None,
    family: Family = None,
    stochastic: Annotated[bool, typer.Option("--stochastic", help="Only methods that draw noise.")] = False,
    order: Annotated[int | None, typer.Option(help="Only methods of this order.")] = None,
    search: Search = None,
    json: Json = False,
) -> None:
    """List the catalogue of samplers, or describe one: its names, order, formula, paper and page in the book."""
    from . import show
    from .methods_command import catalogue, described, techniques

    if name is not None and (family, stochastic, order, search) != (None, False, None, None):
        raise InputError("NAME", name, "a name without --family, --stochastic, --order and --search")
    beside = [] if json or (family, stochastic, order) != (None, False, None) else techniques(search)
    try:
        answer = catalogue(family, stochastic, order, search) if name is None else [described(name)]
    except InputError:
        if not beside:
            raise
        answer = []
    if json:
        show.json(answer)
    elif name is not None:
        show.method(answer[0])
    else:
        show.methods(answer)
        show.techniques(beside)


def grids(
    name: OneKind = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps of the grid, one less than its levels.  [default: 10, of a list its own]")
    ] = None,
    schedule: OneSchedule = None,
    json: Json = False,
) -> None:
    """List the kinds of grid, or print the levels of one, noisiest first."""
    from . import show
    from .grids_command import kinds, levels

    if name is None and (steps, schedule) != (None, None):
        raise InputError("KIND", "nothing", "a kind of grid, whose levels --steps and --schedule choose")
    answer = kinds() if name is None else levels(name, steps, schedule or "edm")
    if json:
        show.json(answer)
    elif isinstance(answer, list):
        show.grids(answer)
    else:
        show.levels(answer)


def derive(
    name: Method,
    format: Annotated[Format, typer.Option(help="What to write.")] = Format.latex,
) -> None:
    """Show where a sampler's weights come from."""
    from .derive_command import derive

    print(derive(name, format.value))


def cite(
    names: AnyMethods = None,
    theorem: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Prove and cite a theorem, by its label in the book, such as order-ddim."),
    ] = None,
) -> None:
    """Print BibTeX: the papers of the samplers you name, and this appendix at its version, or one of its theorems."""
    from ..book.bibtex import cite, cite_theorem

    if theorem is not None and names:
        raise InputError("--theorem", theorem, "a theorem without names of samplers")
    print(cite(names or []) if theorem is None else cite_theorem(theorem))
