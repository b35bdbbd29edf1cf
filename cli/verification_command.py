"""`samplerproof study` of a file with [verification]: verdicts on a list of samplers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..book.studies.verification import run_verification
from ..book.tables import verification_tables
from ..numerics.conformance.report import exit_code
from . import show
from .interruption import interruptible, kept

if TYPE_CHECKING:
    from ..numerics.studies.config import Verification


def verification(
    wanted: Verification, folder: Path, json: bool, base: Path, workers: int | None, scheduler: str | None
) -> int:
    """Verify a list of samplers, write the answer into the folder and print it; the exit code: 1 where a verdict is a
    failure, else 2 where one could not be reached.
    """
    with interruptible("study", kept("verdicts", f"{folder}/")) as progress:
        answer = run_verification(wanted, folder, progress, base, workers, scheduler)
    verification_tables.write(answer, folder)
    if json:
        show.json(answer)
    else:
        show.verification(answer)
        show.written(folder)
    codes = {_code(record) for record in answer["records"]}
    return next((code for code in (1, 2) if code in codes), 0)


def _code(record: dict[str, Any]) -> int:
    """The exit code of the verdict in a record."""
    return exit_code(record["verdict"], [finding["severity"] for finding in record["findings"]])
