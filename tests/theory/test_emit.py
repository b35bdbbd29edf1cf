"""The generated code: current, deterministic, and printed by a printer that refuses what it does not know."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sympy as sp
from sympy.codegen.cfunctions import expm1

from samplerproof.theory.emit import __main__ as emit
from samplerproof.theory.emit.__main__ import GENERATED, differences, write
from samplerproof.theory.emit.printer import UnknownExpression, to_torch
from samplerproof.theory.notation import h, r
from samplerproof.theory.phi_functions import phi


@pytest.fixture(autouse=True)
def emitted_once(emitted: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process the code is emitted once."""
    monkeypatch.setattr(emit, "render_all", lambda: emitted)


@pytest.mark.check
def test_committed_code_is_current() -> None:
    assert differences(GENERATED) == []


@pytest.mark.slow
def test_the_command_exits_0_when_current() -> None:
    """Assert that another process, with another order of sets, emits the same text."""
    done = subprocess.run(
        [sys.executable, "-m", "samplerproof.theory.emit", "--check"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_check_shows_a_hand_edit_a_missing_file_and_a_file_too_many(tmp_path: Path) -> None:
    folder = tmp_path / "generated"
    shutil.copytree(GENERATED, folder)
    weights = folder / "weight_functions.py"
    weights.write_text(weights.read_text(encoding="utf-8").replace("2*r1 + 1", "2*r1 + 2"), encoding="utf-8")
    (folder / "frame_functions.py").unlink()
    (folder / "extra.py").write_text("x = 1\n", encoding="utf-8")
    found = "".join(differences(folder))
    assert "-        h*phi1*(2*r1 + 2)/(2*r1)," in found
    assert "+        h*phi1*(2*r1 + 1)/(2*r1)," in found
    assert "fresh/frame_functions.py" in found
    assert "committed/extra.py" in found
    write(folder)
    assert differences(folder) == []
    assert not (folder / "extra.py").exists()


@pytest.mark.parametrize(
    "expression",
    [
        sp.exp(h) - 1,
        1 - sp.exp(-h),
        3 * sp.exp(h) - sp.Rational(1, 2),
        sp.Float(0.5) * h,
        sp.Piecewise((h, h > 0), (0, True)),
        sp.gamma(h),
        sp.Function("unheard_of")(h),
        sp.Min(h, r[0]),
        sp.I * h,
        sp.oo,
    ],
)
def test_the_printer_refuses(expression: sp.Expr) -> None:
    with pytest.raises(UnknownExpression):
        to_torch(expression)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (h * phi(1, -h) / r[0], "h*phi(1, -h)/r1"),
        (expm1(-h), "expm1(-h)"),
        (sp.exp(h) + 1, "exp(h) + 1"),
        (sp.Rational(5, 12) * h, "5*h/12"),
        (sp.sqrt(-expm1(-h)), "sqrt(-expm1(-h))"),
        (sp.Min(1, h), "clamp(h, max=1)"),
        (sp.pi * h / 2, "pi*h/2"),
    ],
)
def test_the_printer_prints(expression: sp.Expr, text: str) -> None:
    assert to_torch(expression) == text
