"""Fingerprints of the code that values come from: what changes them, and what does not."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from samplerproof.book.studies import STUDIES
from samplerproof.numerics.support import manifest
from samplerproof.numerics.support.manifest import CONFORMANCE, NO_VALUES, SOURCES, fingerprint
from samplerproof.numerics.support.sampler_code import code

METHOD = ("ddim",)


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package in which files may be changed, where fingerprints are taken from."""
    for folder in (SOURCES, STUDIES.parent):
        leave = shutil.ignore_patterns("__pycache__", "kept", "vendor", "records")
        shutil.copytree(folder, tmp_path / folder.name, ignore=leave)
    copy = tmp_path / SOURCES.name
    monkeypatch.setattr(manifest, "SOURCES", copy)
    monkeypatch.setattr(manifest, "NO_VALUES", tuple(copy / path.relative_to(SOURCES) for path in NO_VALUES))
    clear()
    yield copy
    clear()


def clear() -> None:
    fingerprint.cache_clear()
    manifest._code.cache_clear()


def changed(file: Path, text: str, methods: tuple[str, ...] = METHOD, others: tuple[Path, ...] = ()) -> bool:
    """Whether text at the end of a file changes the fingerprint."""
    before, content = fingerprint(methods, others), file.read_text(encoding="utf-8")
    file.write_text(content + text, encoding="utf-8")
    clear()
    after = fingerprint(methods, others)
    file.write_text(content, encoding="utf-8")
    clear()
    return before != after


@pytest.mark.parametrize(
    "file",
    [
        *("grids.py", "coefficients.py", "sample.py", "metrics.py", "phi.py", "laws/density.py", "targets/flow.py"),
        *("leading/leading_error.py", "studies/run.py", "studies/measure.py", "checkpoints/own_networks.py"),
        *("generated/frame_functions.py", "generated/schedule_functions.py"),
    ],
)
def test_a_line_of_code_that_values_come_from_counts_and_a_comment_does_not(sources: Path, file: str) -> None:
    """Assert both, for a module of every part of the engine."""
    assert changed(sources / file, "\nX = 1\n")
    assert not changed(sources / file, "\n\n# A comment.\n")


def test_a_docstring_does_not_count(sources: Path) -> None:
    """Assert that another first line of a module leaves its fingerprint alone."""
    file, before = sources / "grids.py", fingerprint(METHOD)
    text = file.read_text(encoding="utf-8")
    assert text.startswith('"""')
    file.write_text('"""Another.' + text[3:], encoding="utf-8")
    clear()
    assert fingerprint(METHOD) == before


@pytest.mark.parametrize("path", NO_VALUES, ids=lambda path: path.name)
def test_what_gives_no_value_exists_and_does_not_count(sources: Path, path: Path) -> None:
    """Assert that every file or folder that is left out is there under its name, and really left out."""
    assert path.exists()
    file = sources / path.relative_to(SOURCES)
    assert not changed(file if file.is_file() else file / "__init__.py", "\nX = 1\n")


def test_the_engine_uses_nothing_that_is_left_out() -> None:
    """Assert that modules which count import the verifier and the training only where a value is keyed by its result.

    A value on an external sampler or grid is stored under the table or the points that were read. A study starts the
    process that its external samplers share.
    """
    found = {
        file.relative_to(SOURCES).as_posix()
        for file in SOURCES.rglob("*.py")
        if not any(map(file.is_relative_to, NO_VALUES))
        and re.search(r"^\s*from \.+(conformance|training)\b", file.read_text(encoding="utf-8"), flags=re.M)
    }
    assert found <= {
        "testing.py",
        "grid_kinds/read_back_levels.py",
        "studies/from_tables.py",
        "studies/likeness.py",
        "studies/named_samplers.py",
        "studies/read_function.py",
        "studies/run.py",
    }


def test_other_folders_count_where_they_are_given(sources: Path) -> None:
    """Assert that a standard study, or the verifier, counts for what is kept of it, and for nothing else."""
    studies, verifier = sources.parent / "book" / "studies", sources / CONFORMANCE.name
    for folder in (studies, verifier):
        file = next(path for path in sorted(folder.rglob("*.py")) if path.name != "__init__.py")
        assert changed(file, "\nX = 1\n", others=(folder,))
        assert not changed(file, "\n# X\n", others=(folder,))
        assert not changed(file, "\nX = 1\n")


def test_each_sampler_counts_where_it_is_used() -> None:
    """Assert that fingerprints differ by the samplers named, and that the default names them all."""
    found = {
        fingerprint(methods) for methods in ((), ("ddim",), ("ddpm",), ("bdia-ddim",), ("bdia-ddim?gamma=1",), None)
    }
    assert len(found) == 6


def test_kept_results_do_not_make_a_commit_dirty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that a renewed result leaves `dirty` false, and that a changed source sets it."""
    source, kept = tmp_path / "numerics" / "__init__.py", tmp_path / "book" / "records" / "methods" / "ddim.json"
    for file in (source, kept):
        file.parent.mkdir(parents=True)
        file.write_text("1\n", encoding="utf-8")
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    monkeypatch.setattr(manifest, "SOURCES", source.parent)
    kept.write_text("2\n", encoding="utf-8")
    assert manifest.source()["dirty"] is False
    source.write_text("2\n", encoding="utf-8")
    assert manifest.source()["dirty"] is True


def test_one_thread_parses_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert it of eight threads: the parser of CPython 3.11 fails, now and then, where two of them use it together."""
    parse, inside, most = ast.parse, [0], [0]

    def watched(*arguments: Any, **options: Any) -> ast.AST:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.002)
        inside[0] -= 1
        return parse(*arguments, **options)

    monkeypatch.setattr(ast, "parse", watched)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(code, [f"x = {n}" for n in range(40)]))
    monkeypatch.undo()
    assert found == [f"x = {n}" for n in range(40)]
    assert most == [1]
