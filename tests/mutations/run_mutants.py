"""`make mutants`: faults planted one by one in theory and numerics, each judged by the tests that cover its line.

First the tests run once with coverage, which keeps the lines of every test; then every mutant runs in a process of its
own with those tests, the cheap ones first, until one fails. Time is that of the processor, so that a run beside other
work judges no mutant otherwise. What was decided is kept in _build/mutants, and an interrupted run goes on there; a
change of the code or of a test begins anew. The record is book/records/mutants.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from mutants import FOLDERS, Mutant, drawn  # noqa: E402
from tests_of_lines import TEXT, Coverage  # noqa: E402

KEPT = ROOT / "_build" / "mutants"
RECORD = ROOT / "book" / "records" / "mutants.json"
# A mutant that takes so many seconds of the processor, and so many times those of its tests when they were measured,
# runs forever; one that takes so many times longer by the clock waits for something, or for a busy machine: undecided.
LEAST, TIMES, BY_CLOCK = 60, 5, 20
BROKEN = 99  # exit code of a child that could not plant its mutant
FIRST = 25  # tests of the first round, which collects few files
PYTEST = ("-p", "no:cacheprovider", "-p", "no:xdist", "-q", "-x", "--tb=line", "-rfE", "--assert=plain", "-m", "")
IMPORTED = (
    "torch scipy.optimize scipy.stats scipy.special sympy mpmath flint hypothesis matplotlib.figure pydantic typer"
)


def digest() -> str:
    """Of the code and the tests."""
    paths = sorted(path for folder in (*FOLDERS, "tests") for path in (ROOT / folder).rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


# --- which tests cover which line


def measure(folder: Path, tests: Iterable[str], jobs: int) -> None:
    """Run the tests once, in so many processes, with the lines of each; a failure ends the run: on a red suite mutants
    say nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = f"[run]\nsource = {', '.join(FOLDERS)}\ndata_file = {folder / 'coverage'}\n"
    (folder / "coveragerc").write_text(config, encoding="utf-8")
    options = ["--cov", f"--cov-config={folder / 'coveragerc'}", "--cov-context=test", "--cov-report="]
    command = [sys.executable, "-m", "pytest", "-n", str(jobs), "--dist", "loadfile", "-q", *options]
    done = subprocess.run([*command, f"--junitxml={folder / 'seconds.xml'}", *tests], cwd=ROOT)
    if done.returncode:
        sys.exit("mutants: the tests fail without a mutant")
    (folder / "measured").touch()


# --- one mutant


def judged(mutant: Mutant, tests: list[str], seconds: float, folder: Path) -> Iterator[None]:
    """Run the tests on the mutant in children; each step looks whether one has ended.  Writes the outcome.

    seconds: those of the processor that a child has.  Nothing is written of a mutant that the clock stopped: the next
    run takes it again.
    """
    started = time.monotonic()
    log = folder / f"{mutant.file.replace('/', '.')}.{mutant.place}.{mutant.operator}.log"
    outcome = "survived" if tests else "not covered"
    for part in filter(None, (tests[:FIRST], tests[FIRST:])):
        child = forked(mutant, part, log, seconds)
        while (code := ended(child)) is None and time.monotonic() - started < BY_CLOCK * seconds:
            yield
        if code is None:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return
        if code == BROKEN:
            sys.exit(f"mutants: {mutant} cannot be planted: {log}")
        if code != 0:
            outcome = "killed by time" if code == -signal.SIGXCPU else "killed"
            break
    failed = [line.split()[1] for line in _lines(log) if line.startswith(("FAILED ", "ERROR "))]
    # A mutant is planted without writing to a file, so that the values of generated code are judged; its text is
    # compared with that of a fresh derivation, which sees every change.
    if mutant.generated and not outcome.startswith("killed"):
        outcome, failed = "killed by text", [TEXT]
    result = {**mutant.shown(), "place": mutant.place, "tests": len(tests), "outcome": outcome}
    result |= {"by": failed[0] if failed else None, "seconds": round(time.monotonic() - started, 1)}
    with (folder / "decided.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(result) + "\n")
    log.unlink(missing_ok=True)


def ended(child: int) -> int | None:
    """The exit code of a child; None while it runs."""
    process, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if process else None


def forked(mutant: Mutant | None, tests: list[str], log: Path, seconds: float | None = None) -> int:
    """A child that plants the mutant and runs the tests, in a group of its own; it ends with pytest's exit code.

    seconds: of the processor; the kernel ends a child that takes more, with SIGXCPU.
    """
    if child := os.fork():
        return child
    code = BROKEN
    try:
        os.setpgid(0, 0)
        if seconds is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (round(seconds), resource.RLIM_INFINITY))
        with log.open("a") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        import pytest

        if mutant is not None:
            mutant.plant()
        code = int(pytest.main([*PYTEST, *tests]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _lines(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []


def control(left: list[tuple[Mutant, list[str]]], folder: Path) -> None:
    """Run what judges the mutants first without one, the same way: a red test would kill every mutant."""
    tests = sorted({test for _, covering in left for test in covering[:FIRST]})
    if not tests:
        return
    log = folder / "control.log"
    log.unlink(missing_ok=True)
    child = forked(None, tests, log)
    if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit(f"mutants: the tests fail without a mutant (exit code {code}): {log}")


def run(wanted: list[Mutant], coverage: Coverage, folder: Path, jobs: int) -> None:
    """Judge the mutants, so many at a time."""
    for module in IMPORTED.split():
        __import__(module)
    left = [(mutant, coverage.tests(mutant)) for mutant in wanted]
    control(left, folder)
    running: list[Iterator[None]] = []
    while left or running:
        while left and len(running) < jobs:
            mutant, tests = left.pop(0)
            running.append(judged(mutant, tests, LEAST + TIMES * coverage.cost(tests), folder))
        for one in list(running):
            if next(one, StopIteration) is StopIteration:
                running.remove(one)
                print(f"{len(wanted) - len(left) - len(running)} of {len(wanted)}", file=sys.stderr)
        time.sleep(0.1)


def decided(folder: Path) -> dict[tuple[str, int, str], dict[str, Any]]:
    """What was decided before, by file, place and operator."""
    entries = map(json.loads, _lines(folder / "decided.jsonl"))
    return {(entry["file"], entry["place"], entry["operator"]): entry for entry in entries}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--by-hand", type=int, default=220, help="mutants of hand-written code")
    parser.add_argument("--generated", type=int, default=100, help="mutants of generated code")
    parser.add_argument("--only", default="", metavar="PATH", help="of paths that begin so, as theory/order does")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--kept", type=Path, default=KEPT, help="folder of the run")
    parser.add_argument("--record", type=Path, default=RECORD)
    parser.add_argument("tests", nargs="*", help="files of tests; all that `make test` runs")
    given = parser.parse_args()
    started = datetime.now(UTC)
    folder = given.kept / digest()
    if not (folder / "measured").exists():
        measure(folder, given.tests, given.jobs)
    chosen = drawn(given.by_hand, given.generated, given.seed, given.only)
    known = decided(folder)
    left = [mutant for mutant in chosen if (mutant.file, mutant.place, mutant.operator) not in known]
    run(left, Coverage(folder / "coverage", folder / "seconds.xml"), folder, given.jobs)
    known = decided(folder)
    missing = [mutant for mutant in chosen if (mutant.file, mutant.place, mutant.operator) not in known]
    if missing:
        print(f"mutants: the clock stopped {len(missing)}, which the next run takes again; no record", file=sys.stderr)
        return 1
    results = [known[mutant.file, mutant.place, mutant.operator] for mutant in chosen]
    from samplerproof.numerics.support.manifest import manifest  # behind the run: see IMPORTED

    killed = sum(result["outcome"].startswith("killed") for result in results)
    content = {
        **{"seed": given.seed, "mutants": len(results), "killed": killed},
        "generated": sum(mutant.generated for mutant in chosen),
        "outcomes": dict(Counter(result["outcome"] for result in results)),
        "survivors": [result for result in results if not result["outcome"].startswith("killed")],
        "all": results,
        "manifest": manifest(given.seed, started),
    }
    given.record.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{killed} of {len(results)} killed; survivors in {given.record}")
    for result in content["survivors"]:
        print(f"{result['file']}:{result['line']}: {result['before']} -> {result['after']}: {result['outcome']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
