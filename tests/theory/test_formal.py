"""Order proofs as Coq files: current, equal to the certificates when read back, accepted by Coq, refused if altered."""

from __future__ import annotations

import ast
import json
import random
import re
import shutil
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from certificate_checker import EMPTY, Series, evaluate, parse_tree, phi, random_run, size
from coq_reader import Reader, defects, definitions, first_argument, module, rows, states
from shapes import first_of_each, shape

from samplerproof.theory.certificate import certificate
from samplerproof.theory.formal import __main__ as formal
from samplerproof.theory.formal import kernel
from samplerproof.theory.formal.order_file import NOT_WRITTEN, coq_file, module_name, order_file
from samplerproof.theory.methods import ODE_METHODS, find

METHODS = formal.FORMAL / "methods"
NAMES = [method.name for method in ODE_METHODS if coq_file(method.name)]
HEAVY = [name for name in NAMES if find(name).history > 1 and find(name).order != 2]  # seconds each to prove again
BY_SHAPE = first_of_each([name for name in NAMES if name not in HEAVY], shape)
BY_SHAPE += [pytest.param(name, marks=pytest.mark.slow) for name in HEAVY]
SHORTEST = sorted(NAMES, key=lambda name: -(METHODS / f"{module_name(name)}.v").stat().st_size)
SHORTEST = list({(find(name).kind, find(name).frame): name for name in SHORTEST}.values())  # of a kind and a frame
NEEDS_COQ = pytest.mark.skipif(shutil.which("coqc") is None, reason=kernel.MISSING)


@cache
def text_of(name: str) -> str:
    return (METHODS / f"{module_name(name)}.v").read_text(encoding="utf-8")


@cache
def emitted(name: str) -> str:
    return order_file(find(name))


def test_there_is_a_file_for_every_deterministic_record_but_the_longest() -> None:
    assert {path.stem for path in METHODS.glob("*.v")} == {module_name(name) for name in NAMES}
    assert len(NAMES) >= 50
    assert set(NOT_WRITTEN) < {method.name for method in ODE_METHODS}


@pytest.mark.parametrize("name", BY_SHAPE)
def test_committed_files_are_current(name: str) -> None:
    assert text_of(name) == emitted(name)


def test_nothing_is_assumed() -> None:
    """Assert that no file, the library included, has an axiom or leaves a proof out, and each asks what it assumes."""
    for path in formal.FORMAL.rglob("*.v"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\b(Admitted|admit|Axiom|Parameter|Conjecture|Abort)\b", text), path
        if path.parent == METHODS:
            assert text.splitlines()[-1] == "Print Assumptions proved."


def first(value: Series) -> Fraction:
    return value.c[0]


def tree(text: str) -> tuple[int, tuple[Any, ...]]:
    """node 1 [node 0 []; …] as the checker has trees."""
    text = re.sub(r"node (\d+) \[", r"(\1, [", text).replace(";", ",")
    text = re.sub(r"\]", "])", text)

    def sorted_tree(found: Any) -> tuple[int, tuple[Any, ...]]:
        return found[0], tuple(sorted(map(sorted_tree, found[1])))

    return sorted_tree(ast.literal_eval(text))


def density(found: tuple[int, tuple[Any, ...]]) -> int:
    product = size(found)
    for child in found[1]:
        product *= density(child)
    return product


def compare(text: str, proved: dict[str, Any]) -> None:
    """Assert that a module of a file has the numbers of a certificate, at random ratios and parameters."""
    run = random_run(proved, random.Random(3))
    reader = Reader(run)
    names = run.ratios(0)
    h = names["h"]
    body = text[text.rindex("Section Definitions.") :]
    reader.define(definitions(body))

    assert len(rows(body)) == len(proved["rows"])
    for (end_text, outputs), row in zip(rows(body), proved["rows"], strict=True):
        end = evaluate(row["end"], names)
        assert reader.read(f"({end_text})").c == end.c
        for (source, share), node, weight in zip(outputs, row["nodes"], row["weights"], strict=True):
            position = evaluate(node["position"], names)
            kind, _, rest = source.partition(" ")
            if node["stage"]:
                assert source == f"Stage {node['stage'] - 1}"
            else:
                assert kind == ("Predicted" if proved["predicted"] else "Path")
                assert reader.read(first_argument(rest)).c == position.c
            if proved["kappa"] is None:
                growth = (run.taylor("q", position * h) + 1) ** -1
            else:
                growth = phi(0, (end - position) * h * int(proved["kappa"]))
            assert reader.names[share].c == (evaluate(weight, names, run.rate_moment) * growth).c
    assert [reader.names[c].c for _, c in states(body)] == [evaluate(c, names).c for c in proved["rows"][-1]["states"]]

    order = proved["order"]
    assert f"\nTheorem order : has_order {order} step.\n" in body
    assert f"\nTheorem not_more : ~ has_order {order + 1} (step " in text
    for denominator in re.findall(r"^Hypothesis nonzero_\d+ : (.*) <> #0\.$", body, re.MULTILINE):
        assert first(reader.read(denominator))

    claimed = {(parse_tree(d["tree"]), d["power"]): d["coefficient"] for d in proved["leading_defects"]}
    constants = {name: Series(series.c[:1]) for name, series in names.items()}
    numbers = {key: first(evaluate(text, constants)) for key, text in claimed.items()}
    found: dict[Any, Fraction] = {}
    for kind, what, power, value in defects(body):
        number = first(reader.read(value))
        if kind == "size":
            same = [t for t, p in numbers if p == power and size(t) == int(what)]
            assert same
            found |= {(t, power): number * size(t) / density(t) for t in same}
        else:
            found[EMPTY if kind == "empty" else tree(what), power] = number
    assert found.items() <= numbers.items()
    # Those that are not stated: conditions in which predicted points of earlier steps take part.
    left = [t for t, _ in set(numbers) - set(found)]
    assert not left or proved["predicted"]
    assert all(t[0] == 0 and len(t[1]) == 1 for t in left)
    assert found


def both(name: str) -> list[tuple[str, bool]]:
    return [("near_equal_steps", False), ("all_ratios", True)] if find(name).equal_steps else [("all_ratios", False)]


@pytest.mark.parametrize("name", BY_SHAPE)
def test_numbers_read_back_are_those_of_the_certificate(name: str) -> None:
    for part, free in both(name):
        proved = json.loads(json.dumps(certificate(find(name), free)))
        compare(module(text_of(name), part), proved)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("exp-adams-2", "((#1/r1) •", "((#1000001/(#1000000*r1)) •"),  # a weight
        ("exp-adams-2", "growth #1 #1 (-r1)", "growth #1 #1 (-r1 - r1)"),  # a place in its share
        ("exp-adams-2", "(At (-r1))", "(At (-r1 - #1))"),  # the place of an output
        ("exp-adams-2", "has_order 2 step", "has_order 1 step"),
        ("exp-adams-2", "* (r1/#2 + #1/#3)", "* (r1/#2 + #1000001/#3000000)"),  # a defect
        ("unipc-2", "Stage 0", "Stage 1"),
        ("bdia-edm", "(gamma • exponential", "((-gamma) • exponential"),  # a state's coefficient
    ],
)
def test_numbers_that_differ_from_the_certificate_are_found(name: str, old: str, new: str) -> None:
    proved = json.loads(json.dumps(certificate(find(name))))
    text = module(text_of(name), both(name)[0][0])
    assert old in text
    with pytest.raises((AssertionError, ValueError, KeyError)):
        compare(text.replace(old, new), proved)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("formal")
    kernel.library(formal.FORMAL, folder)
    return folder


def compiled(library: Path, name: str, text: str) -> None:
    (library / f"{name}.v").write_text(text, encoding="utf-8")
    kernel.compile_file(library, name)


def test_coq_accepted_every_file_as_it_is() -> None:
    """Assert that the record of `make formal` is of these files, to the byte; with one altered it is not."""
    accepted = json.loads(formal.ACCEPTED.read_text(encoding="utf-8"))["sha256"]
    assert accepted == {path.stem: kernel.digest(formal.FORMAL, path.stem) for path in METHODS.glob("*.v")}


def test_the_digest_of_an_altered_file_or_library_is_another(tmp_path: Path) -> None:
    shutil.copytree(formal.FORMAL, tmp_path / "formal")
    before = kernel.digest(tmp_path / "formal", "ddim")
    for altered in ("methods/ddim.v", "Orders.v", "Rationals.v"):
        path = tmp_path / "formal" / altered
        kept = path.read_text(encoding="utf-8")
        path.write_text(kept.replace("#1", "#2", 1) if "#1" in kept else f"{kept}\n", encoding="utf-8")
        assert kernel.digest(tmp_path / "formal", "ddim") != before
        path.write_text(kept, encoding="utf-8")
    assert kernel.digest(tmp_path / "formal", "ddim") == before


@NEEDS_COQ
@pytest.mark.slow
@pytest.mark.parametrize("name", SHORTEST)
def test_coq_accepts_files(library: Path, name: str) -> None:
    """Assert it of the shortest file of a kind in a frame; of all files `make formal` does."""
    compiled(library, module_name(name), text_of(name))


@NEEDS_COQ
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("exp-adams-2", "((#1/r1) •", "((#1000001/(#1000000*r1)) •"),
        ("exp-adams-2", "Path (At (-r1))", "Path (At (-r1 - #1))"),
        ("exp-adams-2", "has_order 2 step", "has_order 3 step"),
        ("exp-adams-2", "~ has_order 3", "~ has_order 2"),
        ("exp-adams-2", "* (r1/#2 + #1/#3)", "* (r1/#2 + #1000001/#3000000)"),
        ("dpm-solver++-2s", "Hypothesis nonzero_1 : c2 <> #0.", ""),
        ("edm-heun", "Stage 0", "Path (At #1)"),
        ("unipc-1", "((#1/#2) •", "((#1/#3) •"),
        ("ipndm-2", "(#3/#2) •", "(#4/#3) •"),
        ("ddim", "Proof. expand. repeat split; identity. Qed.", "Admitted."),
    ],
)
def test_coq_refuses_what_is_wrong(library: Path, name: str, old: str, new: str) -> None:
    """Assert that a wrong weight, place, order, defect or stage is refused, and a proof left out is seen."""
    assert old in text_of(name)
    compiled(library, "as_written", text_of(name))
    with pytest.raises(kernel.Refused):
        compiled(library, "altered", text_of(name).replace(old, new))


def test_without_coq_the_command_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert formal.prove() == 2
    assert "apt-get install coq" in capsys.readouterr().err


def test_check_names_files_that_are_not_current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formal, "ODE_METHODS", [find("ddim"), find("exp-adams-2")])
    formal.write(tmp_path)
    assert formal.stale(tmp_path) == []
    (tmp_path / "ddim.v").write_text("", encoding="utf-8")
    (tmp_path / "extra.v").write_text("", encoding="utf-8")
    assert formal.stale(tmp_path) == ["ddim.v", "extra.v"]
    formal.write(tmp_path)
    assert formal.stale(tmp_path) == []
