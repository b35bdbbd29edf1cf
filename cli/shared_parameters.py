"""The arguments and options that commands take, with their help and completion, as typer reads them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from . import completion

NAMES = "Methods, by any of their names."
GRID = "KIND or KIND?parameter=value&…"
SCHEDULE = "The schedule, NAME or NAME?parameter=value&…."


class Format(StrEnum):
    """The formats of `derive`."""

    latex = "latex"
    torch = "torch"
    json = "json"


class ExportFormat(StrEnum):
    """The formats of `export`."""

    json = "json"


Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output, and nothing else there.")]

# Names of methods.
Method = Annotated[
    str, typer.Argument(help="A method of the catalogue, by any of its names.", autocompletion=completion.methods)
]
OneMethod = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME", help="The method to describe, by any of its names.", autocompletion=completion.methods
    ),
]
SomeMethods = Annotated[list[str], typer.Argument(metavar="NAME", help=NAMES, autocompletion=completion.methods)]
AnyMethods = Annotated[list[str] | None, typer.Argument(metavar="NAME", help=NAMES, autocompletion=completion.methods)]
Family = Annotated[str | None, typer.Option(help="Only methods of this family.", autocompletion=completion.families)]
Search = Annotated[
    str | None,
    typer.Option(metavar="WORD", help="Only methods with this in a name, alias, family, summary or paper."),
]

# Grids and schedules.
OneKind = Annotated[
    str | None,
    typer.Argument(metavar="KIND", help=f"{GRID}, of which to print the levels.", autocompletion=completion.grids),
]
MaybeKind = Annotated[
    str | None, typer.Option(metavar="KIND", help=f"{GRID}; none for table files.", autocompletion=completion.grids)
]
Schedule = Annotated[str, typer.Option(help=SCHEDULE, autocompletion=completion.schedules)]
OneSchedule = Annotated[
    str | None, typer.Option(help=f"{SCHEDULE}  [default: edm]", autocompletion=completion.schedules)
]

Checkpoint = Annotated[
    str,
    typer.Argument(
        help="A network, such as rings, or a student, such as rings-consistency.", autocompletion=completion.checkpoints
    ),
]
Model = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="A network, such as rings, a folder or owner/name; FILE.toml with a [target]; FILE.py:name.",
        autocompletion=completion.checkpoints,
    ),
]
Out = Annotated[str, typer.Option(metavar="DIR", help="Folder to write to.")]

# Of a network: where it runs, and what its loading may do.
Device = Annotated[str, typer.Option(help="Device of the network.")]
AllowPickle = Annotated[bool, typer.Option("--allow-pickle", help="Read pickled weights of a network.")]
AllowCode = Annotated[
    bool, typer.Option("--allow-code", help="Run code that a checkpoint names; implies --allow-pickle.")
]
Hub = Annotated[bool, typer.Option("--hub", help="Fetch a checkpoint owner/name from the hub.")]
