"""The portable record of a network: what a study and advice write, and what is collected of several."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime

import pytest

from samplerproof.book.tables.network_tables import brought
from samplerproof.cli import main
from samplerproof.numerics.advice import candidates
from samplerproof.numerics.advice.advice import advise
from samplerproof.numerics.advice.advice_targets import question_of
from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.studies import run as run_module
from samplerproof.numerics.studies.config import parse_network
from samplerproof.numerics.studies.network_record import collected, keep_advice
from samplerproof.numerics.studies.run import run

STUDY = parse_network(
    {
        "target": {"checkpoint": "rings-small"},
        "schedule": {"kind": "vp-linear"},
        "grid": {"kind": "uniform-lambda", "t_min": 0.1, "t_max": 0.5},
        "run": {"methods": ["ddim", "exp-adams-3"], "steps": [4, 8, 16], "metrics": ["trajectory"], "points": 4},
    }
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the record of a study and, elsewhere below it, that of an advice; and the study's answer."""
    folder = tmp_path_factory.mktemp("results")
    answer = run(STUDY, folder / "study")
    asked = question_of("rings-small", 5, 60)
    started, few = datetime.now(UTC), ("ddim", "dpm-solver++-2m")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(candidates, "METHODS", {name: METHODS[name] for name in few})
        keep_advice(folder / "advice", asked.checkpoint, "cpu", advise(asked).plain(), started)
    return folder, answer


def test_one_record_has_what_both_found(made):
    folder, answer = made
    (record,) = collected(folder)
    (study,) = record["studies"]
    sha256 = answer["manifest"]["checkpoint"]["sha256"]
    assert (record["sha256"], record["network"], record["shape"]) == (sha256, "rings-small", [2])
    assert [e["value"] for e in study["errors"]] == [r["value"] for r in answer["records"]]
    assert study["orders"] == answer["fits"]
    assert (study["device"], study["dtype"]) == ("cpu", "float64")
    assert study["manifest"]["versions"] == answer["manifest"]["versions"]
    (advice,) = record["advice"]
    assert (advice["nfe"], advice["budget"], advice["choice"]["nfe"]) == (5, 60, 5)
    assert str(folder) not in json.dumps(record)


def test_floors_are_distances_of_the_nearest_sampler_in_low_precision(made):
    """Those of float32 are small and not zero, and float16 and bfloat16 follow by their digits."""
    folder, answer = made
    (record,) = collected(folder)
    best = min(answer["records"], key=lambda r: r["value"])
    rows = {row["dtype"]: row for row in record["studies"][0]["floors"]}
    assert {(row["method"], row["steps"]) for row in rows.values()} == {(best["method"], best["steps"])}
    assert 0 < rows["float32"]["apart"] < 1e-4
    assert 10 * rows["float32"]["apart"] < rows["float16"]["apart"] < rows["bfloat16"]["apart"] < 0.5
    assert rows["float32"]["error"] == pytest.approx(best["value"], rel=0.3, abs=2 * rows["float32"]["apart"])


def test_a_part_that_asked_the_same_is_replaced_and_another_is_added(made, tmp_path):
    folder, _ = made
    shutil.copytree(folder, tmp_path / "results")
    path = next((tmp_path / "results" / "study").glob("network-*.json"))
    record = json.loads(path.read_text())
    (study,) = record["studies"]
    copy = tmp_path / "results" / "zz"
    copy.mkdir()
    later = {**study, "manifest": {**study["manifest"], "commit": "0" * 40}}
    (copy / path.name).write_text(json.dumps({**record, "studies": [later, {**study, "device": "cuda"}]}))
    (found,) = collected(tmp_path / "results")
    assert [(s["device"], s["manifest"]["commit"]) for s in found["studies"]] == [
        ("cpu", "0" * 40),
        ("cuda", study["manifest"]["commit"]),
    ]
    assert len(found["advice"]) == 1
    (first,) = collected(tmp_path / "results" / "study")
    assert first["studies"] == [study]


def test_what_is_collected_is_a_table(made):
    folder, answer = made
    text = brought(collected(folder)[0])
    for record in answer["records"]:
        assert f"{record['steps']}: {record['value']:.2e}" in text
    assert "| 5 | " in text
    assert "bfloat16" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, '"format": 1'),
        ({"sha256": 3}, "sha256: got 3"),
        ({"studies": {}}, "studies: got {}"),
        ({"studies": [{"device": "cpu"}]}, "studies.0.: got 'no dtype'"),
        ({"advice": [3]}, "advice.0.: got 'no device'"),
    ],
)
def test_a_record_of_another_form_is_one_line(made, tmp_path, change, words):
    path = next((made[0] / "advice").glob("network-*.json"))
    (tmp_path / path.name).write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=words.replace("{", r"\{")) as fault:
        collected(tmp_path)
    assert "\n" not in str(fault.value)


def test_a_record_that_cannot_be_added_to_stops_a_study_before_it_computes(made, tmp_path, monkeypatch):
    (path,) = (made[0] / "study").glob("network-*.json")
    (tmp_path / path.name).write_text("{}")
    with pytest.raises(InputError, match=path.name):
        run(STUDY, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    monkeypatch.setattr("sys.argv", ["samplerproof", "advise", "rings-small", "--nfe=5", f"--out={tmp_path}"])
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == 2
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_study_that_keeps_nothing_computes_no_floors(made, monkeypatch):
    monkeypatch.setattr(run_module, "floors_of", None)
    assert run(STUDY, None)["fits"] == made[1]["fits"]
