"""The study `verification`: samplers of other libraries against the catalogue, and repairs of those that deviate."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ctypes import c_ulong, py_object, pythonapi
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import BoundedSemaphore, Event, get_ident
from typing import TYPE_CHECKING, Any

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
from ...numerics.studies.workers import check_workers, connected, result_of
from ...numerics.support.files import check_writable, read_sealed, write_sealed, write_text
from ...numerics.support.manifest import CONFORMANCE, fingerprint, manifest
from ...numerics.support.progress import Progress, silent
from . import STUDIES

if TYPE_CHECKING:
    from distributed import Client

REPAIRED = "samplerproof.numerics.conformance.repairs:repaired"
CONFORMS = ("identical", "roundoff")
LEFT_OUT = ("steps", "sweep")  # of a verdict: they are long, and its findings repeat what differs
LOOK = 0.1  # seconds between two looks at a task


@warm_parent()
def run_verification(
    study: Verification,
    out: Path,
    progress: Progress = silent,
    base: Path = Path(),
    workers: int | None = None,
    scheduler: str | None = None,
) -> dict[str, Any]:
    """Verify all targets; those that deviate are verified again with their repair.

    base: the folder to which the paths of checkouts are relative.  workers: how many targets run at a time, each in a
    process of its own; None: one for each processor.  scheduler: the address of one of dask.distributed, whose workers
    verify targets of installed libraries: each in a process of its own there, under the limits that it has here.
    Targets of checkouts, and of files and modules that are no package, are verified here.
    Returns {"records", "discrepancies", "missing", "manifest"}, and writes the same to records.json; the folder
    "finished" has every verdict as soon as it is computed.  Targets whose checkout is not there are missing.
    Raises InputError for an invalid target, before any is run, and where all are missing.
    """
    started = datetime.now(UTC)
    check_workers(workers, scheduler, default=None)
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
    sent = [target for target in there if library_of(target) not in folders and _library_version(target)]
    with _cluster(scheduler, sent) as cluster:
        check_writable(out / "finished")
        with claiming(out / "finished") as claims:
            at_once = workers or os.cpu_count() or 1
            verdicts = _Verdicts(study, out / "finished", claims, Event(), folders, at_once, cluster)
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

    stop: set when the study is interrupted.  folders: of libraries.  workers: how many targets run at a time here.
    at_work: the threads that compute a verdict.
    """

    study: Verification
    folder: Path
    claims: Claims
    stop: Event
    folders: dict[str, Path]
    workers: int
    cluster: _Cluster | None
    at_work: set[int] = field(default_factory=set)
    here: BoundedSemaphore = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "here", BoundedSemaphore(self.workers))

    def all(self, work: Callable[[Any], Any], given: Sequence[Any], progress: Progress, label: str) -> list[Any]:
        """The results of the work on every item, in order; a thread mostly waits for the process of its target."""

        def noted(item: Any) -> Any:
            self.at_work.add(get_ident())
            try:
                return work(item)
            finally:
                self.at_work.discard(get_ident())

        answers = []
        with ThreadPoolExecutor(self.workers + (self.cluster.threads if self.cluster else 0)) as threads:
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
        target = asked["target"]
        question = (target, asked["against"], asked["repaired"], self.study.steps, self.study.timeout)
        record = None
        if self.cluster is not None and target in self.cluster.sent:
            record = self.cluster.verdict(question, self.stop)
        if record is None:
            with self.here:
                record = verdict_record(*question, stop=self.stop, path=self._path(target))
        record |= self._checkout(target)
        write_sealed(file, json.dumps(record, allow_nan=False).encode())
        return record


def verdict_record(
    target: str,
    against: str | None,
    repaired: bool,
    steps: int,
    timeout: float,
    stop: Event | None = None,
    path: str | None = None,
) -> dict[str, Any]:
    """The verdict on a target, or on its repair, as a record has it."""
    verdict = verify(target, against, steps, timeout, resolver=REPAIRED if repaired else RESOLVE, stop=stop, path=path)
    return {name: value for name, value in verdict.plain().items() if name not in LEFT_OUT}


def _library_version(target: str) -> str | None:
    """The version of the package that has a target; None where it is none."""
    return versions(target).get(library_of(target).partition(".")[0])


def _code() -> str:
    """Of all that a verdict comes from."""
    return fingerprint(others=(STUDIES, CONFORMANCE))


@dataclass(frozen=True)
class _Cluster:
    """The workers of a scheduler.  sent: the targets that they verify.  threads: how many at a time."""

    client: Client
    address: str
    sent: frozenset[str]
    threads: int

    def verdict(self, question: tuple[Any, ...], stop: Event) -> dict[str, Any] | None:
        """The record of a verdict; None where several workers died of it.  Raises KeyboardInterrupt if stop is set."""
        future = self.client.submit(verdict_record, *question, pure=False)
        while not future.done():
            if stop.wait(LOOK):
                raise KeyboardInterrupt
        found: dict[str, Any] | None = result_of(future, self.address)
        return found


@contextmanager
def _cluster(address: str | None, targets: Sequence[str]) -> Iterator[_Cluster | None]:
    """The workers at an address, all of which have the packages of these targets in the versions that are here."""
    if address is None:
        yield None
        return
    with connected(address, _code) as client:
        libraries = {library_of(target).partition(".")[0]: target for target in targets}
        for library, target in libraries.items():
            ours = _library_version(target)
            others = sorted(worker for worker, found in client.run(_library_version, target).items() if found != ours)
            if others:
                raise InputError("scheduler", address, f"{library} {ours}, as here, on all workers; not on {others[0]}")
        yield _Cluster(client, address, frozenset(targets), sum(client.nthreads().values()))
