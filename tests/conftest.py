"""Shared by all tests: the mixture M1, a study file of it, and the count of what was tried to break the package."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from samplerproof.cli.main import run
from samplerproof.numerics.conformance.process.warm_parent import WarmParent, warm_parent
from samplerproof.numerics.support import progress_bar
from samplerproof.numerics.support.files import write_text
from samplerproof.numerics.support.manifest import manifest

pytest_plugins = ["pytester"]
collect_ignore = ["example_repository"]  # the tests of another library, run by test_ci.py

ROOT = Path(__file__).resolve().parents[1]

STUDY = """
[target]
weights = [0.35, 0.65]
means = [-1.2, 0.9]
stds = [0.5, 0.35]

[schedule]
kind = "vp-linear"
beta_min = 0.1
beta_max = 20.0

[grid]
kind = "uniform-t"
t_min = 1e-3
t_max = 1.0

[run]
methods = ["li-ddim", "li-accelerated-ode"]
steps = [24, 49, 99]
metrics = ["tv", "kl", "w2", "trajectory"]
init = "exact"
start = "ramp"
points = 1001
seed = 0
"""


# Property tests: a few cases in `make test`, many in `make test-full`, which chooses the profile `full`.
settings.register_profile("dev", max_examples=4, deadline=None)
settings.register_profile("full", max_examples=20, deadline=None)
settings.load_profile("dev")

PEERS = ("diffusers", "k_diffusion", "torchdiffeq", "torchsde")  # samplers of others that tests verify
missing_peers = [name for name in PEERS if find_spec(name) is None]


# The files that take longest, in `make test` or `make test-full`: they go first, and none is left alone at the end.
LONGEST = (
    "test_release.py", "test_notebooks.py", "test_tableau.py", "test_recorded_runs.py", "test_public_situations.py",
    "test_front_door.py", "test_claims.py", "test_orders.py", "test_peers.py", "test_formal.py", "test_techniques.py",
    "test_planted.py", "test_planted_diffusers.py", "test_faulty_records.py", "test_random_studies.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    last = len(LONGEST)
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else last)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--tried", metavar="FILE", help="write there what the tests marked `tried` have tried, with counts"
    )
    parser.addoption(
        "--peers", choices=["required"], help="end the session where a peer is not installed, instead of skipping tests"
    )


def pytest_configure(config: pytest.Config) -> None:
    if missing_peers and config.getoption("--peers") == "required":
        raise pytest.UsageError(f"--peers=required: {', '.join(missing_peers)} not installed; `make test` installs it")
    if config.getoption("--tried") and not hasattr(config, "workerinput"):  # with xdist reports reach the controller
        config.pluginmanager.register(Tried(Path(config.getoption("--tried"))))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each reason why tests were skipped, and one if peers are missing."""
    reasons = Counter(str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", ()))
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{count} skipped: {reason.removeprefix('Skipped: ')}")
    if missing_peers:
        terminalreporter.write_line(f"peers not installed, their tests skipped: {', '.join(missing_peers)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add to the report of a test what it tries, from its mark; a test that draws cases says how many it drew."""
    report: pytest.TestReport = yield
    report.user_properties += [("tried", mark.args[0]) for mark in item.iter_markers("tried")]
    return report


class Tried:
    """Counts tests marked `tried("...")`, their cases and failures, by kind, and writes the counts as JSON."""

    def __init__(self, file: Path) -> None:
        self.file, self.started = file, datetime.now(UTC)
        self.kinds: dict[str, dict[str, int]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and not (report.when == "setup" and report.failed):
            return
        properties: dict[str, Any] = dict(report.user_properties)
        if "tried" in properties and not report.skipped:
            counts = self.kinds.setdefault(properties["tried"], {"tests": 0, "cases": 0, "failed": 0})
            counts["tests"] += 1
            counts["cases"] += properties.get("cases", 1)
            counts["failed"] += report.failed

    def pytest_sessionfinish(self) -> None:
        kinds = [{"tried": kind, **self.kinds[kind]} for kind in sorted(self.kinds)]
        answer = {"kinds": kinds, "manifest": manifest(0, self.started)}
        write_text(self.file, json.dumps(answer, indent=1) + "\n")


@pytest.fixture(scope="session", autouse=True)
def shared_warm_parent() -> Iterator[WarmParent | None]:
    """One warm parent for all targets that a run of the tests verifies; it is started for the first of them.

    It is used as long as the environment stays what it was, so what scikit-learn sets when it is imported is set here.
    """
    os.environ.setdefault("KMP_DUPLICATE_LIB_OK", "True")
    os.environ.setdefault("KMP_INIT_AT_FORK", "FALSE")
    with warm_parent() as warm:
        yield warm


@pytest.fixture
def study_text() -> str:
    """The study file of the design page, with fewer points."""
    return STUDY


@pytest.fixture
def study_file(tmp_path: Path) -> Callable[..., Path]:
    """Write STUDY with replacements (old, new), each of which must apply; returns the file."""

    def write(*changes: tuple[str, str], name: str = "m1.toml") -> Path:
        text = STUDY
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def emitted() -> dict[str, str]:
    """The generated code as theory has it now, by file name; emission takes seconds."""
    from samplerproof.theory.emit.render import render_all

    return render_all()


@pytest.fixture
def samplerproof(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command as a user does, in an empty folder."""

    def command(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from samplerproof.cli.main import run; run()", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return command


@pytest.fixture
def in_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process, in the folder `here`: exit code, standard output and error.

    Without progress: on a slow machine a command that is fast elsewhere writes a line of it.
    """
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.setattr(progress_bar, "EVERY", math.inf)

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr("sys.argv", ["samplerproof", *map(str, arguments)])
        capsys.readouterr()  # what pytest shows of an earlier refusal is no output of this one
        with pytest.raises(SystemExit) as stop:
            run()
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return command
