"""Malformed input without end: what was found once, and what is drawn, is refused in a line within 10 s and 1 GB."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contained
import malformed
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samplerproof.numerics.errors import InputError
from samplerproof.numerics.leading.of_study import LeadingErrors
from samplerproof.numerics.studies import convergence_figure
from samplerproof.numerics.studies import run as studies
from samplerproof.numerics.studies.config import parse
from samplerproof.numerics.support.limits import LIMITS

RECORDS, SAVE = studies.records_of, convergence_figure.save
pytestmark = pytest.mark.tried("malformed input")


def _reached(*_arguments: Any, **_options: Any) -> Any:
    raise InputError("work", "reached", "nothing is computed here")


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to start in, in which no sampler is run and no network trained."""
    monkeypatch.setattr(studies, "records_of", lambda *_: [])
    monkeypatch.setattr(studies, "leading_errors", lambda _: LeadingErrors({}, {}))
    monkeypatch.setattr("samplerproof.numerics.conformance.verify.launched", _reached)
    monkeypatch.setattr("samplerproof.numerics.training.training_loop.train", _reached)
    monkeypatch.setattr("samplerproof.book.reproduce.studies", _reached)
    # A figure is drawn as it is, and written in one format of three: those that are left see the same curves.
    monkeypatch.setattr(convergence_figure, "save", lambda figure, stem, suffixes: SAVE(figure, stem, suffixes[:1]))
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def refused(answer: contained.Answer, folder: Path, said: str) -> None:
    assert answer.code == 2, answer
    contained.check(answer, folder)
    assert said in answer.err


@pytest.mark.parametrize("name", malformed.STUDIES)
def test_a_study_file_that_was_found_once(name: str, empty: Path) -> None:
    """Assert that it is refused before anything is written, with the field in the line."""
    text, said = malformed.STUDIES[name]
    (empty.parent / "study.toml").write_text(text, encoding="utf-8")
    refused(contained.typed(empty, "study", "../study.toml", "--json"), empty, said)


@pytest.mark.parametrize("name", malformed.COMMANDS)
def test_a_command_line_that_was_found_once(name: str, empty: Path) -> None:
    """Assert the same of what is typed."""
    arguments, said = malformed.COMMANDS[name]
    os.mkfifo(empty.parent / "fifo")
    (empty.parent / "...toml").write_text(malformed.changed(), encoding="utf-8")
    refused(contained.typed(empty, *arguments), empty, said)


@pytest.mark.parametrize("name", malformed.CHECKPOINTS)
def test_a_description_that_was_found_once(name: str, empty: Path) -> None:
    """Assert the same of checkpoint.toml."""
    text, said = malformed.CHECKPOINTS[name]
    refused(described(empty, text, "--large"), empty, said)


def described(empty: Path, text: str, *flags: str) -> contained.Answer:
    """What is answered to a study of a network with this checkpoint.toml, and weights beside it."""
    net = empty.parent / "net"
    net.mkdir(exist_ok=True)
    if not (net / "model.safetensors").exists():
        shutil.copy(Path(studies.__file__).parents[1] / "checkpoints" / "trained" / "rings" / "model.safetensors", net)
        study = malformed.toml({**malformed.NETWORK, "target": {"checkpoint": "../net"}})
        (empty.parent / "study.toml").write_text(study, encoding="utf-8")
    (net / "checkpoint.toml").write_text(text, encoding="utf-8")
    return contained.typed(empty, "study", "../study.toml", "--json", *flags)


QUICK = ("the least weight", "no spread", "means at both ends", "no time left", "the least rho")


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in malformed.EXTREMES]
)
def test_what_is_allowed_at_an_end_is_measured(name: str, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that every value is one that a distance can have, or null with its reason."""
    monkeypatch.setattr(studies, "records_of", RECORDS)
    (empty.parent / "study.toml").write_text(malformed.EXTREMES[name], encoding="utf-8")
    answer = contained.typed(empty, "study", "../study.toml", "--json")
    assert answer.code == 0, answer
    contained.check(answer, empty)
    for record in json.loads(answer.out)["records"]:
        assert record["reason"] if record["value"] is None else 0 <= record["value"] <= 1, record


def test_the_study_that_all_are_made_of_is_right(empty: Path) -> None:
    """Assert that each is refused for what was changed in it, and that what is allowed passes all of the front."""
    wide = {"target__means": [[0.0] * 2000] * 2, "run__metrics": ["trajectory"], "run__points": None}
    for text in (malformed.changed(), malformed.changed(**wide), malformed.changed(run__steps=[2000])):
        (empty.parent / "study.toml").write_text(text, encoding="utf-8")
        answer = contained.typed(empty, "study", "../study.toml", "--json")
        assert answer.code == 0, answer
        contained.check(answer, empty)


def test_the_manual_has_the_limits_and_both_ends_are_allowed() -> None:
    """Assert that the table of the manual is that of the code, and that a number is refused just beyond an end."""
    manual = (Path(studies.__file__).parents[2] / "book" / "manual.md").read_text(encoding="utf-8")
    for field, limit in LIMITS.items():
        assert f"| `{field}` | {limit.of} | {limit.low:g} | {limit.high:g} |\n" in manual
    for field in ("run.steps", "run.points", "grid.rho", "target.means", "schedule.beta_max"):
        limit = LIMITS[field if field in LIMITS else field.partition(".")[0]]
        for value, allowed in ((limit.high, True), (limit.high * 1.000001, False), (limit.low, True)):
            assert (f"{field}" not in _said(field, value)) == allowed, (field, value)


def _said(field: str, value: float) -> str:
    """What is said of a study in which the field has that value; nothing if it is read."""
    table, _, key = field.partition(".")
    number = int(value) if table == "run" else value
    document = {name: dict(entries) for name, entries in malformed.BASE.items()}
    document[table][key] = {"steps": [number], "means": [number, 0.0]}.get(key, number)
    try:
        parse(document)
    except InputError as fault:
        return str(fault)
    return ""


def test_consent_to_a_large_cost(empty: Path) -> None:
    """Assert that --large lets pass what is refused without it, and no more than the limits of the fields."""
    file = empty.parent / "study.toml"
    file.write_text(malformed.changed(run__points=3_000_000), encoding="utf-8")
    refused(contained.typed(empty, "study", "../study.toml"), empty, "this study needs about 1.44 GB")
    assert contained.typed(empty, "study", "../study.toml", "--large").code == 0
    shutil.rmtree(empty / "results")
    file.write_text(malformed.changed(run__points=10_000_001), encoding="utf-8")
    refused(contained.typed(empty, "study", "../study.toml", "--large"), empty, "run.points")


def drawn(count: int, cases: st.SearchStrategy[Any], examine: Callable[[Any], None]) -> None:
    """Examine so many cases, the same ones every time."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    drawing = settings(max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=checks)

    @drawing
    @given(cases)
    def each(case: Any) -> None:
        examine(case)

    each()


def emptied(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def counts(few: int, many: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("count", [few, pytest.param(many, marks=pytest.mark.slow)])


@counts(120, 1000)
def test_drawn_study_files(count: int, empty: Path, record_property: Callable[..., None]) -> None:
    """Assert that each is answered or refused."""
    record_property("cases", count)

    def examine(text: str) -> None:
        (empty.parent / "study.toml").write_text(text, encoding="utf-8")
        emptied(empty)
        contained.check(contained.typed(empty, "study", "../study.toml", "--json"), empty)

    drawn(count, malformed.studies(), examine)


@pytest.mark.slow
@pytest.mark.parametrize("count", [60])
def test_drawn_studies_that_are_run(count: int, empty: Path, record_property: Callable[..., None]) -> None:
    """Assert that a tiny one with nothing wrong but its numbers is answered, or refused before anything is written."""
    record_property("cases", count)

    def examine(text: str) -> None:
        (empty.parent / "study.toml").write_text(text, encoding="utf-8")
        emptied(empty)
        contained.check(contained.typed(empty, "study", "../study.toml", "--json"), empty)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(studies, "records_of", RECORDS)
        drawn(count, malformed.studies(most=0, tiny=True), examine)


@counts(40, 400)
def test_drawn_descriptions_of_checkpoints(count: int, empty: Path, record_property: Callable[..., None]) -> None:
    """Assert the same of checkpoint.toml, with consent to everything but the hub."""
    record_property("cases", count)

    def examine(text: str) -> None:
        answer = described(empty, text, "--allow-pickle", "--large")
        assert answer.code == 2, answer
        contained.check(answer, empty)

    drawn(count, malformed.descriptions(), examine)


@counts(40, 400)
def test_drawn_command_lines(count: int, empty: Path, record_property: Callable[..., None]) -> None:
    """Assert the same of what is typed, or that it is answered: some of what is drawn is right."""
    record_property("cases", count)

    def examine(arguments: list[str]) -> None:
        emptied(empty)
        answer = contained.typed(empty, *arguments)
        assert answer.code in (0, 1, 2), answer
        if answer.code == 2:
            contained.check(answer, empty)

    drawn(count, malformed.COMMAND_LINES, examine)
