"""The study `verification`: samplers of other libraries against the catalogue, and repairs of those that deviate."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ctypes import c_ulong, py_object, pythonapi
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event, get_ident
from typing import Any

from ...numerics.catalogue import resolve
from ...numerics.conformance.adapters.target import split
from ...numerics.conformance.process.launch import RESOLVE
from ...numerics.conformance.process.warm_parent import warm_parent
from ...numerics.conformance.verify import verify, versions
from ...numerics.errors import InputError, nearest
from ...numerics.studies.checkouts import library_of, present
from ...numerics.studies.config import Verification
from ...numerics.studies.shared_work import Claims, claiming, shared
from ...numerics.studies.store import key
from ...numerics.studies.workers import MOST
from ...numerics.support.files import check_writable, read_sealed, write_sealed, write_text
from ...numerics.support.manifest import CONFORMANCE, fingerprint, manifest
from ...numerics.support.progress import Progress, silent
from . import STUDIES

REPAIRED = "samplerproof.numerics.conformance.repairs:repaired"
CONFORMS = ("identical", "roundoff")
LEFT_OUT = ("steps", "sweep")  # of a verdict: they are long, and its findings repeat what differs


@warm_parent()
def run_verification(
    study: Verification, out: Path, progress: Progress = silent, base: Path = Path(), workers: int | None = None
) -> dict[str, Any]:
    """Verify all targets; those that deviate are verified again with their repair.

    base: the folder to which the paths of checkouts are relative.  workers: how many targets run at a time, each in a
    process of its own; None: one for each processor.
    Returns {"records", "discrepancies", "missing", "manifest"}, and writes the same to records.json; the folder
    "finished" has every verdict as soon as it is computed.  Targets whose checkout is not there are missing.
    Raises InputError for an invalid target, before any is run, and where all are missing.
    """
    started = datetime.now(UTC)
    if workers is not None and not 1 <= workers <= MOST:
        raise InputError("workers", workers, f"a whole number from 1 to {MOST}")
    for target in study.targets:
        split(target)
    for target, name in study.against.items():
        if target not in study.targets:
            raise InputError("verification.against", target, f"not among the targets; {nearest(target, study.targets)}")
        resolve(name, f"verification.against.{target}")
    folders = present(study.checkouts, base)
    missing = [name for name in map(library_of, study.targets) if name in study.checkouts and name not in folders]
    there = [target for target in study.targets if library_of(target) not in missing]
    if not there:
        allowed = f"brought by {study.checkouts[missing[0]].fetched_by}"
        raise InputError("verification.checkouts", ", ".join(dict.fromkeys(missing)), allowed)
    check_writable(out / "finished")
    with claiming(out / "finished") as claims:
        verdicts = _Verdicts(study, out / "finished", claims, Event(), folders, workers)
        records = verdicts.all(verdicts.record, there, progress, "targets")
        found = [record for record in records if deviates(record)]
        repaired = verdicts.all(verdicts.repaired, found, progress, "repairs")
    answer = {
        "records": records,
        "discrepancies": repaired,
        "missing": [
            {"target": target, "checkout": study.checkouts[library_of(target)].fetched_by}
            for target in study.targets
            if target not in there
        ],
        "manifest": {**manifest(0, started), "run": study.model_dump()},
    }
    write_text(out / "records.json", json.dumps(answer, indent=1, allow_nan=False) + "\n")
    return answer


def deviates(record: dict[str, Any]) -> bool:
    """Whether a sampler is not its reference: another formula, values that are not finite, or an error among its
    findings, such as a lower order than advertised.
    """
    if record["verdict"] == "different-formula":
        short = any(f["kind"] == "order" and f["severity"] == "error" for f in record["findings"])
        return record["reference"] is not None or short
    return record["verdict"] == "non-finite" or fails(record)


def fails(record: dict[str, Any]) -> bool:
    """Whether a sampler conforms but has a finding of severity error."""
    return record["verdict"] in CONFORMS and any(f["severity"] == "error" for f in record["findings"])


@dataclass(frozen=True)
class _Verdicts:
    """The verdicts of a study, read from its folder or computed now, by this process or another one in that folder.

    stop: set when the study is interrupted.  folders: of libraries.  workers: as run_verification takes them.
    at_work: the threads that compute a verdict.
    """

    study: Verification
    folder: Path
    claims: Claims
    stop: Event
    folders: dict[str, Path]
    workers: int | None
    at_work: set[int] = field(default_factory=set)

    def all(self, work: Callable[[Any], Any], given: Sequence[Any], progress: Progress, label: str) -> list[Any]:
        """The results of the work on every item, in order; a thread mostly waits for the process of its target."""

        def noted(item: Any) -> Any:
            self.at_work.add(get_ident())
            try:
                return work(item)
            finally:
                self.at_work.discard(get_ident())

        answers = []
        with ThreadPoolExecutor(self.workers or os.cpu_count()) as threads:
            try:
                for answer in threads.map(noted, given):
                    answers.append(answer)
                    progress(len(answers), len(given), label)
            except BaseException:  # an interruption: leaving the pool would wait for the running threads
                self._give_up()
                raise
        return answers

    def _give_up(self) -> None:
        """End the child processes, and interrupt the threads that judge."""
        self.stop.set()
        for thread in tuple(self.at_work):
            pythonapi.PyThreadState_SetAsyncExc(c_ulong(thread), py_object(KeyboardInterrupt))

    def record(self, target: str) -> dict[str, Any]:
        """The verdict on a target."""
        return self._verdict({"target": target, "against": self.study.against.get(target), "repaired": False})

    def repaired(self, record: dict[str, Any]) -> dict[str, Any]:
        """The discrepancy, its repair and the verdict on the repaired sampler."""
        from ...numerics.conformance.repairs import patch_of, repair_of

        target = record["target"]
        entry = {name: record[name] for name in ("target", "verdict", "reference", "matches", "findings", "versions")}
        entry |= {name: record[name] for name in ("checkout",) if name in record}
        repair = repair_of(target)
        if repair is None:
            return {**entry, "repair": None}
        against = repair.against or self.study.against.get(target)
        after = self._verdict({"target": target, "against": against, "repaired": True})
        shown = (
            "verdict",
            "reference",
            "max_relative_error",
            "max_relative_error_float64",
            "observed_order",
            "findings",
        )
        change = {"what": repair.what, "module": repair.module, "changes": [list(change) for change in repair.changes]}
        change["diff"] = patch_of(repair, self._path(target))
        return {**entry, "repair": {**change, "after": {name: after[name] for name in shown}}}

    def _verdict(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The verdict on a target as JSON has it, from the folder or computed now."""
        spec = {
            **asked,
            "steps": self.study.steps,
            "sources": fingerprint(others=(STUDIES, CONFORMANCE)),
            "versions": versions(asked["target"]),
            **self._checkout(asked["target"]),
        }
        file = self.folder / f"{key(spec)[:32]}.verdict"

        def finished(_: int) -> dict[str, Any] | None:
            if self.stop.is_set():
                raise KeyboardInterrupt
            content = read_sealed(file)
            found: dict[str, Any] | None = None if content is None else json.loads(content)
            return found

        ((_, record),) = shared(self.claims, [file.name], finished, lambda _: self._computed(asked, file))
        return record

    def _checkout(self, target: str) -> dict[str, Any]:
        """The provenance of the library of a target that comes from a checkout."""
        checkout = self.study.checkouts.get(library_of(target))
        return {} if checkout is None else {"checkout": checkout.provenance}

    def _path(self, target: str) -> str | None:
        """The folder of its library, where it comes from a checkout."""
        folder = self.folders.get(library_of(target))
        return None if folder is None else str(folder.resolve())

    def _computed(self, asked: dict[str, Any], file: Path) -> dict[str, Any]:
        study, target = self.study, asked["target"]
        resolver = REPAIRED if asked["repaired"] else RESOLVE
        ask = partial(verify, resolver=resolver, stop=self.stop, path=self._path(target))
        verdict = ask(target, asked["against"], study.steps, study.timeout)
        record = {name: value for name, value in verdict.plain().items() if name not in LEFT_OUT}
        record |= self._checkout(target)
        write_sealed(file, json.dumps(record, allow_nan=False).encode())
        return record
