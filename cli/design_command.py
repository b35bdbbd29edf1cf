"""`samplerproof design`: a table made for a model, written as a table file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..numerics.errors import InputError
from ..numerics.support.consent import Consent
from . import completion
from .shared_parameters import AllowCode, AllowPickle, Device, Hub, Json, Model

if TYPE_CHECKING:
    from ..numerics.design.designed import Design

FOLDER = "results/design"


def design(
    target: Model,
    nfe: Annotated[int, typer.Option(help="Evaluations of the model in a run of the table.")],
    method: Annotated[
        str | None,
        typer.Option(help="Design only the levels, for this method.", autocompletion=completion.methods),
    ] = None,
    tune: Annotated[bool, typer.Option("--tune", help="Go on through the model itself.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the start samples.")] = 0,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Table file to write.  [default: results/design/designed-<N>.table.json]"),
    ] = None,
    json: Json = False,
    device: Device = "cpu",
    allow_pickle: AllowPickle = False,
    allow_code: AllowCode = False,
    hub: Hub = False,
) -> None:
    """Make a table for a model: levels and weights for its trajectories, confirmed on others."""
    from ..numerics.advice.advice_targets import question_of
    from ..numerics.design.designed import ENOUGH, designed
    from . import show
    from .interruption import interruptible

    file = file_of(out, nfe)
    asked = question_of(target, nfe, ENOUGH, seed, Consent(allow_pickle, allow_code, hub), device)
    with interruptible("design") as progress:
        found = designed(asked, method, tune, target, progress)
    file.parent.mkdir(parents=True, exist_ok=True)
    found.write(file)
    if json:
        show.json(found.plain() | {"file": str(file)})
    else:
        print("\n".join(lines(found)))
        print(f"written to {file}")


def file_of(out: str | None, nfe: int) -> Path:
    """The file to write.  Raises InputError unless it ends in .json and can be written."""
    from ..numerics.support.files import check_writable

    path = Path(FOLDER) / f"designed-{nfe}.table.json" if out is None else Path(out)
    if path.suffix != ".json" or path.is_dir():
        raise InputError("--out", str(path), "a file name that ends in .json")
    check_writable(path.parent, keep=False)
    return path


def lines(found: Design) -> list[str]:
    """The answer as text: the tables with their errors, what is proved, and what it cost."""
    from ..numerics.text_table import aligned

    rows = []
    for one in (found.designed, found.record, found.baseline):
        interval = f"{one.low:.3g} to {one.high:.3g}"
        rows.append([one.method, one.levels, f"{one.predicted:.3g}", f"{one.confirmed:.3g}", interval])
    heads = ("method", "levels", "predicted", "confirmed", "two standard errors")
    proved = found.proved
    orders = sorted({order for order in proved.orders if order is not None})
    won = found.choice is found.designed
    better = found.record.confirmed / found.designed.confirmed
    verdict = (
        f"{found.designed.method} on levels of its own: {better:.2f} times better than the best record"
        if won
        else f"{found.record.method} on {found.record.levels}: the designed table does not beat it"
    )
    return [
        aligned(heads, rows),
        f"chosen: {verdict}",
        f"proved of the designed table: row sums to {proved.consistency:.1e}; order of a row at least "
        f"{orders[0] if orders else '-'}; on Gaussian models an error grows at most {proved.growth:.3g} times; "
        f"sum of |weights| at most {proved.digits:.3g}",
        f"{found.evaluations} evaluations of the model in {found.calls} calls",
    ]
