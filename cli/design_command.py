"""`samplerproof design`: a table made for a model, written as a table file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..numerics.errors import InputError
from ..numerics.support.consent import Consent
from ..numerics.support.files import check_writable
from ..numerics.support.progress import Progress

if TYPE_CHECKING:
    from ..numerics.design.designed import Design

FOLDER = "results/design"


def file_of(out: str | None, nfe: int) -> Path:
    """The file to write.  Raises InputError unless it ends in .json and can be written."""
    path = Path(FOLDER) / f"designed-{nfe}.table.json" if out is None else Path(out)
    if path.suffix != ".json" or path.is_dir():
        raise InputError("--out", str(path), "a file name that ends in .json")
    check_writable(path.parent, keep=False)
    return path


def design(
    target: str,
    nfe: int,
    method: str | None,
    tune: bool,
    seed: int,
    device: str,
    consent: Consent,
    progress: Progress,
) -> Design:
    """The design for the model of a target; see numerics/design/designed.py."""
    from ..numerics.advice.advice_targets import question_of
    from ..numerics.design.designed import ENOUGH, designed

    asked = question_of(target, nfe, ENOUGH, seed, consent, device)
    return designed(asked, method, tune, target, progress)


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
