"""The mutants of `make mutants`: what an operator changes, what is drawn, and a small run from end to end."""

from __future__ import annotations

import dis
import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import CodeType

import pytest
from mutants import ROOT, drawn, files, imports, lines_of_functions, mutants_of
from tests_of_lines import Coverage

CODE = '''"""Text."""
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    LIMIT = 1 + 2
def f(x: "int | None" = None, n: int = 3) -> "int | None":
    """Text 1."""
    if x < 2 and not n:
        return -x * 2.0
    x += 1
    return f"{x + 1}" if True else x is None
'''
CHANGED = {
    ("constant", "3", "4"),
    ("condition", "x < 2 and (not n)", "not (x < 2 and (not n))"),
    ("operator", "x < 2 and (not n)", "x < 2 or not n"),
    ("comparison", "x < 2", "x <= 2"),
    ("constant", "2", "3"),
    ("sign", "not n", "n"),
    ("return", "return -x * 2.0", "return None"),
    ("operator", "-x * 2.0", "-x / 2.0"),
    ("sign", "-x", "x"),
    ("constant", "2.0", "4.0"),
    ("operator", "x += 1", "x -= 1"),
    ("constant", "1", "2"),
    ("return", "return f'{x + 1}' if True else x is None", "return None"),
    ("condition", "True", "not True"),
    ("constant", "True", "False"),
    ("comparison", "x is None", "x is not None"),
}


def shown_code(code: CodeType) -> str:
    """Return the instructions of a code and of the codes in it as text, without their places in memory."""
    inner = [shown_code(one) for one in code.co_consts if isinstance(one, CodeType)]
    own = [
        f"{one.opname} {one.arg} {'' if isinstance(one.argval, CodeType) else one.argval}"
        for one in dis.get_instructions(code)
    ]
    return "\n".join([*own, *inner])


def test_operators_change_what_runs_and_nothing_else(tmp_path: Path) -> None:
    """Assert every mutant of a module: none of a docstring, an annotation, a text or a block for type checkers."""
    path = tmp_path / "module.py"
    path.write_text(CODE, encoding="utf-8")
    mutants = mutants_of(str(path))
    shown = [mutant.shown() for mutant in mutants]
    assert {(one["operator"], one["before"], one["after"]) for one in shown} == CHANGED
    assert len(mutants) == len(CHANGED)
    lines = CODE.splitlines()
    assert all(one["before"][:1] in lines[one["line"] - 1] for one in shown)
    codes = {shown_code(mutant.code()) for mutant in mutants}
    assert shown_code(compile(CODE, str(path), "exec")) not in codes
    assert len(codes) == len(mutants) - 1  # `not True` and `False` are one code


def test_what_is_drawn_depends_on_the_seed_alone() -> None:
    """Assert the numbers of both sorts, that no mutant is drawn twice, and the same ones for the same seed."""
    some = "numerics/g"  # generated code, kinds of grid, given levels
    first = drawn(30, 10, 0, some)
    assert Counter(mutant.generated for mutant in first) == {False: 30, True: 10}
    assert len(set(first)) == 40
    assert first == drawn(30, 10, 0, some)
    assert first != drawn(30, 10, 1, some)
    assert {mutant.file for mutant in drawn(5, 5, 0, only="theory/trees.py")} == {"theory/trees.py"}
    assert len(files()) > 300


def test_a_planted_mutant_is_what_a_process_imports() -> None:
    """Assert that a process with a mutant computes another value, by the file's name and without writing to it."""
    program = (
        "import sys; sys.path.insert(0, 'tests/support'); from mutants import mutants_of\n"
        "from samplerproof.names import input_error\n"
        "(mutant,) = [m for m in mutants_of('names/lookup.py') if m.shown()['before'] == '200']\n"
        "mutant.plant()\n"
        "from samplerproof.names import lookup\n"
        "print(lookup.LONGEST, lookup.__file__)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    value, file = done.stdout.split()
    assert value == "201"
    assert Path(file) == ROOT / "names" / "lookup.py"


@pytest.mark.slow
def test_a_mutant_is_stopped_by_the_processor_and_not_by_the_clock(tmp_path: Path) -> None:
    """Assert that a test without end is stopped after its seconds, and one that waits as long is not."""
    (tmp_path / "test_endless.py").write_text("def test_endless():\n    while True:\n        pass\n", encoding="utf-8")
    (tmp_path / "test_waits.py").write_text("import time\ndef test_waits():\n    time.sleep(4)\n", encoding="utf-8")
    program = (
        "import os, sys; from pathlib import Path\n"
        "sys.path.insert(0, 'tests/mutations'); from run_mutants import forked\n"
        "for name in ('endless', 'waits'):\n"
        f"    child = forked(None, [f'{tmp_path}/test_{{name}}.py'], Path('{tmp_path}/log'), 3.0)\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(-signal.SIGXCPU), "0"]


def coverage_of(lines: dict[str, dict[int, set[str]]], seconds: dict[str, float]) -> Coverage:
    """What a run with these lines and seconds of tests leaves."""
    coverage = Coverage.__new__(Coverage)
    coverage.lines, coverage.seconds, coverage.users = lines, seconds, {}  # type: ignore[assignment]
    for module, user, line, in_function in imports():
        coverage.users.setdefault(module, []).append((user, line, in_function))
    return coverage


def test_tests_of_a_mutant_run_by_their_cost() -> None:
    """Assert the order of the tests of a line, the file named after the module and then the cheapest file and test; and
    that those of the last seconds are left out.
    """
    mutant = next(one for one in mutants_of("numerics/rates.py") if not one.statement()[1])
    names = ["a/test_long.py::x", "a/test_short.py::x", "a/test_short.py::y", "a/test_rates.py::x"]
    lines = {mutant.file: {mutant.line: {"", *names}}}
    coverage = coverage_of(lines, dict(zip(names, (9.0, 2.0, 1.0, 90.0), strict=True)))
    assert coverage.tests(mutant) == [names[3], names[2], names[1], names[0]]
    assert coverage.cost(coverage.tests(mutant)) == 102.0
    coverage.seconds[names[3]] = 140.0
    assert coverage.tests(mutant) == [names[3], names[2], names[1]]
    coverage.seconds[names[3]] = 900.0
    assert coverage.tests(mutant) == [names[3]]


def test_a_statement_of_many_lines_is_run_by_the_tests_of_any() -> None:
    """Assert that a mutant on a line which the tracer does not see has the tests of its statement, and a condition not
    those of its block.
    """
    mutants = mutants_of("numerics/generated/weight_functions.py")
    mutant = next(one for one in mutants if one.line > one.statement()[0][0] and not one.statement()[1])
    first = mutant.statement()[0][0]
    assert coverage_of({mutant.file: {first: {"a/test_x.py::x"}}}, {}).tests(mutant) == ["a/test_x.py::x"]
    condition = next(one for one in mutants_of("theory/phi_functions.py") if one.operator == "condition")
    assert len(condition.statement()[0]) == 1


def test_what_runs_on_import_is_judged_by_the_tests_of_who_uses_it() -> None:
    """Assert the tests of the module's functions; without any those of a module that imports it, whichever came first.

    The catalogue imports the records when it is imported itself, and has functions.
    """
    (mutant, *_) = mutants_of("numerics/generated/catalogue_records.py")
    assert mutant.statement()[1]
    first, user = "a/test_first.py::x", "a/test_user.py::x"
    line = min(lines_of_functions("numerics/catalogue.py"))
    lines = {mutant.file: {mutant.line: {first}}, "numerics/catalogue.py": {1: {first}, line: {user}}}
    assert coverage_of(lines, {}).tests(mutant) == [user]


@pytest.mark.slow
def test_a_small_run_kills_goes_on_and_lists_what_survives(tmp_path: Path) -> None:
    """Assert outcomes of six mutants of one module, that a second run decides nothing again, and the record."""
    record = tmp_path / "mutants.json"
    options = ("--by-hand", "6", "--only", "theory/phi_functions.py", "--kept", tmp_path / "kept", "--record", record)
    command = [sys.executable, "tests/mutations/run_mutants.py", *options, "tests/theory/test_phi.py"]
    first = subprocess.run([*map(str, command), "--jobs", "1"], cwd=ROOT, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    content = json.loads(record.read_text(encoding="utf-8"))
    assert (content["mutants"], content["generated"]) == (6, 0)
    assert sum(content["outcomes"].values()) == 6
    assert content["killed"] >= 3
    assert len(content["survivors"]) == 6 - content["killed"]
    killed = [one for one in content["all"] if one["outcome"] == "killed"]
    assert all(one["by"].startswith("tests/") for one in killed)
    (decided,) = (tmp_path / "kept").glob("*/decided.jsonl")
    lines = decided.read_text(encoding="utf-8").splitlines(keepends=True)
    decided.write_text("".join(lines[:-2]), encoding="utf-8")  # as if it had been interrupted
    again = subprocess.run([*map(str, command), "--jobs", "2"], cwd=ROOT, capture_output=True, text=True)
    assert again.stderr.count(" of 2\n") == 2
    later = json.loads(record.read_text(encoding="utf-8"))
    assert [one["outcome"] for one in later["all"]] == [one["outcome"] for one in content["all"]]
