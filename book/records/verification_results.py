"""The verdicts on the samplers of other libraries that book/verification.toml lists: kept, and renewed here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...numerics.studies.config import Verification, read
from ...numerics.support.progress_bar import progress_bar
from ..studies.verification import run_verification
from .kept_records import RECORDS, ROOT, Clock, Entry, Kept
from .record_keys import verification_key

FILE = ROOT / "book" / "verification.toml"
UNFINISHED = ROOT / "_build" / "verification"  # verdicts of a renewal that was interrupted


def listed() -> Verification:
    """The study of verifications, as its file has it."""
    study = read(FILE)
    assert isinstance(study, Verification)
    return study


def of_targets(study: Verification) -> Kept:
    """The kept verdicts of a study.

    The key of one is of its target and of the records that it, or its repaired copy, was compared with.
    """

    def key(target: str, entry: Entry) -> str:
        record, repair = entry["record"], (entry["discrepancy"] or {}).get("repair")
        names = [record["reference"], *record["matches"], *([repair["after"]["reference"]] if repair else [])]
        references = dict.fromkeys(name.partition(" (")[0] for name in names if name)  # "ddpm (no noise in …)"
        return verification_key(target, study.steps, study.against.get(target), references)

    return Kept("verification", RECORDS / "verification", study.targets, key)


def answer() -> dict[str, Any]:
    """All kept verdicts, in the form of `samplerproof study book/verification.toml`: {"records", "discrepancies",
    "manifest"}.

    Raises InputError where some are missing or stale.
    """
    study = listed()
    entries = of_targets(study).load().values()
    return {
        "records": [entry["record"] for entry in entries],
        "discrepancies": [entry["discrepancy"] for entry in entries if entry["discrepancy"] is not None],
        "manifest": {"run": {"steps": study.steps}},
    }


def renew_verification(only: Iterable[str] = ()) -> None:
    """Renew the verdicts on the targets named, or else the stale ones."""
    clock, study = Clock(), listed()
    kept = of_targets(study)
    targets = kept.chosen(only)
    if targets:
        against = {target: name for target, name in study.against.items() if target in targets}
        with progress_bar("verification") as progress:
            some = study.model_copy(update={"targets": targets, "against": against})
            found = run_verification(some, UNFINISHED, progress)
        made = clock.manifest()
        made["seconds"] = round(made["seconds"] / len(targets), 1)  # several run at a time
        discrepancies = {entry["target"]: entry for entry in found["discrepancies"]}
        for record in found["records"]:
            target = record["target"]
            kept.write(target, {"record": record, "discrepancy": discrepancies.get(target)}, made)
    kept.remove_others()
