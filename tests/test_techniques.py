"""The pages of techniques: every example runs, every verdict has a number behind it, and every page its parts."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from samplerproof.book import seeds
from samplerproof.book.pages.few_step_pages import few_step_pages
from samplerproof.book.pages.surgery_page import surgery_page
from samplerproof.book.pages.technique_page import overview, page, with_trials
from samplerproof.book.records.technique_results import OF_TECHNIQUES, measured_of, renew_techniques, trial_results
from samplerproof.book.technique_index import technique_names, techniques_named
from samplerproof.book.techniques.all_techniques import BY_NAME, TECHNIQUES
from samplerproof.book.techniques.all_trials import TRIALS
from samplerproof.book.techniques.technique import Measured, Technique
from samplerproof.names.input_error import InputError
from samplerproof.theory.claims import CLAIMS
from samplerproof.theory.methods import find

EACH = pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.name)
FOUND = Measured(
    1.0, ("a", "b"), (("1", "2"),), {"one": [(1.0, 2.0), (2.0, 1.0)], "two": [(1.0, 1.0)]}, "x", "y", ("two",)
)


@EACH
def test_an_example_runs_in_ten_lines(technique: Technique, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(technique.code.strip().splitlines()) <= 10
    exec(compile(technique.code, technique.name, "exec"), {})
    assert capsys.readouterr().out.strip()


@EACH
def test_a_technique_names_what_exists(technique: Technique) -> None:
    """Assert that its claims and records exist, and that its kept number is inside the bounds of its verdict."""
    assert set(technique.proved) <= {claim.name for claim in CLAIMS}
    assert all(find(name) for name in technique.methods)
    kept = OF_TECHNIQUES.read(technique.name)
    assert kept is not None
    assert technique.stands(kept["number"])
    assert {technique.cite} <= set(_keys())


PAPERS = {
    **{"Restoration-Degradation": "restoration-degradation", "Efficient Integrators": "phase-space-splitting"},
    **{"BDIA": "bdia", "D-ODE": "d-ode", "time-shift": "time-shift", "timestep aligner": "timestep-aligner"},
    **{"AIDI": "aidi", "DiT4Edit": "dpm-solver-inversion", "SDI": "sdi", "T-Stitch": "t-stitch", "EDICT": "edict"},
    **{"DPM-OT": "dpm-ot", "learning to efficiently sample": "dynamic-programming-schedules", "SFT-PG": "sft-pg"},
    **{"DiffuseVAE": "diffusevae", "ProDiff": "prodiff", "YONOS": "yonos-sr", "T2V-Turbo": "t2v-turbo", "GMem": "gmem"},
    **{"RG-LCD": "rg-lcd", "REFace": "reface", "EMDM": "emdm", "shortcut models": "shortcut-models", "PLRD": "plrd"},
    **{"2-RF++": "rectified-flows", "REPA": "repa", "Skip-Tuning": "skip-tuning", "A-SDM": "a-sdm"},
    **{"Faster Diffusion": "faster-diffusion"},
}


def test_a_search_finds_every_technique_by_the_name_of_its_paper() -> None:
    """Assert that names are read from the sources as they are, and that a paper's name is enough."""
    named = {technique.name: technique for technique in technique_names()}
    assert set(named) == set(BY_NAME)
    for name, found in named.items():
        technique = BY_NAME[name]
        assert found == (name, technique.system, technique.title, technique.cite)
    for paper, name in PAPERS.items():
        assert name in [technique.name for technique in techniques_named(paper)], paper
    assert [technique.name for technique in techniques_named("SDI")] == ["sdi"]
    assert techniques_named("diction") == []


def test_trials_on_networks_are_kept_and_shown() -> None:
    """Assert that every trial is of a technique, that its kept figures are current, and that its page has them."""
    kept = trial_results()
    assert set(kept) == set(TRIALS)
    assert {trial.technique for trial in TRIALS.values()} <= set(BY_NAME)
    tried = {name: kept[name] for name in ("t-stitch", "t-stitch-pair")}
    text = with_trials(page(BY_NAME["t-stitch"], FOUND, "here"), tried)
    assert text.index("## Measured") < text.index("## On networks") < text.index("## Not known")
    for row in (row for entry in tried.values() for row in entry["rows"]):
        assert f"| {' | '.join(row)} |" in text


def test_networks_are_stitched_as_predicted() -> None:
    """Assert of the kept figures that early steps are cheap, and the first order at both early shares."""
    for name, within in (("t-stitch-digits", 0.07), ("t-stitch-pair", 0.05)):
        kept = trial_results()[name]
        early, late = kept["curves"]["small first"], kept["curves"]["small last"]
        for (share, distance), (_, first_order), (_, last) in zip(
            early[:2], kept["curves"]["to first order"], late, strict=False
        ):
            assert share in (0.2, 0.4)
            assert first_order == pytest.approx(distance, rel=within)
            assert last > 15 * distance


@EACH
def test_a_page_has_its_parts(technique: Technique) -> None:
    text = page(technique, FOUND, "here")
    for part in ("Claimed", "Formula", "Proved", "Measured", "Not known", "In code"):
        assert f"\n## {part}\n" in text
    assert f"{{cite:t}}`{technique.cite}`" in text
    assert technique.title in text.splitlines()[0]
    assert text.count("<svg") == 1


def test_a_verdict_falls_with_its_number() -> None:
    """Assert that a number outside the bounds, or none, is reported, and is not kept."""
    technique = TECHNIQUES[0]
    low, high = technique.within
    assert technique.row(low)["verdict"] == technique.row(high)["verdict"] == technique.verdict
    for number in (low - 1e-6, high + 1e-6, math.nan):
        assert str(technique.row(number)["verdict"]).startswith("not confirmed")


def test_a_measurement_against_its_verdict_is_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    technique = replace(TECHNIQUES[0], measure=lambda: replace(FOUND, number=-1.0))
    monkeypatch.setitem(BY_NAME, technique.name, technique)
    with pytest.raises(AssertionError, match=technique.name):
        renew_techniques([technique.name])


def test_the_table_of_techniques_has_a_row_each(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    quick = [replace(t, measure=lambda t=t: replace(FOUND, number=t.within[0])) for t in TECHNIQUES]
    monkeypatch.setattr(seeds, "TECHNIQUES", quick)
    rows = seeds.reproduce_seeds(tmp_path)
    assert json.loads((tmp_path / "seeds.json").read_text()) == rows
    assert [row["system"] for row in rows] == [t.system for t in TECHNIQUES]
    for row in rows:
        assert {"system", "claim", "verdict", "number", "covered", "page"} <= row.keys()
    assert (tmp_path / "seeds.md").read_text().count("\n|") == len(rows) + 2
    with pytest.raises(InputError):
        seeds.reproduce_seeds(Path("/proc/none"))


def test_a_technique_without_its_package_has_a_row_without_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lacking = replace(TECHNIQUES[0], needs="no_such_package", measure=lambda: pytest.fail("measured"))
    monkeypatch.setattr(seeds, "TECHNIQUES", [lacking])
    (row,) = seeds.reproduce_seeds(tmp_path)
    assert row["number"] is None
    assert "no_such_package is not installed" in row["verdict"]
    assert "| not measured," in (tmp_path / "seeds.md").read_text()


def test_kept_results_make_the_table_of_all_and_stay_as_they_are() -> None:
    kept = {name: OF_TECHNIQUES.read(name) or {} for name in BY_NAME}
    text = overview(kept)
    assert all(f"(techniques/{name}.md)" in text for name in BY_NAME)
    assert all(measured_of(entry).number == entry["number"] for entry in kept.values())
    rows = [row for name in ("faster-diffusion", "a-sdm", "skip-tuning", "plrd") for row in kept[name]["rows"]]
    text = surgery_page(kept)["surgery.md"]
    assert all(" | ".join(row).strip() in text for row in rows)
    few, of_data = few_step_pages(kept, trial_results()).values()
    assert all(" | ".join(row).strip() in few for row in kept["lcm"]["rows"])
    assert all(f"| {name} | student |" in few for name, *_ in kept["few-step-students"]["rows"])
    assert all(" | ".join(row).strip() in of_data for row in trial_results()["gmem-copies"]["rows"])


# Runs of the same networks by the same module as another one that is measured again; their own code is in their key.
BESIDE = {"faster-diffusion": "a-sdm", "skip-tuning": "plrd"}
AGAIN = [technique for technique in TECHNIQUES if technique.name not in BESIDE]


def test_what_is_not_measured_again_is_beside_what_is() -> None:
    modules = {technique.measure.__module__ for technique in AGAIN}
    assert all(BY_NAME[name].measure.__module__ in modules for name in BESIDE)


@pytest.mark.slow
@pytest.mark.parametrize("technique", AGAIN, ids=lambda technique: technique.name)
def test_a_kept_number_is_measured_again(technique: Technique) -> None:
    kept = OF_TECHNIQUES.read(technique.name)
    assert kept is not None
    assert technique.measure().number == pytest.approx(kept["number"], rel=1e-6)


def _keys() -> list[str]:
    from samplerproof.numerics.generated.citations import CITATIONS

    return list(CITATIONS)
