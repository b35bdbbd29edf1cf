"""The verdicts on the samplers of other libraries that two lists have: kept, and renewed here.

book/verification.toml has libraries that are installed. book/checkouts.toml has those that come as a checkout: without
one their verdicts stay as they are, with the repository and the commit that they are of.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from ...numerics.conformance.process.warm_parent import warm_parent
from ...numerics.conformance.report import own_name
from ...numerics.studies.checkouts import library_of, present
from ...numerics.studies.config import Verification, read
from ...numerics.support.progress import Progress
from ...numerics.support.progress_bar import progress_bar
from ..studies.verification import run_verification
from .kept_records import RECORDS, ROOT, Clock, Entry, Kept
from .record_keys import verification_key
from .version_results import answer as reproduced

FILE = ROOT / "book" / "verification.toml"
CHECKOUTS = ROOT / "book" / "checkouts.toml"
TOGETHER = 4  # verdicts that are computed before these are kept
UNFINISHED = ROOT / "_build" / "verification"  # verdicts of a renewal that was interrupted


def listed(file: Path = FILE) -> Verification:
    """The study of verifications, as its file has it."""
    study = read(file)
    assert isinstance(study, Verification)
    return study


def of_targets(study: Verification) -> Kept:
    """The kept verdicts of a study.

    The key of one is of its target, of the commit of its checkout, and of the records that it, or its repaired copy,
    was compared with.
    """
    kind = "checkouts" if study.checkouts else "verification"

    def key(target: str, entry: Entry) -> str:
        record, repair = entry["record"], (entry["discrepancy"] or {}).get("repair")
        names = [record["reference"], *record["matches"], *([repair["after"]["reference"]] if repair else [])]
        references = dict.fromkeys(own_name(name) for name in names if name)
        checkout = study.checkouts.get(library_of(target))
        of_commit = () if checkout is None else (checkout.repository, checkout.commit)
        return verification_key(kind, target, study.steps, study.against.get(target), references, *of_commit)

    return Kept(kind, RECORDS / kind, study.targets, key)


def answer() -> dict[str, Any]:
    """All kept verdicts, in the form of `samplerproof study book/verification.toml`: {"records", "discrepancies",
    "manifest"}.

    "reproduced" has what the reproducers print with other versions of their libraries; "unverified" has the targets of
    checkouts without a kept verdict; those that have one keep it.
    Raises InputError where some of the libraries that are installed are missing or stale.
    """
    study, brought = listed(), listed(CHECKOUTS)
    kept = of_targets(brought)
    there = [entry for entry in map(kept.read, brought.targets) if entry is not None]
    entries = [*of_targets(study).load().values(), *there]
    return {
        "records": [entry["record"] for entry in entries],
        "discrepancies": [entry["discrepancy"] for entry in entries if entry["discrepancy"] is not None],
        "reproduced": reproduced(),
        "unverified": [target for target in brought.targets if kept.read(target) is None],
        "manifest": {"run": {"steps": study.steps}},
    }


def renew_verification(only: Iterable[str] = ()) -> None:
    """Renew the verdicts on the targets named, or else the stale ones, of the libraries that are installed."""
    _renew(FILE, only)


def renew_checkouts(only: Iterable[str] = ()) -> None:
    """The same for those that are there as a checkout, in the folders that book/checkouts.toml names."""
    _renew(CHECKOUTS, only)


def _renew(file: Path, only: Iterable[str]) -> None:
    """Renew verdicts, a few at a time, each of which is kept as soon as they are there."""
    clock, study = Clock(), listed(file)
    kept = of_targets(study)
    chosen = kept.chosen(only)
    missing = _missing(study, chosen, file.parent)
    there = [target for target in chosen if target not in missing]
    with warm_parent(), progress_bar(kept.kind) as progress:
        for first in range(0, len(there), TOGETHER):
            some = there[first : first + TOGETHER]
            against = {target: name for target, name in study.against.items() if target in some}
            shown = partial(_shown, progress, first, len(there))
            asked = study.model_copy(update={"targets": some, "against": against})
            _keep(kept, run_verification(asked, UNFINISHED, shown, file.parent), clock)
    kept.remove_others()


def _missing(study: Verification, targets: Iterable[str], base: Path) -> set[str]:
    """The targets whose checkout is missing; each library is printed with the command that brings it."""
    folders = present(study.checkouts, base)
    missing = {name: checkout for name, checkout in study.checkouts.items() if name not in folders}
    found = {target for target in targets if library_of(target) in missing}
    for name in dict.fromkeys(map(library_of, sorted(found))):
        print(f"missing: {name}; {missing[name].fetched_by}", flush=True)
    return found


def _shown(progress: Progress, before: int, of: int, done: int, _: int, label: str) -> None:
    progress(before + done, of, label)


def _keep(kept: Kept, found: dict[str, Any], clock: Clock) -> None:
    """Keep the verdicts of a study, each with its discrepancy."""
    made = clock.manifest()
    made["seconds"] = round(made["seconds"] / len(found["records"]), 1)  # several run at a time
    discrepancies = {entry["target"]: entry for entry in found["discrepancies"]}
    for record in found["records"]:
        target = record["target"]
        kept.write(target, {"record": record, "discrepancy": discrepancies.get(target)}, made)
