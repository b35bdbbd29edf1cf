"""Kept results: which change makes which of them stale, how they are renewed, and that they are found again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from samplerproof.book import __main__ as build
from samplerproof.book.proofs import prove
from samplerproof.book.records import __main__ as command
from samplerproof.book.records import method_results, network_results, record_keys, verification_results
from samplerproof.book.records.kept_records import Kept
from samplerproof.book.records.method_results import CLAIM, OF_CLAIMS, OF_METHODS, OF_SECOND_TERMS, study
from samplerproof.book.studies.network_study import settings
from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.generated import weight_functions
from samplerproof.numerics.leading.of_study import two_terms_of
from samplerproof.numerics.studies.config import parse
from samplerproof.numerics.support import sampler_code

MADE = {"seconds": 0.0}


def all_kept() -> Iterator[Kept]:
    """The kept results of every kind."""
    yield OF_METHODS
    yield OF_CLAIMS
    yield OF_SECOND_TERMS
    every = settings(False)
    yield network_results.of_all(every)
    yield from map(network_results.of_network, every)
    yield verification_results.of_targets(verification_results.listed())


def stale() -> set[str]:
    """The files of all stale results."""
    return {
        kept.path(name).relative_to(method_results.RECORDS).as_posix() for kept in all_kept() for name in kept.stale()
    }


@pytest.fixture
def changed_code(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Change the code of a generated function, old -> new, where numerics/support/sampler_code.py reads it."""
    read = sampler_code._generated

    def change(module: str, function: str, old: str, new: str) -> None:
        known = read(module)
        assert old in known[function].code
        changed = SimpleNamespace(code=known[function].code.replace(old, new), names=known[function].names)
        given = {**known, function: changed}
        monkeypatch.setattr(sampler_code, "_generated", lambda name: given if name == module else read(name))

    return change


def test_nothing_kept_is_stale_or_left_over() -> None:
    """Assert that every result that there should be is kept and current, and no other."""
    assert stale() == set()
    for kept in all_kept():
        assert set(kept.folder.glob("*.json")) == set(map(kept.path, kept.names)), kept.folder


def test_words_and_new_samplers_make_nothing_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that a summary, an alias, a citation and one more sampler change no key of another sampler."""
    before = {name: record_keys.method_key(name) for name in METHODS}
    words = {"summary": "Another.", "aliases": ("a-new-alias",), "cite": "new2026", "since": "9.9.9"}
    monkeypatch.setitem(METHODS, "exp-adams-2", replace(METHODS["exp-adams-2"], **words))
    monkeypatch.setitem(METHODS, "one-more", replace(METHODS["ddim"], name="one-more", aliases=()))
    assert before == {name: record_keys.method_key(name) for name in before}
    assert stale() == {"methods/one-more.json", "networks/rings/one-more.json"}


def test_a_docstring_and_a_comment_are_not_part_of_the_code() -> None:
    """Assert that what a function is called and computes counts, and what is written about it does not."""
    text = '''"""A module."""\n\ndef f(h):  # a comment\n    """What f is."""\n    return (h,)\n'''
    assert sampler_code.code(text) == sampler_code.code("def f(h):\n    return (\n        h,\n    )\n")
    assert sampler_code.code(text) != sampler_code.code(text.replace("(h,)", "(2*h,)"))


def test_one_coefficient_makes_its_samplers_stale_and_no_other(changed_code: Any) -> None:
    """Assert that results of samplers whose functions, or whose start-up's, are the same stay current."""
    changed_code("weight_functions", "exp_adams_3", "2 * r1 + r2", "3 * r1 + r2")
    using = {name for name, r in METHODS.items() if "exp-adams-3" in (name, r.start)}
    assert "exp-adams-4" in using
    of_methods = {file for file in stale() if file.startswith("methods/")}
    assert of_methods == {OF_METHODS.path(name).relative_to(method_results.RECORDS).as_posix() for name in using}
    on_networks = {file for file in stale() if file.startswith("networks/rings/")}
    assert on_networks == {f"networks/rings/{name}.json" for name in using}
    assert "networks/common.json" in stale()
    assert not {"networks/rings.json", "verification/diffusers-DDIMScheduler.json"} & stale()


@pytest.mark.parametrize("name", ["defects", "record", "frame"])
def test_each_part_that_a_value_depends_on_counts(
    name: str, monkeypatch: pytest.MonkeyPatch, changed_code: Any
) -> None:
    """Assert that leading defects, fields of the record and the functions of its frame are in the key."""
    if name == "defects":
        changed_code("defects", "ddim", "1 / 2", "1 / 3")
    elif name == "record":
        monkeypatch.setitem(METHODS, "ddim", replace(METHODS["ddim"], order=2))
    else:
        changed_code("frame_functions", "data", "(sigma, alpha, 1)", "(sigma, alpha, 2)")
    assert not OF_METHODS._current("ddim", OF_METHODS.read("ddim"))


def test_every_function_of_the_weights_belongs_to_a_sampler() -> None:
    """Assert that no generated function is missing in all keys."""
    functions = set(sampler_code.definitions(Path(weight_functions.__file__).read_text(encoding="utf-8")))
    code = "".join(map(sampler_code.sampler_code, METHODS))
    assert {name for name in functions if f"def {name}(" not in code} == set()


def test_a_claim_is_keyed_by_its_statement_and_its_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that another statement or another line in its proof or its helper makes a claim stale, alone."""
    name = "unip-names"
    before = {other: record_keys.claim_key(claim) for other, claim in CLAIM.items()}
    assert record_keys.claim_key(replace(CLAIM[name], text="Another.")) != before[name]

    def changed(text: str) -> Any:
        return sampler_code.definitions(
            text.replace("sp.Rational(1, 2)", "sp.Rational(1, 3)") if "def unified" in text else text
        )

    monkeypatch.setattr(record_keys, "_definitions", changed)
    after = {other: record_keys.claim_key(claim) for other, claim in CLAIM.items()}
    assert {other for other in CLAIM if after[other] != before[other]} == {
        name,
        "unipc-published",
        "unipc-noise-published",
    }


@pytest.mark.parametrize("kind", ["methods", "claims", "networks", "verification"])
def test_another_version_of_the_engine_makes_its_kind_stale(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that the number that is raised by hand is in every key of its kind, and in no other."""
    monkeypatch.setitem(record_keys.ENGINE, kind, -1)
    files = stale()
    assert {file.partition("/")[0] for file in files} == {kind}
    assert len(files) == sum(len(kept.names) for kept in all_kept() if kept.kind == kind)


def test_a_stale_result_ends_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Assert one line with the result and the command that renews it, and that nothing is laid out."""
    monkeypatch.setitem(record_keys.ENGINE, "methods", -1)
    assert build.main(tmp_path / "book") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(
        r"methods: got 'ddim and \d+ more'; renewed by `python -m samplerproof.book.records methods`", error
    )
    assert not (tmp_path / "book").exists()


def test_one_result_is_renewed_and_no_other_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Assert that --only renews what it names, and that without it what is stale is renewed; files gone are removed."""
    names = ["ddim", "dpm-solver++-2m", "ddpm"]
    kept = Kept("methods", tmp_path, names, lambda name, _: record_keys.method_key(name))
    monkeypatch.setattr(method_results, "OF_METHODS", kept)
    monkeypatch.setattr(method_results, "of_method", lambda record: {"made": record.name})
    for name in ("ddim", "ddpm"):
        kept.write(name, {"made": "before"}, MADE)
    (tmp_path / "gone.json").write_text("{}", encoding="utf-8")
    assert kept.stale() == ["dpm-solver++-2m"]
    run_command(monkeypatch, "methods")
    assert kept.stale() == []
    run_command(monkeypatch, "methods", "--only", "ddpm")
    made = {name: (kept.read(name) or {})["made"] for name in names}
    assert made == {"ddim": "before", "dpm-solver++-2m": "dpm-solver++-2m", "ddpm": "ddpm"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ddim.json", "ddpm.json", "dpm-solver-pp-2m.json"]
    capsys.readouterr()
    run_command(monkeypatch, "methods", "--only", "ddimm", code=2)
    assert capsys.readouterr().err == "--only: got 'ddimm'; one of the methods; nearest: ddim, ddpm, dpm-solver++-2m\n"


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str, code: int = 0) -> None:
    monkeypatch.setattr("sys.argv", ["records", *arguments])
    assert command.main() == code


@pytest.mark.parametrize(("name", "kind"), [("dpm-solver++-2m", "exact"), ("exp-adams-2", "ramp"), ("ddpm", "noise")])
def test_the_kept_results_are_found_again(name: str, kind: str) -> None:
    """Assert that the code as it is makes the kept values: where this fails, raise record_keys.ENGINE and renew."""
    kept = OF_METHODS.read(name)
    assert kept is not None
    (proof,) = prove([name], False)
    assert all(proof[key] == kept["proof"][key] for key in ("statement", "proved_order", "conditions"))
    assert proof["leading_defects"][: method_results.SHOWN] == kept["proof"]["leading_defects"]
    old = [entry for entry in kept["convergence"] if entry["kind"] == kind]
    for before, after in zip(old, method_results.measured(kind, METHODS[name]), strict=True):
        assert (before["steps"], before["metric"]) == (after["steps"], after["metric"])
        assert after["value"] == pytest.approx(before["value"], rel=1e-9)
        assert after["predicted"] == (before["predicted"] and pytest.approx(before["predicted"], rel=1e-9))


def test_the_kept_second_term_is_found_again() -> None:
    """Assert it in a study with a method of order 1 and one with noise, and the first term in the kept errors."""
    asked = study("exact", ["ddim", "deis-rhoab2", "ddpm"])
    found = two_terms_of(parse(asked))
    assert list(found) == ["deis-rhoab2"]
    kept, errors = OF_SECOND_TERMS.read("deis-rhoab2"), OF_METHODS.read("deis-rhoab2")
    assert kept is not None
    assert errors is not None
    assert kept["terms"] == {key: pytest.approx(v, rel=1e-9) for key, v in asdict(found["deis-rhoab2"]).items()}
    last = [entry for entry in errors["convergence"] if entry["kind"] == "exact"][-1]
    assert kept["terms"]["leading"] == pytest.approx(last["predicted"] * last["steps"] ** 3, rel=1e-6)
    asked["run"]["start"] = "ramp"
    assert two_terms_of(parse(asked)) == {}


def test_every_kept_result_states_where_it_comes_from() -> None:
    """Assert that each was made by committed code, and when."""
    for kept in all_kept():
        for name in kept.names:
            made = json.loads(kept.path(name).read_text(encoding="utf-8"))["manifest"]
            assert made["dirty"] is False, name
            assert made["commit"]
            assert {"versions", "platform", "finished", "seconds"} <= made.keys()


def test_what_is_missing_is_named() -> None:
    """Assert the message of a result that was never made."""
    kept = Kept("methods", Path("nowhere"), ["ddim"], lambda name, _: "")
    with pytest.raises(InputError, match=r"^records of methods: got 'ddim'; renewed by `python -m"):
        kept.load()
