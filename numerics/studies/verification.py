"""The study `verification`: samplers of other libraries against the catalogue, and what deviates with its repair."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

from ..catalogue import resolve
from ..conformance.launch import RESOLVE
from ..conformance.target import split
from ..conformance.verify import verify, versions
from ..errors import InputError, nearest
from ..files import check_writable, read_sealed, write_sealed, write_text
from ..manifest import fingerprint, manifest
from ..progress import Progress, silent
from .config import Verification
from .store import key

REPAIRED = "samplerproof.numerics.conformance.repairs:repaired"
CONFORMS = ("identical", "roundoff")
LEFT_OUT = ("steps", "sweep")  # of a verdict: long, and its findings say what differs


def run_verification(study: Verification, out: Path, progress: Progress = silent) -> dict[str, Any]:
    """Verify every target, as many at a time as there are processors, and what deviates once more with its repair.

    Returns {"records", "discrepancies", "manifest"}, and writes the same to records.json; a finished verdict is kept
    at once, in the folder "finished".  Raises InputError on a target that cannot be meant, before any is run.
    """
    started = datetime.now(UTC)
    for target in study.targets:
        split(target)
    for target, name in study.against.items():
        if target not in study.targets:
            raise InputError("verification.against", target, f"not among the targets; {nearest(target, study.targets)}")
        resolve(name, f"verification.against.{target}")
    check_writable(out / "finished")
    kept = _Kept(study, out / "finished", Event())
    records = kept.all(kept.record, study.targets, progress, "targets")
    found = [record for record in records if deviates(record)]
    repaired = kept.all(kept.repaired, found, progress, "repairs")
    answer = {
        "records": records,
        "discrepancies": repaired,
        "manifest": {**manifest(0, started), "run": study.model_dump()},
    }
    write_text(out / "records.json", json.dumps(answer, indent=1, allow_nan=False) + "\n")
    return answer


def deviates(record: dict[str, Any]) -> bool:
    """Whether a sampler is not what its name says: another formula, no finite values, or less order than promised."""
    if record["verdict"] == "different-formula":
        return record["reference"] is not None
    kinds = [finding["kind"] for finding in record["findings"]]
    return record["verdict"] == "non-finite" or "order" in kinds


@dataclass(frozen=True)
class _Kept:
    """The verdicts of a study, from before or computed now.  stop: given up, as nobody waits for them any more."""

    study: Verification
    folder: Path
    stop: Event

    def all(self, work: Callable[[Any], Any], given: Sequence[Any], progress: Progress, label: str) -> list[Any]:
        """The work on each, in order; a target waits for its own process most of the time."""
        answers = []
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            try:
                for answer in threads.map(work, given):
                    answers.append(answer)
                    progress(len(answers), len(given), label)
            except BaseException:  # interrupted: what runs would be waited for
                self.stop.set()
                raise
        return answers

    def record(self, target: str) -> dict[str, Any]:
        """The verdict on a target."""
        return self._verdict({"target": target, "against": self.study.against.get(target), "repaired": False})

    def repaired(self, record: dict[str, Any]) -> dict[str, Any]:
        """The discrepancy with its repair, and what the repaired one is."""
        from ..conformance.repairs import repair_of

        target = record["target"]
        entry = {name: record[name] for name in ("target", "verdict", "reference", "matches", "findings", "versions")}
        repair = repair_of(target)
        if repair is None:
            return {**entry, "repair": None}
        against = repair.against or self.study.against.get(target)
        after = self._verdict({"target": target, "against": against, "repaired": True})
        kept = (
            "verdict",
            "reference",
            "max_relative_error",
            "max_relative_error_float64",
            "observed_order",
            "findings",
        )
        told = {"what": repair.what, "module": repair.module, "changes": [list(change) for change in repair.changes]}
        return {**entry, "repair": {**told, "after": {name: after[name] for name in kept}}}

    def _verdict(self, asked: dict[str, Any]) -> dict[str, Any]:
        """In plain containers."""
        study = self.study
        spec = {**asked, "steps": study.steps, "sources": fingerprint(), "versions": versions(asked["target"])}
        file = self.folder / f"{key(spec)[:32]}.verdict"
        found = read_sealed(file)
        if found is not None:
            kept: dict[str, Any] = json.loads(found)
            return kept
        resolver = REPAIRED if asked["repaired"] else RESOLVE
        verdict = verify(
            asked["target"], asked["against"], study.steps, study.timeout, resolver=resolver, stop=self.stop
        )
        record = {name: value for name, value in verdict.plain().items() if name not in LEFT_OUT}
        write_sealed(file, json.dumps(record, allow_nan=False).encode())
        return record
