"""The study of verifications on samplers of our own: records, pages, resumption, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

SAMPLERS = """
from itertools import pairwise


def euler(denoise, x, sigmas):
    for s, t in pairwise(sigmas):
        x = x + (t - s) * (x - denoise(x, s)) / s
    return x


def writes(denoise, x, sigmas):
    return x.copy_(euler(denoise, x, sigmas))

def slipped(denoise, x, sigmas):
    return euler(lambda x, s: denoise(x, s) * 1.001, x, sigmas)
"""
STUDY = """
[verification]
targets = ["mine:euler", "mine:slipped", "mine:nothing", "mine:writes"]
against = { "mine:euler" = "ddim", "mine:slipped" = "ddim", "mine:writes" = "ddim" }
steps = 6
"""


@pytest.fixture
def study(in_process: Callable[..., tuple[int, str, str]], tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Run `samplerproof study` on a text, in a folder with the samplers."""
    (tmp_path / "here" / "mine.py").write_text(SAMPLERS, encoding="utf-8")

    def command(text: str, *options: object) -> tuple[int, str, str]:
        (tmp_path / "here" / "list.toml").write_text(text, encoding="utf-8")
        return in_process("study", "list.toml", "--json", *options)

    return command


@pytest.mark.slow
def test_a_list_of_samplers(study: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """Assert the verdicts of two targets at a time, and the same of one at a time where two are computed anew."""
    code, out, err = study(STUDY, "--workers", 2)
    assert (code, err) == (1, "")  # a target fails
    answer = json.loads(out)
    assert [(r["target"], r["verdict"]) for r in answer["records"]] == [
        ("mine:euler", "roundoff"),
        ("mine:slipped", "different-formula"),
        ("mine:nothing", "error"),
        ("mine:writes", "roundoff"),
    ]
    found = [("mine:slipped", None), ("mine:writes", None)]  # the latter conforms, but an error makes it fail
    assert [(d["target"], d["repair"]) for d in answer["discrepancies"]] == found
    assert answer["manifest"]["run"]["steps"] == 6
    folder = tmp_path / "here" / "results" / "list"
    assert json.loads((folder / "records.json").read_text(encoding="utf-8")) == answer
    table = (folder / "verification.md").read_text(encoding="utf-8")
    assert "| `ddim` | `mine:euler` | roundoff |" in table
    assert "| `ddim` | `mine:writes` | roundoff, but fails: state |" in table
    assert "no object of this name in mine" in table
    page = (folder / "discrepancies.md").read_text(encoding="utf-8")
    assert "## `mine:slipped`" in page
    assert r"step 1: outputs\[0\]" in page
    assert "samplerproof prove ddim" in page
    assert "mine:euler" not in page

    kept = {file: file.stat().st_mtime_ns for file in (folder / "finished").iterdir()}
    assert len(kept) == 4
    damaged, removed = (next(f for f in kept if name in f.read_bytes()) for name in (b"mine:euler", b"mine:writes"))
    content = damaged.read_bytes()
    damaged.write_bytes(content.replace(b"e", b"f", 1))
    removed.unlink()
    again = json.loads(study(STUDY, "--workers", 1)[1])
    assert [again[key] for key in ("records", "discrepancies")] == [answer[key] for key in ("records", "discrepancies")]
    after = {file: file.stat().st_mtime_ns for file in (folder / "finished").iterdir()}
    assert after.keys() == kept.keys()
    assert {file for file in after if after[file] != kept[file]} == {damaged, removed}  # no other was run again
    assert damaged.read_bytes() == content


@pytest.mark.parametrize(
    ("option", "said"),
    [("--workers=0", "workers: got 0; a whole"), ("--scheduler=nowhere", "scheduler: got 'nowhere'")],
)
def test_workers_that_are_refused(study: Callable[..., tuple[int, str, str]], option: str, said: str) -> None:
    """Assert one line on none of them, and on a scheduler, and that nothing is written."""
    code, out, err = study(STUDY, option, "--out", "none")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert not Path("none").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"mine:nothing",', '"mine",', "target"),
        ('"mine:nothing",', '"mine:euler",', "listed twice"),
        (
            'targets = ["mine:euler", "mine:slipped", "mine:nothing", "mine:writes"]',
            "targets = []",
            "verification.targets",
        ),
        ('"mine:slipped" = "ddim"', '"mine:slipped" = "dimm"', "dimm"),
        ('"mine:slipped" = "ddim"', '"mine:other" = "ddim"', "mine:other"),
        ("steps = 6", "steps = 0", "verification.steps"),
        ("steps = 6", "step = 6", "nearest: steps"),
        ("steps = 6", "timeout = 0", "verification.timeout"),
        ("steps = 6", "[run]\nsteps = [3]", "run"),
    ],
)
def test_bad_input_is_one_line(
    study: Callable[..., tuple[int, str, str]], tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in STUDY
    code, out, err = study(STUDY.replace(old, new))
    assert (code, out) == (2, "")
    assert err.startswith("samplerproof: ")
    assert err.count("\n") == 1
    assert said in err
    assert not (tmp_path / "here" / "results").exists()
