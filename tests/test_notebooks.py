"""The chapters run from top to bottom, in a fresh process, without a warning; what they cite and refer to exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "proofs_notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.md"))
BIBLIOGRAPHY = ROOT / "book" / "references.bib"
LABEL = re.compile(r"^\$\$ \(([\w-]+)\)$", flags=re.M)
SECONDS = 60  # of processor time, so that a busy machine does not fail a test
FRONT = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
    format_version: 0.13
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
"""

# For every line of standard input a child runs the cells of a notebook in one namespace and leaves what it printed.
# What the cells import is imported before the fork, once for all notebooks; what fails there fails again in its cell.
# Each cell is moved down to where it stands in its file, so that line numbers are the file's.
SERVER = """
import ast, contextlib, importlib, json, os, resource, sys, time, traceback

def run(file, cells):
    namespace = {"__name__": "__main__"}
    for cell in cells:
        try:
            exec(compile("\\n" * (cell["line"] - 1) + cell["source"], file, "exec"), namespace)
        except BaseException as fault:
            lines = [frame.lineno for frame in traceback.extract_tb(fault.__traceback__) if frame.filename == file]
            line = lines[-1] if lines else getattr(fault, "lineno", None) or cell["line"]
            traceback.print_exc()
            print(f"{file}, cell {cell['number']}, line {line}: {type(fault).__name__}: {fault}", file=sys.stderr)
            return 1
    print(f"\\nseconds {time.process_time():.1f}")
    return 0

for asked in map(json.loads, sys.stdin):
    for cell in asked["cells"]:
        with contextlib.suppress(SyntaxError, ImportError, Warning):
            for node in ast.parse(cell["source"]).body:
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                for name in [node.module] if isinstance(node, ast.ImportFrom) else names:
                    importlib.import_module(name)
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (asked["seconds"], resource.RLIM_INFINITY))
        os.chdir(asked["folder"])
        for number, file in enumerate(asked["printed"], start=1):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
        code = run(asked["file"], asked["cells"])
        sys.stdout.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Cell:
    """A code cell: its number in the file, counted from 1, the line of its first line of code, and the code."""

    number: int
    line: int
    source: str


def cells(text: str) -> list[Cell]:
    """The code cells of a MyST notebook, without the options at their top: `:option:` lines, or YAML between two lines
    of dashes.  ValueError: a cell does not end."""
    found: list[Cell] = []
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        opening = re.match(r"(`{3,})\{code-cell\}", line)
        if not opening:
            continue
        body: list[tuple[int, str]] = []
        for inside in lines:
            if inside[1].rstrip() == opening[1]:
                break
            body.append(inside)
        else:
            raise ValueError(f"line {number}: a code cell that does not end")
        while body and re.match(r":[\w-]+:", body[0][1]):
            body.pop(0)
        if body and body[0][1] == "---":
            end = next(k for k, (_, inside) in enumerate(body) if k and inside == "---")
            body = body[end + 1 :]
        first = body[0][0] if body else number
        found.append(Cell(len(found) + 1, first, "\n".join(code for _, code in body) + "\n"))
    return found


class Done(NamedTuple):
    code: int
    out: str
    err: str


Execute = Callable[[Path, Path], Done]


@pytest.fixture(scope="module")
def execute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Execute]:
    """Run all cells of a notebook in a process of its own, in an empty folder, warnings being errors."""
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", "-c", SERVER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT.parent, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None

        def done(path: Path, folder: Path) -> Done:
            printed = [tmp_path_factory.mktemp("printed") / name for name in ("out", "err")]
            found = [asdict(cell) for cell in cells(path.read_text(encoding="utf-8"))]
            asked = {"file": path.name, "folder": str(folder), "printed": list(map(str, printed)), "cells": found}
            print(json.dumps(asked | {"seconds": 3 * SECONDS}), file=server.stdin, flush=True)
            code = int(server.stdout.readline())
            return Done(code, *(file.read_text(encoding="utf-8") for file in printed))

        yield done


def broken(text: str) -> list[str]:
    """What a reader would stumble over: cited keys, equations, files and sections that are not there."""
    keys = set(re.findall(r"@\w+\{(\w+),", BIBLIOGRAPHY.read_text(encoding="utf-8")))
    cited = {key.strip() for group in re.findall(r"\{cite[:\w]*\}`([^`]*)`", text) for key in group.split(",")}
    labels = LABEL.findall(text)
    referred = set(re.findall(r"\{eq\}`([^`]*)`", text))
    # Links to other pages of the book, "../page.md", are checked where these are laid out: tests/cli/test_book.py.
    linked = {target for target in re.findall(r"\]\(([\w-][\w./-]*\.md)\)", text) if not (FOLDER / target).exists()}
    linked |= set(re.findall(r"\]\(#([\w-]+)\)", text)) - set(re.findall(r"^\(([\w-]+)\)=$", text, flags=re.M))
    repeated = {label for label in labels if labels.count(label) > 1}
    return sorted({*(cited - keys), *(referred - set(labels)), *(set(labels) - referred), *linked, *repeated})


def without_words(text: str) -> list[int]:
    """The lines of code cells that draw and do not say, for who cannot see it, what is to be seen."""
    opened = [(m.start(), m[0]) for m in re.finditer(r"^```\{code-cell\}.*?^```$", text, flags=re.M | re.S)]
    wordless = [start for start, cell in opened if "plt.subplots(" in cell and not re.search(r"^    alt: ", cell, re.M)]
    return [text.count("\n", 0, start) + 1 for start in wordless]


def test_there_are_chapters() -> None:
    assert len(NOTEBOOKS) >= 9


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_chapter_runs(path: Path, tmp_path: Path, execute: Execute) -> None:
    """Every cell runs, nothing is written, and the whole takes less than a minute."""
    done = execute(path, tmp_path)
    assert done.code == 0, done.err
    assert float(done.out.splitlines()[-1].removeprefix("seconds ")) < SECONDS
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_chapter_is_whole(path: Path) -> None:
    """Front matter with a kernel, one title, citations and references that resolve, lines of at most 120, and words
    for every picture."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith(FRONT)
    prose = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.M | re.S)
    assert len(re.findall(r"^# ", prose, flags=re.M)) == 1
    assert "## What to remember" in prose
    assert broken(text) == []
    assert without_words(text) == []
    assert [line for line in text.splitlines() if len(line) > 120] == []


def test_no_two_chapters_share_a_label() -> None:
    """Equations are numbered through the whole book."""
    labels = [label for path in NOTEBOOKS for label in LABEL.findall(path.read_text(encoding="utf-8"))]
    assert sorted(set(labels)) == sorted(labels)


def test_no_output_is_stored() -> None:
    """Assert that there is text only: no .ipynb, no picture, nothing encoded."""
    assert {path.suffix for path in FOLDER.iterdir() if path.name != "__pycache__"} == {".md"}
    for path in NOTEBOOKS:
        assert "base64" not in path.read_text(encoding="utf-8")


def notebook(folder: Path, *sources: str) -> Path:
    path = folder / "planted.md"
    body = "\n".join(f"Text.\n\n```{{code-cell}} ipython3\n{source}\n```\n" for source in sources)
    path.write_text(f"{FRONT}\n# Planted\n\n{body}", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("b = a\nassert b == 2", "AssertionError"),
        ("b = a +", "SyntaxError"),
        ("import warnings\nwarnings.warn('careful')", "UserWarning"),
        ("def f():\n    return missing\n\nf()", "NameError"),
    ],
)
def test_a_broken_cell_is_reported_with_its_place(tmp_path: Path, execute: Execute, bad: str, says: str) -> None:
    path = notebook(tmp_path, ":tags: [x]\na = 1", bad, "c = 3")
    lines = path.read_text(encoding="utf-8").splitlines()
    guilty = {"AssertionError": "assert b == 2", "SyntaxError": "b = a +", "NameError": "    return missing"}
    line = lines.index(guilty.get(says, "warnings.warn('careful')")) + 1
    done = execute(path, tmp_path)
    assert done.code == 1
    assert f"planted.md, cell 2, line {line}: {says}" in done.err.splitlines()[-1]


def test_a_cell_that_does_not_end_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2"):
        cells("text\n```{code-cell} ipython3\na = 1\n")


def test_the_options_of_a_cell_are_no_code() -> None:
    """Assert that lines are still those of the file, and that a picture without words is found."""
    drawing = "figure, axes = plt.subplots()\n```\n"
    worded = f"```{{code-cell}} ipython3\n---\nmystnb:\n  image:\n    alt: lines\n---\n{drawing}"
    plain = f"```{{code-cell}} ipython3\n:tags: [x]\n\n{drawing}"
    assert [(cell.line, cell.source.strip()) for cell in cells("\n" + worded + plain)] == [
        (8, "figure, axes = plt.subplots()"),
        (12, "figure, axes = plt.subplots()"),
    ]
    assert without_words("\n" + worded + plain) == [10]


def test_planted_references_are_found() -> None:
    text = "{cite}`song2021ddim, nobody1999` {eq}`there` {eq}`nowhere` [x](nofile.md)\n$$\na\n$$ (there)\n"
    text += "[y](#here) [z](#nosection)\n\n(here)=\n## Here\n"
    assert broken(text) == ["nobody1999", "nofile.md", "nosection", "nowhere"]
