"""What `make test` runs: a record of every shape, each new sampler, and the tests of all peers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import shapes
from shapes import by_shape, first_of_each, shape

from samplerproof.numerics.catalogue import METHODS

ROOT = Path(__file__).resolve().parents[1]


def quick(cases: list[object]) -> list[str]:
    return [case.id for case in cases if not case.marks]  # type: ignore[attr-defined]


def test_every_sampler_is_a_case_and_every_shape_and_frame_a_quick_one() -> None:
    """Assert that the rest, and it alone, is left to `make test-full`."""
    cases = by_shape(METHODS)
    assert [case.id for case in cases] == list(METHODS)
    assert {shape(name) for name in quick(cases)} == {shape(name) for name in METHODS}
    assert {METHODS[name].frame for name in quick(cases)} == {record.frame for record in METHODS.values()}
    assert {mark.name for case in cases for mark in case.marks} == {"slow"}


def test_a_new_sampler_is_tested_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert it of one without kept results, and not of the same one with them."""
    monkeypatch.setattr(shapes, "KEPT", {*METHODS})
    assert "ipndm-3" not in quick(by_shape(METHODS))
    monkeypatch.setattr(shapes, "KEPT", {*METHODS} - {"ipndm-3"})
    assert "ipndm-3" in quick(by_shape(METHODS))


def test_the_first_case_of_each_sort_is_a_quick_one() -> None:
    cases = first_of_each(["ab", "ac", "b"], lambda case: case[0], str)
    assert quick(cases) == ["ab", "b"]


def test_a_missing_peer_ends_the_session() -> None:
    """Assert one line that names it, where peers are required; 4 is pytest's code for wrong usage. `make test` requires
    them: with all of them it goes on.
    """
    missing = "torchsde"
    program = (
        "import importlib.util as util, sys, pytest; real = util.find_spec\n"
        f"util.find_spec = lambda name, *rest: None if name == {missing!r} else real(name, *rest)\n"
        "sys.exit(pytest.main(['--peers=required', '--collect-only', '-p', 'no:cacheprovider', 'tests/test_words.py']))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 4, done.stdout + done.stderr
    assert f"--peers=required: {missing} not installed" in done.stderr
