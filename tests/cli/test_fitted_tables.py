"""Every table on terminals of 60 to 200 columns, and in a pipe: no name and no number is cut."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import sys
import termios
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.table import Column, Table

from samplerproof.cli import fitted_tables, show, show_verdict
from samplerproof.cli.grids_command import kinds
from samplerproof.cli.methods_command import catalogue
from samplerproof.numerics.conformance.report import Finding, Step, Verdict

RECORDS = Path(__file__).resolve().parents[2] / "book" / "records" / "verification"


STEPS = [
    Step(2, 1.3e-3, 1.25e-3, "outputs[1]", -0.40671666, -0.39388094, 1e-7, 1e-16),
    Step(20, 0.6, 0.6, "states[0]", 1.1861085e-12, 1.1837618, 1e-7, 1e-16, ("sde-dpm-solver++-3m-published", "ddim")),
]
WRONG = Verdict("my_module:my_sampler", "different-formula", steps=STEPS, findings=[Finding("formula", 2, "detail")])


def exponent(study: str, method: str) -> dict[str, Any]:
    measured = {"metric": "trajectory", "order": 2, "exponent": 1.9876, "window": [24, 3199], "status": "settled"}
    return {"study": study, "method": method, "local_orders": [1.97, 1.99], **measured}


def proof(name: str) -> dict[str, Any]:
    coefficient = "-r1**2*r2/12 - r1**2/8 - r1*r2/6 - r1/6"
    defects = [{"coefficient": coefficient, "power": 1, "tree": "[[[[]]]]"}]
    orders = dict.fromkeys(("claimed_order", "proved_order", "proved_order_free", "order_asymptotic"), 3)
    return {"name": name, **orders, "proved": True, "leading_defects": defects, "seconds": 12.3456}


LONG = ["dpm-solver++-3m-published", "sde-dpm-solver++-3m-published", "ddim-eta?eta=123456789/1234567891"]


@pytest.fixture(scope="module")
def printers() -> dict[str, Callable[[], None]]:
    """What prints each table, with its data made."""
    verified = [json.loads(path.read_text(encoding="utf-8"))["record"] for path in sorted(RECORDS.glob("*.json"))[:40]]
    records, grids = catalogue(), kinds()
    columns = {key: [8e1 / 7**k for k in range(9)] for key in ("sigma", "alpha", "t")} | {"lambda": [None, *range(8)]}
    points = {"name": "karras", "steps": 8, "schedule": "edm", "findings": [], **columns}
    proofs = [proof(name) for name in ("sa-solver-p2c1-few-steps", "unipc-3-vary-published", "ddim")]
    return {
        "methods": lambda: show.methods(records),
        "grids": lambda: show.grids(grids),
        "levels": lambda: show.levels(points),
        "proofs": lambda: show.proofs(proofs),
        "exponents": lambda: show.exponents([exponent("exponential-adams", name) for name in LONG]),
        "verdict": lambda: show_verdict.verdict(WRONG),
        "verification": lambda: show.verification({"records": verified, "missing": []}),
    }


def on_terminal(columns: int, work: Callable[[], None]) -> str:
    """What the work prints to a terminal of that width, in a process forked for it; escape sequences left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons advise against a fork beside threads
        child, ours = pty.fork()
    if child == 0:
        try:
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
            os.environ.pop("COLUMNS", None)
            os.environ.pop("LINES", None)
            sys.stdout = sys.__stdout__ = os.fdopen(os.dup(1), "w")
            work()
            sys.stdout.flush()
        finally:
            os._exit(0)
    seen = b""
    while True:
        try:
            new = os.read(ours, 65536)
        except OSError:
            break
        if not new:
            break
        seen += new
    os.close(ours)
    os.waitpid(child, 0)
    return re.sub(r"\x1b\[[0-9;]*m", "", seen.decode()).replace("\r\n", "\n")


def tokens(text: str) -> set[str]:
    """The words between spaces and the lines of a table."""
    return set(re.split(r"[\s│┃]+", text))


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Table, tuple[str, ...]]]:
    """The tables that are printed, as they were given."""
    found: list[tuple[Table, tuple[str, ...]]] = []
    real = fitted_tables.print_table

    def noted(table: Table, drop: tuple[str, ...] = ()) -> None:
        found.append((table, drop))
        real(table, drop)

    for module in (show, show_verdict):
        monkeypatch.setattr(module, "print_table", noted)
    return found


@pytest.mark.parametrize("columns", [60, 120, None, *(pytest.param(n, marks=pytest.mark.slow) for n in (80, 200))])
@pytest.mark.parametrize("name", ["methods", "grids", "levels", "proofs", "exponents", "verdict", "verification"])
def test_no_name_and_no_number_is_cut(name, columns, printers, printed, capsys) -> None:  # type: ignore[no-untyped-def]
    """Assert that each word of each cell is whole, that no line is longer than a table may be, and that a column
    which is left out is one that may be, and is named.
    """
    printers[name]()
    lines = capsys.readouterr().out
    (table, drop), *_ = printed
    if columns is not None:
        lines = on_terminal(columns, printers[name])
    assert "…" not in lines
    found = tokens(lines)
    left_out = re.findall(r"^left out at \d+ columns: (.*)$", lines, re.MULTILINE)
    gone = left_out[0].split(", ") if left_out else []
    assert set(gone) <= set(drop)
    assert columns is not None or not gone
    for column in table.columns:
        if column.header not in gone:
            words = {word for cell in column.cells for word in str(cell).split() if word != "-"}
            assert words - found == set(), column.header
    drawn = [line for line in lines.splitlines() if line[:1] in "│┃┏┡└"]
    assert columns is None or all(len(line) <= columns for line in drawn)
    assert columns is not None or not re.search("[│┃┏─]", lines)


def test_piped_columns_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """Assert one line for a row, each column beginning below its head, and text that looks like markup kept."""
    table = Table("name", "value", Column("text", overflow="fold"))
    table.add_row("a[bold]", "1", "two words")
    table.add_row("long-name", "", "[/x]")
    fitted_tables.print_table(table, ("value",))
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["name       value  text", "a[bold]    1      two words", "long-name         [/x]"]


def test_what_fits_nowhere_is_a_block_of_lines() -> None:
    """Assert that a row too wide for its terminal is printed whole, a line for each cell that is not empty."""
    table = Table("name", "value", "note")
    table.add_row("n" * 50, "1.25", "")
    table.add_row("short", "w" * 50, "x")
    shown = on_terminal(60, lambda: fitted_tables.print_table(table, ("note",)))
    assert shown.splitlines() == ["n" * 50, "  value: 1.25", "short", f"  value: {'w' * 50}", "  note: x"]
