"""The reproducers of discrepancies: short, of torch and one library alone, and they show what the page states."""

from __future__ import annotations

import ast
import contextlib
import io
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[2] / "book" / "reproducers").glob("*.txt"))
SHOWN = {
    "last_step": "the sample is nan",
    "linspace_steps": "times -0.636623; DDIM's step there has -0.684360",
    "repeated_level": "changes the sample by 0.0e+00",
    "second_difference": "integrates t^2 to 0.004973; it is 0.009946",
    "third_order_sde": "h = 0.0168: the weight of the oldest output is -0.0843",
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_reproducer_is_short_and_of_one_library(file: Path) -> None:
    """Assert that it has at most fifteen lines, and imports torch and one library."""
    text = file.read_text(encoding="utf-8")
    assert len([line for line in text.splitlines() if line.strip()]) <= 15
    found = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in found}
    assert names == {"torch", "diffusers"}


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_reproducer_shows_it(file: Path) -> None:
    """Assert what it prints with the library that is installed."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(file.read_text(encoding="utf-8"), file.name, "exec"), {})
    assert SHOWN[file.stem] in out.getvalue()
