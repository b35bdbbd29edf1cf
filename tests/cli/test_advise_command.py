"""`samplerproof advise`: JSON with the keys of the contract, a page, and one line on bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import samplerproof as sp
from samplerproof.cli.main import run
from samplerproof.numerics.advice import candidates
from samplerproof.numerics.catalogue import METHODS

LAW = "[target]\nweights = [0.3, 0.7]\nmeans = [-1.0, 0.8]\nstds = [0.4, 0.3]\n"


def _ran(arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["samplerproof", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        run()
    return int(ended.value.code or 0)


@pytest.mark.slow
def test_the_answer_its_page_and_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Assert choice, baseline and candidates with their errors, an offline page, and the field of a small budget."""
    few = ("ddim", "dpm-solver++-2m", "ipndm-3")
    monkeypatch.setattr(candidates, "METHODS", {name: METHODS[name] for name in few})
    monkeypatch.chdir(tmp_path)
    Path("law.toml").write_text(LAW)
    assert _ran("advise law.toml --nfe 5 --budget 200 --json --html page.html", monkeypatch) == 0
    answer = json.loads(capsys.readouterr().out)
    for entry in (answer["choice"], answer["baseline"], *answer["candidates"]):
        assert {"method", "grid", "nfe", "predicted", "confirmed", "low", "high"} <= set(entry)
    assert answer["choice"]["confirmed"] <= answer["baseline"]["confirmed"]
    assert answer["baseline"]["method"] == "dpm-solver++-2m"
    assert answer["evaluations"] <= 200
    page = Path("page.html").read_text()
    assert answer["choice"]["method"] in page
    assert "<svg" in page
    assert "<script" not in page
    assert list(Path("results/advice").glob("*.advice"))
    found: dict[str, Any] = {}
    exec("\n".join(answer["choice"]["paste"]), found)
    assert found["y"].shape == (1, 1)
    made = METHODS[answer["choice"]["method"]].name
    assert sp.tabulate(made, found["grid"]).nfe == answer["choice"]["nfe"]
    assert not list(Path("results").rglob("network-*")), "a mixture is no network"
    assert _ran("advise rings-small --nfe 5 --budget 60", monkeypatch) == 0
    (record,) = map(json.loads, (path.read_text() for path in Path("results/advice").glob("network-*.json")))
    assert [advice["nfe"] for advice in record["advice"]] == [5]
    capsys.readouterr()
    assert _ran("advise law.toml --nfe 5 --budget 20", monkeypatch) == 2
    assert capsys.readouterr().err.startswith("samplerproof: budget: got 20; at least ")
    Path("own.py").write_text("def fails(x, at, prediction):\n    raise KeyError('weights')\n\n\nfails.shape = (2,)\n")
    assert _ran("advise own.py:fails --nfe 5", monkeypatch) == 2
    assert capsys.readouterr().err.startswith("samplerproof: own.py:fails: got \"KeyError: 'weights'\"; ")
