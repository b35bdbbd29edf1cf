"""The commands as a user types them, in a process of their own."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pytest

from samplerproof.cli.main import app

Command = Callable[..., "subprocess.CompletedProcess[str]"]
LESS = ('metrics = ["tv", "kl", "w2", "trajectory"]', 'metrics = ["tv"]')  # a figure for each is most of the time


def strictly(text: str) -> object:
    """Parse JSON, refusing the NaN and Infinity that Python would let pass."""

    def refuse(word: str) -> object:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.check
def test_study_answers_json_and_writes_the_same(
    samplerproof: Command, study_file: Callable[..., Path], tmp_path: Path
) -> None:
    """Assert the promised keys, JSON alone on standard output, silence on standard error, files in results/<stem>."""
    done = samplerproof("study", study_file(LESS), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = strictly(done.stdout)
    assert isinstance(answer, dict)
    assert set(answer) == {"records", "fits", "external", "grids", "manifest"}
    assert all({"method", "steps", "nfe", "metric", "value"} <= set(record) for record in answer["records"])
    assert all({"method", "metric", "exponent", "stderr", "window"} <= set(fit) for fit in answer["fits"])
    assert len(answer["records"]) == 6
    assert len(answer["fits"]) == 2
    assert strictly((tmp_path / "results" / "m1" / "records.json").read_text()) == answer


def test_study_for_a_person_shows_exponents_and_folder(
    in_process: Callable[..., tuple[int, str, str]], study_file: Callable[..., Path], tmp_path: Path
) -> None:
    """Assert a table, no escape codes in a pipe, and that --out is obeyed."""
    out = tmp_path / "elsewhere" / "deep"
    code, shown, err = in_process("study", study_file(LESS), "--out", out)
    assert (code, err) == (0, "")
    assert "li-accelerated-ode" in shown
    assert "6 records computed, 0 reused" in shown
    assert str(out) in shown
    assert "\x1b" not in shown
    assert (out / "exponents.csv").exists()
    assert not (tmp_path / "here" / "results").exists()


def test_bad_input_is_one_line_without_traceback(
    in_process: Callable[..., tuple[int, str, str]], study_file: Callable[..., Path]
) -> None:
    """Assert exit code 2 and an empty standard output."""
    line = "samplerproof: run.steps[0]: got 0; must be greater than or equal to 1\n"
    assert in_process("study", study_file(("[24,", "[0,")), "--json") == (2, "", line)


@pytest.mark.check
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such"], "No such command 'no-such'"),
        (["study"], "Missing argument 'file'"),
        (["study", "--no-such"], "No such option: --no-such"),
        (["derive", "ddim", "--format", "x"], "Invalid value for '--format'"),
    ],
)
def test_wrong_usage_exits_with_2(samplerproof: Command, arguments: list[str], said: str) -> None:
    """Assert one line on standard error, as of any bad input, which names what was typed and the help to ask for."""
    done = samplerproof(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("samplerproof: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    asked = [] if said.startswith("No such command") else arguments[:1]
    assert done.stderr.endswith(f"; see {' '.join(['samplerproof', *asked, '--help'])}\n")


def test_there_are_at_most_twelve_commands() -> None:
    """Assert that whoever adds a thirteenth command merges two first, and that the contract's are there."""
    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert not app.registered_groups
    assert len(names) == len(app.registered_commands) <= 12
    assert names >= {"reproduce", "methods", "derive", "prove", "study", "verify", "cite", "train"}


@pytest.mark.check
def test_methods_answers_the_promised_keys(samplerproof: Command) -> None:
    """Assert the keys of the catalogue, in order, and what they hold for DDIM."""
    records = strictly(samplerproof("methods", "--json").stdout)
    assert isinstance(records, list)
    keys = [
        "name",
        "aliases",
        "family",
        "kind",
        "frame",
        "order",
        "order_asymptotic",
        "stochastic",
        "law_order",
        "gaussian_order",
        "nfe_per_step",
        "stability",
        "cite",
        "parameters",
        "start",
        "last_step",
        "since",
        "libraries",
    ]
    assert all(list(record) == keys for record in records)
    by_name = {record["name"]: record for record in records}
    assert len(by_name) == len(records)
    assert "edm-euler" in by_name["ddim"]["aliases"]
    assert by_name["ddim"]["order"] == 1
    noisy = by_name["li-accelerated-sde"]
    assert (noisy["stochastic"], noisy["order"], noisy["law_order"], noisy["gaussian_order"]) == (True, 1, None, 2)
    assert (by_name["exp-adams-4"]["order"], by_name["exp-adams-4"]["order_asymptotic"]) == (4, 2)
    assert by_name["li-accelerated-ode"]["stochastic"] is False
    assert by_name["bdia-ddim"]["parameters"] == [{"name": "gamma", "default": "1/2", "low": "0", "high": "1"}]
    assert by_name["lambda-ddim"]["parameters"][0]["high"] is None
    assert (by_name["pndm"]["start"], by_name["ddim"]["start"]) == ("pndm-start", None)
    assert [by_name[n]["last_step"] for n in ("unipc-2", "ddim")] == ["predicted, not corrected", "as every other"]
    assert (by_name["ddim"]["stability"], by_name["exp-adams-4"]["stability"]) == (2.0, 0.3)


def test_methods_for_a_person_cuts_no_cell_in_a_pipe(samplerproof: Command) -> None:
    """Assert that every name and alias is there to be found with grep."""
    shown = samplerproof("methods").stdout
    for record in json.loads(samplerproof("methods", "--json").stdout):
        for name in (record["name"], *record["aliases"], record["cite"]):
            assert name in shown


@pytest.mark.parametrize("format", ["latex", "torch", "json"])
def test_derive_answers_in_three_formats(in_process: Callable[..., tuple[int, str, str]], format: str) -> None:
    """Assert an answer for a name and the same for its alias, and that the JSON is JSON."""
    code, out, err = in_process("derive", "ddim", "--format", format)
    assert (code, err) == (0, "")
    assert out.strip()
    assert in_process("derive", "edm-euler", "--format", format) == (0, out, "")
    if format == "json":
        assert strictly(out)


def test_derive_names_the_nearest_methods(samplerproof: Command) -> None:
    """Assert one line for a name that is not known."""
    done = samplerproof("derive", "dpm-solver+-2m")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "dpm-solver++-2m" in done.stderr


def test_version(samplerproof: Command) -> None:
    """Assert the version of the package."""
    assert samplerproof("--version").stdout == f"samplerproof {version('samplerproof')}\n"


LONG = ("steps = [24, 49, 99]", "steps = [100, 200, 400, 50000]")
PROGRAM = "from samplerproof.cli.main import run; run()"


def kept_in(store: Path) -> int:
    """The number of records in a store, 0 if it does not exist."""
    if not store.exists():
        return 0
    with closing(sqlite3.connect(store)) as connection:
        try:
            return int(connection.execute("SELECT COUNT(*) FROM records").fetchone()[0])
        except sqlite3.OperationalError:  # without a table, or locked
            return 0


def test_interrupting_is_clean_and_keeps_what_is_finished(study_file: Callable[..., Path], tmp_path: Path) -> None:
    """Assert that Ctrl-C ends a study with 130, without a traceback and without half a file."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "study", str(study_file(LONG)), "--out", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts what runs in the background with interrupts ignored, and children inherit that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    store = tmp_path / "out" / "records.sqlite"
    deadline = time.monotonic() + 60
    while kept_in(store) == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert out == ""
    done, total, folder = re.fullmatch(
        r"samplerproof: interrupted; (\d+) of (\d+) runs are kept in (.*)/; run again to go on\n", err
    ).groups()  # type: ignore[union-attr]
    assert (int(total), folder) == (8, str(tmp_path / "out"))
    assert 0 < int(done) < 8
    assert int(done) <= kept_in(store)  # of one metric
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {"records.sqlite", "records.sqlite-journal"}


def test_progress_is_drawn_on_a_terminal(study_file: Callable[..., Path], tmp_path: Path) -> None:
    """Assert that a person sees a bar on standard error, and what runs for a while, and standard output stays JSON."""
    long = ("steps = [24, 49, 99]", "steps = [24, 49, 1999]")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "study", str(study_file(LESS, long)), "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
        text=True,
    )
    os.close(theirs)
    drawn = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            drawn += os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    assert isinstance(strictly(out), dict)
    assert "6/6" in drawn.decode()
    assert "li-ddim and 1 more, N = 1999" in drawn.decode()
