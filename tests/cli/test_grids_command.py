"""`samplerproof grids`: the kinds, and the levels of one."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from samplerproof.book.pages.grids_page import grids_page
from samplerproof.cli import show
from samplerproof.cli.grids_command import kinds, levels
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.generated.citations import CITATIONS
from samplerproof.numerics.generated.schedule_functions import SCHEDULES
from samplerproof.numerics.grid_kinds.all_kinds import KINDS
from samplerproof.numerics.grids import grid
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.studies.config import Study, read
from samplerproof.numerics.studies.problem import grids_of
from samplerproof.numerics.studies.run import run

Command = Callable[..., "CompletedProcess[str]"]


def test_kinds_have_the_promised_keys() -> None:
    """Assert one entry a kind, in JSON, with defaults as they are typed."""
    answer = json.loads(json.dumps(kinds(), allow_nan=False))
    assert [kind["name"] for kind in answer] == list(KINDS)
    assert all(list(kind)[:4] == ["name", "parameters", "aliases", "cite"] for kind in answer)
    assert {kind["cite"] for kind in answer} - {None} <= set(CITATIONS)
    by_name = {kind["name"]: kind for kind in answer}
    assert [p["default"] for p in by_name["karras"]["parameters"]] == [None, None, "7", "0"]
    assert by_name["simple"]["parameters"][0]["words"] == ["scaled-linear", "linear", "squaredcos", "flow"]


@pytest.mark.parametrize("option", [("--steps", "4"), ("--schedule", "flow")])
def test_options_of_levels_need_a_kind(samplerproof: Command, option: tuple[str, str]) -> None:
    """Assert that steps or a schedule without a kind are refused, and not left aside."""
    done = samplerproof("grids", *option)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr == "samplerproof: KIND: got 'nothing'; a kind of grid, whose levels --steps and --schedule choose\n"
    )


def test_levels_are_those_of_the_grid_noisiest_first(samplerproof: Command) -> None:
    """Assert the columns of sp.grid between 0.002 and 80 on the default schedule, and null for an infinite lambda."""
    answer = json.loads(samplerproof("grids", "karras?rho=5&zero=1", "--steps", "4", "--json").stdout)
    columns = grid(schedule("edm"), "karras", 4, sigma_min=0.002, sigma_max=80, rho=5, zero=1).columns
    assert list(answer) == ["name", "steps", "schedule", "sigma", "alpha", "t", "lambda", "findings"]
    assert answer["sigma"] == answer["t"] == columns.sigma.tolist()
    assert answer["lambda"] == [*columns.lam.tolist()[:-1], None]
    assert (answer["name"], answer["steps"], answer["alpha"]) == ("karras?rho=5&zero=1", 4, [1.0] * 5)


def test_a_person_reads_whole_names_and_every_level(samplerproof: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """Assert that no name is cut, and a line for each level."""
    listed = samplerproof("grids").stdout
    assert all(name in listed for name in KINDS)
    show.levels(levels("comfyui:simple", 30, "vp-linear?beta_max=30"))
    shown = capsys.readouterr().out
    assert "comfyui:simple, 30 steps, schedule vp-linear?beta_max=30" in shown
    assert [line.split()[0] for line in shown.splitlines()[2:]] == [str(n) for n in range(31)]


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_default_ends_lie_on_every_schedule(name: str) -> None:
    """Assert that kinds between ends have levels wherever no end is given, down to the schedule's."""
    for kind in ("uniform-t", "uniform-lambda", "karras"):
        assert len(levels(kind, 5, name)["t"]) == 6


@pytest.mark.parametrize(
    ("name", "steps", "process", "message"),
    [
        ("carras", 10, "edm", "grid: got 'carras'; not a known kind of grid; nearest: karras"),
        ("diffusers:DDIMScheduler", 10, "edm", "the levels of a scheduler are scheduler:diffusers:DDIMScheduler"),
        ("karras?rho=0", 10, "edm", "0 < rho < inf"),
        ("karras?ro=7", 10, "edm", "karras takes sigma_min, sigma_max, rho, zero"),
        ("karras?ro=7", 10, "edm", "each once: karras?sigma_min=0.002&sigma_max=80&rho=7&zero=0"),
        ("karras?sigma_min=a", 10, "edm", "sigma_min is a number such as 0.002: "),
        ("flow?shift=-1", 10, "flow", "0 < shift < inf"),
        ("flow", 10, "edm", "sigma of the flow = 1 is not on edm"),
        ("simple?betas=cosine", 10, "edm", "betas is one of scaled-linear, linear, squaredcos, flow"),
        ("simple?train=10.5", 10, "edm", "train is a whole number, 2 <= train <= 100000"),
        ("karras?rho=1e-8", 10, "edm", "grid.rho: got 1e-08; so large that"),
        ("sgm-uniform?beta_start=0", 10, "edm", "grid.beta_start: got 0.0; a number > 0"),
        ("simple?beta_end=1&train=100000", 10, "edm", "grid.beta_end: got 1.0; so small that alpha > 0"),
        ("karras", 10, "vp-linear?beta_max=1e9", "--schedule: got 'vp-linear?beta_max=1e9'; parameters with alpha > 0"),
        ("karras", 0, "edm", "--steps: got 0; a number from 1 to 100000"),
        ("karras", 10, "edn", "not a known schedule; nearest: edm"),
        ("list", 10, "edm", "a list of levels, or of timesteps, or a file that has one"),
    ],
)
def test_bad_input_is_refused(name: str, steps: int, process: str, message: str) -> None:
    """Assert that a bad kind, parameter, number of steps or schedule is refused with what is allowed."""
    with pytest.raises(InputError) as refused:
        levels(name, steps, process)
    assert message in str(refused.value)


def test_extreme_parameters_that_have_levels_are_taken() -> None:
    """Assert falling levels next to those that are refused."""
    for name in ("karras?rho=0.02", "sgm-uniform?beta_start=1e-9", "simple?beta_start=0&zero=0", "simple?beta_end=1/2"):
        sigma = levels(name, 10, "edm")["sigma"]
        assert all(later < earlier for earlier, later in itertools.pairwise(sigma))


def test_a_refusal_is_one_line(samplerproof: Command) -> None:
    """Assert exit code 2, and one line on standard error alone."""
    done = samplerproof("grids", "karas", "--json")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("samplerproof: grid: got 'karas'; not a known kind of grid; nearest: karras")
    done = samplerproof("grids", "karras", "--steps", "x")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("samplerproof: Invalid value for '--steps': must be a valid integer")


STUDY = """
[target]
weights = [0.35, 0.65]
means = [-1.2, 0.9]
stds = [0.5, 0.35]
[schedule]
kind = "edm"
[grid]
kind = "list"
sigmas = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029]
[run]
methods = ["dpm-solver++-2m", "ddim"]
steps = [10]
metrics = ["w2"]
points = 501
"""


def test_a_study_runs_on_a_list_of_levels(tmp_path: Path) -> None:
    """Assert that the published levels of AYS, as a list and by name, give the same errors, 2M the smaller one."""
    found = []
    for text in (STUDY, STUDY.replace('"list"', '"ays-sd1"').replace("sigmas", "# ")):
        file = tmp_path / "study.toml"
        file.write_text(text, encoding="utf-8")
        study = read(file)
        assert isinstance(study, Study)
        found.append([record["value"] for record in run(study, None)["records"]])
    assert found[0] == found[1]
    assert 0 < found[0][0] < found[0][1] < 0.1


def study_of(file: Path) -> None:
    """Read the file and make its grids."""
    study = read(file)
    assert isinstance(study, Study)
    grids_of(study)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("6.475", "16.475", "grid.sigmas[1]: got 16.475; a finite number >= 0, below the level before"),
        ("6.475", "nan", "grid.sigmas[1]: got nan; every entry must be finite"),
        ("6.475", "14.615", "grid.sigmas[1]: got 14.615; a finite number >= 0, below the level before"),
        ("sigmas = [14.615, ", "sigmas = [0.5]  # ", "grid.sigmas: got [0.5]; at least two levels"),
        ("sigmas = [", "sigmas = 3 # [", "grid.sigmas: got 3; must be a list of levels"),
        ("[10]", "[10, 20]", "run.steps[1]: got 20; 10, as the lists of levels have; or leave run.steps out"),
        ('"list"', '"lst"', "grid.kind: got 'lst'; not a known grid; nearest: list"),
        ('"edm"', '"flow"', "grid.kind: got 'list'; levels that the schedule has; sigma = 14.615 is not on flow"),
        ('"list"\n', '"flow"\nshift = 0 # ', "grid.shift: got 0.0; a number > 0"),
        ('"list"\n', '"flow"\nshift = [1.0] # ', "grid.shift: got [1.0]; must be a valid number"),
        ('"list"\n', '"flow"\nshift = true # ', "grid.shift: got True; must be a valid number"),
        ('"list"\n', '"simple"\nbetas = 3 # ', "grid.betas: got 3; must be a word"),
    ],
)
def test_bad_grids_of_a_study_are_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    """Assert that a file with a bad grid is refused before anything runs, by its field."""
    text = STUDY.replace(old, new)
    if '"list"' in old and '"lst"' not in new:
        text = text.replace("\nsigmas", "\n# ")
    file = tmp_path / "bad.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        study_of(file)
    assert message in str(refused.value)


def test_the_page_of_the_book_has_every_kind() -> None:
    """Assert a heading, the formula, the source and the aliases of every kind, and paired dollar signs."""
    (page,) = grids_page().values()
    for kind in KINDS.values():
        assert f"### `{kind.name}`" in page
        assert f"$$\n{kind.formula}\n$$" in page
        assert not kind.cite or f"{{cite:t}}`{kind.cite}`" in page
        assert all(f"`{alias}`" in page for alias in kind.names)
    assert page.count("$") % 2 == 0
    assert len(kinds()) == len(KINDS)


LEVELS = [14.615, 6.475, 0.029]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "# of a model card\n14.615 6.475,\n0.029\n"),
        ("a.csv", "n,sigma\n0,14.615\n1,6.475\n2,0.029\n"),
        ("a.csv", "14.615\n6.475\n0.029\n"),
        ("a.json", "[14.615, 6.475, 0.029]"),
        ("a.json", '{"model": "sd1", "sigmas": [14.615, 6.475, 0.029]}'),
    ],
)
def test_levels_are_read_from_a_file(tmp_path: Path, name: str, text: str) -> None:
    """Assert that the command, Python and a study file, relative to its folder, take the levels of a file."""
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    assert levels(f"list?sigmas={file}", None, "edm")["sigma"] == LEVELS
    assert grid(schedule("edm"), "list", 2, sigmas=str(file)).columns.sigma.tolist() == LEVELS
    lines = STUDY.replace("sigmas = [", f'sigmas = "{name}"\n# ').replace("steps = [10]", "")
    (tmp_path / "study.toml").write_text(lines, encoding="utf-8")
    study = read(tmp_path / "study.toml")
    assert isinstance(study, Study)
    assert [(choice.parameters, choice.called) for choice in study.grids] == [({"sigmas": LEVELS}, "list-2")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "3 1 two", "grid.sigmas[2]: got 'two'; a finite number"),
        ("a.txt", "3 nan 1", "grid.sigmas[1]: got 'nan'; a finite number"),
        ("a.txt", "1 3", "grid.sigmas[1]: got 3.0; a finite number >= 0, below the level before, 1.0"),
        ("a.txt", "3", "grid.sigmas: got [3.0]; at least two levels"),
        ("a.csv", "a,b\n3,2\n1,0\n", "one column, or a column that is named sigmas"),
        ("a.json", "{}", "a list of numbers, or an object that has one under 'sigmas'"),
        ("a.json", "[3", "valid JSON"),
        ("a.dat", "3 1", "a file that ends in .txt, .csv or .json"),
        ("a.txt", "# no levels", "a file with at least two levels"),
        ("b.txt", None, "a file that can be read"),
    ],
)
def test_a_bad_file_of_levels_is_one_line(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    """Assert the entry, or the file, and what is allowed."""
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        levels(f"list?sigmas={tmp_path / name}", None, "edm")
    assert message in str(refused.value)


def test_levels_are_read_back_from_a_function_in_a_file(tmp_path: Path) -> None:
    """Assert it of a function (n, …) and of one (model_sampling, steps) as ComfyUI's; a missing one is refused."""
    file = tmp_path / "mine.py"
    file.write_text(
        "def plain(n, top=10.0):\n    return [top * (1 - i / n) for i in range(n + 1)]\n"
        "def simple(model_sampling, steps):\n    s = model_sampling.sigmas\n"
        "    return [float(s[-(1 + int(k * len(s) / steps))]) for k in range(steps)] + [0.0]\n",
        encoding="utf-8",
    )
    assert levels(f"scheduler:{file}:plain?top=4.0", 4, "edm")["sigma"] == [4.0, 3.0, 2.0, 1.0, 0.0]
    assert levels(f"scheduler:{file}:simple", 7, "edm")["sigma"] == levels("simple", 7, "edm")["sigma"]
    with pytest.raises(InputError, match="no object of this name in"):
        levels(f"scheduler:{file}:plane", 4, "edm")


def test_the_findings_stand_beside_the_levels(capsys: pytest.CaptureFixture[str]) -> None:
    """Assert the notes on a kind that begins below its model's noisiest level, as data and in print; none elsewhere."""
    answer = levels("leading", 10, "edm")
    assert [(f["kind"], f["step"], f["severity"]) for f in answer["findings"]] == 2 * [("grid", 0, "note")]
    show.levels(answer)
    shown = " ".join(capsys.readouterr().out.split())
    assert "grid: level 0 is sigma = 8.3466; it should be the noisiest that the model was trained on" in shown
    assert levels("trailing", 10, "edm")["findings"] == []


@pytest.mark.slow
def test_many_levels_take_seconds() -> None:
    """Assert a hundred thousand steps of a kind of a discrete model on a schedule that inverts its levels."""
    started = time.process_time()
    assert len(levels("normal", 100_000, "vp-linear")["sigma"]) == 100_001
    assert time.process_time() - started < 20


def test_a_study_has_one_line_for_what_every_number_of_steps_has(capsys: pytest.CaptureFixture[str]) -> None:
    def found(steps: int, detail: str, severity: str) -> dict[str, object]:
        return {"steps": steps, "step": 0, "detail": detail, "severity": severity}

    listed = [found(10, "too low", "note"), found(20, "too low", "note"), found(20, "too low", "error")]
    made = {"name": "own", "findings": [*listed, found(40, "other", "note")]}
    manifest = {"computed": 3, "reused": 0, "recomputed": 0}
    show.study({"records": [], "fits": [], "external": {}, "grids": [made], "manifest": manifest})
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("grid")]
    assert lines == [
        "grid own, N = 10, 20: too low",
        "grid own, N = 20 (error): too low",
        "grid own, N = 40: other",
    ]
