"""`train`, and studies of networks, as they are typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from samplerproof.numerics.training import recipes

Command = Callable[..., tuple[int, str, str]]

STUDY = """
[target]
checkpoint = "CHECKPOINT"

[schedule]
kind = "edm"

[grid]
kind = "karras"
sigma_min = 0.1
sigma_max = 4.0
rho = 7.0

[run]
methods = ["ddim"]
steps = [4, 8, 16]
metrics = ["trajectory"]
points = 4
"""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rings that are trained in no time."""
    brief = replace(recipes.RECIPES["rings"], widths=(8, 8), embedding=8, steps=100, batch=32)
    monkeypatch.setitem(recipes.RECIPES, "rings", brief)


@pytest.mark.slow  # a network that has learned more than the size of its data takes ten seconds
def test_what_was_trained_can_be_studied(monkeypatch: pytest.MonkeyPatch, in_process: Command, tmp_path: Path) -> None:
    """Assert that `train` writes a folder and says what it learned, and that `study` takes the folder."""
    brief = replace(recipes.RECIPES["rings"], widths=(64, 64, 64), steps=3000, batch=256, rate=5e-3)
    monkeypatch.setitem(recipes.RECIPES, "rings", brief)
    code, out, err = in_process("train", "rings", "--out", "net")
    assert (code, err) == (0, "")
    assert "of the trivial predictor" in out
    assert "written to net/" in out
    file = tmp_path / "net.toml"
    file.write_text(STUDY.replace("CHECKPOINT", "net"), encoding="utf-8")
    code, out, err = in_process("study", file, "--json", "--out", "answer")
    assert (code, err) == (0, "")
    answer = json.loads(out, parse_constant=pytest.fail)
    assert [r["steps"] for r in answer["records"]] == [4, 8, 16]
    assert answer["manifest"]["checkpoint"]["folder"] == "net"
    assert answer["manifest"]["device"] == "cpu"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ringz"], "NAME: got 'ringz'; not a checkpoint of ours; nearest: rings"),
        (["rings", "--device", "gpu"], "--device: got 'gpu'; a device of this machine: "),
        (["rings", "--out", "/dev/null/net"], "--out: got '/dev/null/net'; a folder that can be written"),
    ],
)
def test_train_refuses_in_one_line(arguments: list[str], said: str, in_process: Command, tmp_path: Path) -> None:
    """Assert one line on standard error, exit code 2, and no file."""
    code, out, err = in_process("train", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"samplerproof: {said}")
    assert err.count("\n") == 1
    assert list((tmp_path / "here").iterdir()) == []


def test_a_study_of_a_mixture_computes_on_the_cpu(
    in_process: Command, study_file: Callable[..., Path], tmp_path: Path
) -> None:
    """Assert that a device that would not be used is refused, and an unknown one, too."""
    for device, said in (("meta", "only networks"), ("gpu", "a device of this machine")):
        code, out, err = in_process("study", study_file(), "--device", device)
        assert (code, out) == (2, "")
        assert said in err
    assert list((tmp_path / "here").iterdir()) == []


def test_a_checkpoint_that_is_not_there(in_process: Command, tmp_path: Path) -> None:
    """Assert that the field of the file is named, and nothing made."""
    file = tmp_path / "net.toml"
    file.write_text(STUDY.replace("CHECKPOINT", "nowhere"), encoding="utf-8")
    code, out, err = in_process("study", file)
    assert (code, out) == (2, "")
    assert err.startswith("samplerproof: target.checkpoint: got 'nowhere'; a folder or a checkpoint of this package")
    assert list((tmp_path / "here").iterdir()) == []
