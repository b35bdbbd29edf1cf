"""Samplers of the user's own by path, as objects and as tables: in studies, in verify, in read_back."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import samplerproof as sp
import samplerproof.numerics
from samplerproof.numerics.conformance.adapters.resolve import resolve
from samplerproof.numerics.conformance.adapters.target import split, typed
from samplerproof.numerics.errors import InputError, SamplingError
from samplerproof.numerics.studies.external_answer import external_lines
from samplerproof.numerics.studies.from_tables import run_tables
from samplerproof.numerics.studies.likeness import nearest
from samplerproof.numerics.studies.read_function import AsItIs, read_on, reading
from samplerproof.numerics.table_file import write_table

from ..support import own_samplers

FILE = str(Path(own_samplers.__file__).resolve())
LINE = {"weights": [0.35, 0.65], "means": [-1.2, 0.9], "stds": [0.5, 0.35]}
PLANE = {"weights": [0.4, 0.6], "means": [[-1.0, 0.5], [0.8, -0.3]], "stds": [0.5, 0.4]}
UNIFORM = {"kind": "uniform-lambda", "t_min": 1e-3, "t_max": 1.0}
TWO_M = "dpm-solver++-2m"


def tables(methods: Any, **run: Any) -> dict[str, Any]:
    """A study of methods on the line, on the process that preserves the variance."""
    few = {"steps": [6, 12], "metrics": ["trajectory"], "points": 401, "init": "normal"}  # which has no leading errors
    run = {"methods": methods, **few, **run}
    return {"target": LINE, "schedule": {"kind": "vp-linear"}, "grid": UNIFORM, "run": run}


def values(answer: dict[str, Any], method: str) -> list[Any]:
    return [record["value"] for record in answer["records"] if record["method"] == method]


def external(answer: dict[str, Any], method: str) -> list[dict[str, Any]]:
    return [entry for entry in answer["external"] if entry["method"] == method]


def grid(kind: str = "vp-linear", steps: int = 12) -> sp.Grid:
    """A grid of the process, without its ends at alpha = 0."""
    return sp.grid(sp.schedule(kind), "uniform-lambda", steps, t_min=1e-2, t_max=0.99)


def off_by_a_millionth(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
    return own_samplers.two_m(denoise, x, sigmas, 1 + 1e-6)


@pytest.fixture(scope="module")
def as_objects() -> dict[str, Any]:
    """A study of functions beside methods."""
    own = [own_samplers.two_m, off_by_a_millionth, own_samplers.reversed_two_m, own_samplers.clipped]
    return run_tables(tables([TWO_M, *own], steps=[12, 24, 48], init="exact"))


@pytest.fixture(scope="module")
def by_path() -> dict[str, Any]:
    """The same by the path of a file, with options."""
    names = ["two_m", "two_m?factor=1.000001", "reversed_two_m", "clipped"]
    study = tables([TWO_M, *(f"own_samplers.py:{n}" for n in names)], steps=[12, 24, 48], init="exact")
    return run_tables(study, base=Path(FILE).parent)


@pytest.mark.slow
def test_a_function_has_the_values_of_the_record_that_it_is(as_objects: dict[str, Any]) -> None:
    """Assert 1e-12 and the leading error, and that a weight off by a millionth shows and equals nothing."""
    ours = values(as_objects, TWO_M)
    assert values(as_objects, "two_m") == pytest.approx(ours, rel=1e-12, abs=0)
    assert {e["equals"] for e in external(as_objects, "two_m")} == {TWO_M}
    off = values(as_objects, "off_by_a_millionth")
    assert all(1e-8 < abs(a / b - 1) < 1e-4 for a, b in zip(off, ours, strict=True))
    for entry in external(as_objects, "off_by_a_millionth"):
        assert (entry["equals"], entry["nearest"]) == (None, TWO_M)
        assert 1e-8 < entry["difference"] < 1e-5
    predicted: dict[str, list[Any]] = {}
    for record in as_objects["records"]:
        predicted.setdefault(record["method"], []).append(record["predicted"])
    assert predicted["two_m"] == predicted[TWO_M]
    assert None not in predicted["two_m"]
    assert predicted["off_by_a_millionth"] == [None] * 3


def reasons(answer: dict[str, Any]) -> dict[str, Any]:
    """Why methods have no leading error, up to the comma."""
    return {fit["method"]: (fit["unpredicted"] or "").partition(", and")[0] for fit in answer["fits"]}


def test_why_there_is_no_leading_error(as_objects: dict[str, Any]) -> None:
    """Assert the reason of a sampler of another formula, and of one that has no table."""
    why = reasons(as_objects)
    assert (why["reversed_two_m"], why["clipped"]) == ("its table is that of no method", "it has no table here")
    assert why["two_m"] == ""


@pytest.mark.slow
def test_why_there_is_no_leading_error_of_another_last_step() -> None:
    """Assert that the reason agrees with what the sampler equals."""

    def ends_lower(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
        x = own_samplers.two_m(denoise, x, sigmas[:-1])
        last = sigmas[-1] / sigmas[-2]
        return last * x + (1 - last) * denoise(x, sigmas[-2])

    answer = run_tables(tables([ends_lower], steps=[8], init="exact"))
    (entry,) = external(answer, "ends_lower")
    assert entry["equals"] == f"{TWO_M} (last steps of lower order)"
    assert reasons(answer)["ends_lower"] == f"it equals {entry['equals']}"


def test_history_reversed_is_of_order_one_beside_the_nearest_record(as_objects: dict[str, Any]) -> None:
    """Assert order 1, where 2M has 2, and that no record is said to be equal, in the lines of the terminal too."""
    orders = {fit["method"]: fit["exponent"] for fit in as_objects["fits"]}
    assert orders["reversed_two_m"] == pytest.approx(1, abs=0.15)
    assert orders[TWO_M] == pytest.approx(2, abs=0.1)
    for entry in external(as_objects, "reversed_two_m"):
        assert entry["linear"]
        assert entry["equals"] is None
        assert entry["nearest"] is not None
        assert entry["difference"] > 0.05
    lines = external_lines(as_objects["external"])
    assert f"two_m: equals {TWO_M}" in lines
    (line,) = (line for line in lines if line.startswith("reversed_two_m: equals no method; the nearest is "))
    agreeing = re.search(r"it agrees on (\d+) of (\d+) rows, and others differ by up to", line)
    assert agreeing is not None
    assert int(agreeing[1]) < int(agreeing[2])


def test_a_function_that_is_not_linear_is_run_as_it_is(as_objects: dict[str, Any]) -> None:
    """Assert an error that stays, values that are not kept, and the reason."""
    assert all(0.2 < value < 0.5 for value in values(as_objects, "clipped"))
    for entry in external(as_objects, "clipped"):
        assert (entry["linear"], entry["equals"], entry["kept"]) == (False, None, False)
        assert "run as it is, since it is not linear: random inputs deviate" in entry["note"]


@pytest.mark.slow
def test_a_target_by_path_has_the_values_of_the_object(as_objects: dict[str, Any], by_path: dict[str, Any]) -> None:
    """Assert that a process of its own changes no value and no answer, under the text that was typed."""
    pairs = {
        "two_m": "two_m",
        "two_m?factor=1.000001": "off_by_a_millionth",
        "reversed_two_m": "reversed_two_m",
        "clipped": "clipped",
    }
    for typed_name, name in pairs.items():
        target = f"own_samplers.py:{typed_name}"
        assert values(by_path, target) == pytest.approx(values(as_objects, name), rel=1e-12, abs=0)
        for one, other in zip(external(by_path, target), external(as_objects, name), strict=True):
            assert {**one, "method": "", "difference": 0} == {**other, "method": "", "difference": 0}


def test_one_target_by_path() -> None:
    """Assert 2M's value and record of a file beside the study."""
    answer = run_tables(tables([TWO_M, "own_samplers.py:two_m"], steps=[12]), base=Path(FILE).parent)
    assert values(answer, "own_samplers.py:two_m") == pytest.approx(values(answer, TWO_M), rel=1e-12, abs=0)
    assert external(answer, "own_samplers.py:two_m")[0]["equals"] == TWO_M


def test_what_is_run_as_it_is_has_the_values_of_its_table() -> None:
    """Assert that 2M run on the mixture, not as a table, has the record's trajectory; tv is null with the reason."""

    def bounded(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
        return own_samplers.two_m(lambda x, sigma: denoise(x, sigma).clamp(-1e4, 1e4), x, sigmas)

    answer = run_tables(tables([TWO_M, bounded], metrics=["trajectory", "tv"], steps=[12], points=4001))
    ours, theirs = ({r["metric"]: r for r in answer["records"] if r["method"] == m} for m in (TWO_M, "bounded"))
    assert not external(answer, "bounded")[0]["linear"]
    assert theirs["trajectory"]["value"] == pytest.approx(ours["trajectory"]["value"], rel=1e-5)
    assert theirs["trajectory"]["nfe"] == 12
    assert theirs["tv"]["value"] is None
    assert "not linear has no table" in theirs["tv"]["reason"]


def test_in_the_plane_a_sampler_run_as_it_is_has_metrics_of_samples() -> None:
    """Assert trajectory and moments of 2M on its samples, and that one which draws has no trajectory."""

    def bounded(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
        return own_samplers.two_m(lambda x, sigma: denoise(x, sigma).clamp(-1e4, 1e4), x, sigmas)

    def jittered(denoise: Any, x: Tensor, sigmas: Tensor, noise: Any) -> Tensor:
        return bounded(denoise, x, sigmas) + 1e-3 * noise(x)

    plane = tables([TWO_M, bounded, jittered], steps=[6], metrics=["trajectory", "moments"], points=200)
    answer = run_tables({**plane, "target": PLANE})
    ours, theirs = values(answer, TWO_M), values(answer, "bounded")
    assert theirs == pytest.approx(ours, rel=1e-9)
    trajectory, moments = values(answer, "jittered")
    assert trajectory is None
    assert moments == pytest.approx(ours[1], rel=0.1)


def test_a_run_as_it_is_is_computed_again_and_a_table_is_not(tmp_path: Path) -> None:
    """Assert what the folder keeps: values of a table, and none of code whose imports are not known."""
    study = tables([own_samplers.two_m, own_samplers.clipped], steps=[6])
    assert [run_tables(study, tmp_path)["manifest"]["computed"] for _ in range(2)] == [2, 1]


def scheduler(**options: Any) -> Any:
    diffusers = pytest.importorskip("diffusers")
    return diffusers.DPMSolverMultistepScheduler(
        prediction_type="sample", final_sigmas_type="sigma_min", lower_order_final=False, **options
    )


def test_a_scheduler_of_diffusers_runs_on_the_levels_of_the_study() -> None:
    """Assert 2M's values to 1e-12 of an object and of a class of the user's, and the word on its levels."""
    made = scheduler()

    class Own(type(made)):  # type: ignore[misc]
        """With the usual last step, of order one."""

    answer = run_tables(tables([TWO_M, made, Own]))
    assert values(answer, type(made).__name__) == pytest.approx(values(answer, TWO_M), rel=1e-12, abs=0)
    (entry, *_) = external(answer, type(made).__name__)
    assert entry["equals"] == TWO_M
    assert "put into its attribute `sigmas`" in entry["note"]
    assert external(answer, "Own")[0]["equals"] == f"{TWO_M} (last steps of lower order)"


def test_a_scheduler_with_levels_of_its_own_runs_on_these_only() -> None:
    """Assert that DDIM of diffusers is null on other levels, with the first that differs, and is ddim on its own."""
    diffusers = pytest.importorskip("diffusers")
    made = diffusers.DDIMScheduler(clip_sample=False, steps_offset=1, set_alpha_to_one=False)
    with pytest.raises(InputError, match="it has its own: its level 0 is sigma / alpha ="):
        read_on(grid(), "mine", made, "method")
    options = "clip_sample=false&steps_offset=1&set_alpha_to_one=false"
    own = sp.grid(sp.schedule("vp-linear"), f"scheduler:diffusers:DDIMScheduler?{options}", 10)
    assert nearest(read_on(own, "mine", made, "method"), own).name == "ddim"  # type: ignore[union-attr]


def heun(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
    """Heun in sigma: two evaluations a step."""
    for s, t in pairwise(sigmas):
        slope = (x - denoise(x, s)) / s
        y = x + (t - s) * slope
        x = x + (t - s) * (slope + (y - denoise(y, t)) / t) / 2
    return x


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The classes of the manual, in a file."""
    text = (Path(samplerproof.numerics.__file__).parents[1] / "book" / "manual.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text[text.index("(samplers-of-your-own)=") :], re.M | re.S)
    path = tmp_path_factory.mktemp("own") / "shown.py"
    path.write_text("\n\n".join(blocks[:3]), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "record", "steps"),
    [
        ("Ddim", "ddim", 8),
        ("FlowHeun", "flow-heun", 8),
        pytest.param("solver", TWO_M, 8, marks=pytest.mark.slow),
        pytest.param("Multistep?order=1", "ddim", 6, marks=pytest.mark.slow),
    ],
)
def test_the_classes_of_the_manual_are_these_methods(manual: Path, name: str, record: str, steps: int) -> None:
    """Assert their verdicts by path."""
    verdict = sp.testing.assert_conforms(f"{manual}:{name}", record, steps=steps, zero=False)
    assert verdict.verdict in ("identical", "roundoff")


@pytest.mark.parametrize("kind", ["vp-linear", "edm", "flow"])
def test_a_class_has_its_table_on_every_process(manual: Path, kind: str) -> None:
    """Assert DDIM's rows of the class in VP coordinates and of the one at alpha = 1, and not with a weight changed."""
    made = grid(kind)
    for name in ("Ddim", "Multistep?order=1"):
        table = own_table(f"{manual}:{name}", made)
        likeness = nearest(table, made, ["ddim"])
        assert likeness is not None
        assert likeness.difference < 1e-12
    changed = table.outputs.clone()
    changed[3, 0] *= 1 + 1e-6
    other = nearest(replace(table, outputs=changed), made, ["ddim"])
    assert other is not None
    assert not other.equal


def own_table(target: str, made: sp.Grid) -> Any:
    """The table of a class by path on a grid."""
    from samplerproof.numerics.conformance.adapters.objects import object_at

    library, name, options = split(target)
    found = object_at(library, name)
    return sp.read_back(found(**options) if options else found, made)


def test_a_table_file_has_values_where_it_was_made(tmp_path: Path) -> None:
    """Assert the record's values to the last bit on its own grid, null on another, by text and as an object."""
    study = tables([TWO_M, "table.json"], steps=[6, 12])
    made = sp.grid(sp.schedule("vp-linear"), "uniform-lambda", 12, t_min=1e-3, t_max=1.0)
    table = sp.tabulate(TWO_M, made)
    write_table(table, tmp_path / "table.json")
    answer = run_tables(study, base=tmp_path)
    assert values(answer, "table.json") == [None, pytest.approx(values(answer, TWO_M)[1], rel=1e-13)]
    (reason,) = (r["reason"] for r in answer["records"] if r["method"] == "table.json" and r["value"] is None)
    assert "12 steps" in reason
    named = f"table:{TWO_M}"
    assert values(run_tables(tables([TWO_M, table], steps=[12])), named) == values(answer, TWO_M)[1:]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("of_another_shape", "it ends with|ends with"),
        ("not_finite", "states are finite"),
        ("HalfWay", r"no process, no prediction, no levels, step\(model_output, timestep, sample\); a level has"),
    ],
)
def test_an_object_that_is_no_sampler_is_one_line(name: str, message: str) -> None:
    """Assert the reason, with the field."""
    with pytest.raises(InputError, match=rf"run.methods\[0\].*{message}") as refused:
        run_tables(tables([getattr(own_samplers, name)]))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.py:f", "no such file"),
        ("none.json", "none.json"),
        pytest.param(f"{FILE}:nothing", "no object of this name", marks=pytest.mark.slow),
        pytest.param("broken.py:f", "No module named 'no_such_module_at_all'", marks=pytest.mark.slow),
    ],
)
def test_a_target_that_cannot_be_read_is_one_line_and_nothing_is_written(
    tmp_path: Path, name: str, message: str
) -> None:
    """Assert the reason: a file that is missing, a name that is, a module that raises."""
    (tmp_path / "broken.py").write_text("import no_such_module_at_all\n", encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(message)) as refused:
        run_tables(tables(["ddim", name], steps=[6]), tmp_path / "out", base=tmp_path)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["a/b.py:f", "b.py:f?x=1", "C:\\a\\b.py:f"])
def test_the_path_of_a_file_is_a_library(text: str) -> None:
    """Assert that a target of a file is split behind `.py`, and put together again."""
    library, name, options = split(text)
    assert library.endswith(".py")
    assert typed(library, name, options) == text


def test_a_file_is_executed_afresh(tmp_path: Path) -> None:
    """Assert that a changed file is another sampler in the same process."""
    path = tmp_path / "mine.py"
    for factor in (1.0, 2.0):
        path.write_text(f"def f(denoise, x, sigmas):\n    return {factor} * denoise(x, sigmas[0])\n", encoding="utf-8")
        run = resolve(f"{path}:f").on_yours
        assert run is not None
        finish = run(grid("edm", 2))(torch.ones(1), lambda x, at, to: x, lambda like, span=None: like)
        assert float(finish.sample) == factor


def test_increments_over_one_interval_twice_are_refused() -> None:
    """Assert that a sampler which is run as it is cannot draw two increments of a path over one interval."""

    def twice(denoise: Any, x: Tensor, sigmas: Tensor, noise: Any) -> Tensor:
        x = denoise(x, sigmas[0]).clamp(-1, 1)
        return x + noise(x, sigmas[0], sigmas[1]) + noise(x, sigmas[0], sigmas[1])

    found = reading(grid(), "twice", twice, "method")
    assert isinstance(found, AsItIs)
    with pytest.raises(SamplingError, match="overlap"):
        found.run(LINE, torch.zeros(4, 1, dtype=torch.float64), 0)


def made_of(factor: float) -> Callable[..., Tensor]:
    return lambda denoise, x, sigmas: own_samplers.two_m(denoise, x, sigmas, factor)


def test_nearest_is_the_record_with_most_equal_rows() -> None:
    """Assert that one row changed much leaves the record the nearest, and a table of other steps has none."""
    made = grid()
    found = nearest(read_on(made, "mine", made_of(3.0), "method"), made)
    assert found is not None
    assert (found.name, found.equal) == (TWO_M, False)
    exact = nearest(sp.read_back(heun, made), made)
    assert exact is not None
    assert (exact.name, exact.equal) == ("edm-heun", True)
