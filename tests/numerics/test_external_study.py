"""A study of a Python function beside methods of the catalogue."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from samplerproof.numerics.content import digest
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grids import Grid, grid
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.studies.config import parse
from samplerproof.numerics.studies.cost import study_cost
from samplerproof.numerics.studies.from_tables import run_tables
from samplerproof.numerics.studies.read_function import read_on
from samplerproof.numerics.studies.study_figure import label_of, note_of
from samplerproof.numerics.support.consent import Consent
from samplerproof.numerics.tableau import Tableau, tabulate

LINE = {"weights": [0.35, 0.65], "means": [-1.2, 0.9], "stds": [0.5, 0.35]}
PLANE = {"weights": [0.4, 0.6], "means": [[-1.0, 0.5], [0.8, -0.3]], "stds": [0.5, 0.4]}
VP = {"kind": "vp-linear", "beta_min": 0.1, "beta_max": 20.0}
UNIFORM = {"kind": "uniform-lambda", "t_min": 1e-3, "t_max": 1.0}
PROCESSES: dict[str, dict[str, Any]] = {
    "vp": {"schedule": VP, "grid": UNIFORM},
    "flow": {"schedule": {"kind": "flow"}, "grid": {"kind": "uniform-t", "t_min": 1e-2, "t_max": 0.99}},
    "edm": {
        "schedule": {"kind": "edm"},
        "grid": {"kind": "karras", "sigma_min": 0.01, "sigma_max": 20.0, "rho": 7.0},
    },
    "li": {"schedule": {"kind": "li", "c0": 2.0, "c1": 4.0}},
}


def two_m(denoise: Any, x: Tensor, sigmas: Tensor, factor: float = 1.0) -> Tensor:
    """DPM-Solver++ 2M; factor: of one step's weight of the earlier output."""
    t, old = -sigmas.log(), None
    for i in range(len(sigmas) - 1):
        data, h = denoise(x, sigmas[i]), t[i + 1] - t[i]
        slope = (
            0.0
            if old is None
            else (data - old) / (t[i] - t[i - 1]) * h / 2 * (factor if i == len(sigmas) // 2 else 1.0)
        )
        x = sigmas[i + 1] / sigmas[i] * x - torch.expm1(-h) * (data + slope)
        old = data
    return x


def off_by_a_millionth(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
    return two_m(denoise, x, sigmas, 1 + 1e-6)


def heun(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
    """Heun's method in sigma, as EDM has it."""
    for sigma, later in pairwise(sigmas):
        slope = (x - denoise(x, sigma)) / sigma
        euler = x + (later - sigma) * slope
        x = x + (later - sigma) * (slope + (euler - denoise(euler, later)) / later) / 2
    return x


def ancestral(denoise: Any, x: Tensor, sigmas: Tensor, noise: Any) -> Tensor:
    """DDPM in the variance exploding form: k-diffusion's sample_euler_ancestral."""
    for sigma, later in pairwise(sigmas):
        up = (later**2 * (sigma**2 - later**2) / sigma**2).sqrt()
        down = (later**2 - up**2).sqrt()
        data = denoise(x, sigma)
        x = data + down / sigma * (x - data) + up * noise(x)
    return x


def clipped(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
    return two_m(lambda x, sigma: denoise(x, sigma).clamp(-1, 1), x, sigmas)


def raising(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
    raise LookupError("no such level")


def of_other_parameters(model: Any) -> None: ...


def tables(process: str = "vp", methods: Any = ("dpm-solver++-2m", two_m), **run: Any) -> dict[str, Any]:
    run = {"methods": methods, "steps": (8, 16, 32), "metrics": ["trajectory"], "points": 401, **run}
    return {"target": LINE, **PROCESSES[process], "run": run}


def curves(answer: dict[str, Any]) -> dict[str, list[Any]]:
    """The values of every method, in the order of steps and metrics."""
    found: dict[str, list[Any]] = {}
    for record in answer["records"]:
        found.setdefault(record["method"], []).append(record["value"])
    return found


@pytest.mark.parametrize("process", [p if p == "vp" else pytest.param(p, marks=pytest.mark.slow) for p in PROCESSES])
def test_a_function_measures_as_the_record_that_it_is(process: str) -> None:
    """Assert the record's values and exponents within roundoff on every process, and that a weight off by a millionth
    shows.
    """
    run = {"metrics": ["tv", "kl", "w2", "trajectory"], "steps": [24, 32, 48]}
    answer = run_tables(tables(process, ["dpm-solver++-2m", two_m, off_by_a_millionth], **run))
    ours, theirs, off = curves(answer).values()
    assert theirs == pytest.approx(ours, rel=1e-12)
    assert max(abs(a / b - 1) for a, b in zip(off, ours, strict=True)) > 1e-8
    for one, other in zip(answer["fits"][:4], answer["fits"][4:8], strict=True):
        assert other["exponent"] == pytest.approx(one["exponent"], rel=1e-9)
        assert other["method"] == "two_m"
        assert other["predicted"] == one["predicted"] is not None
    assert {fit["predicted"] for fit in answer["fits"][8:]} == {None}


@pytest.mark.slow
def test_a_function_of_two_stages_and_one_of_noise_measure_as_their_records() -> None:
    """Assert values of edm-heun, and of ddpm by the law of its output."""
    answer = run_tables(tables("edm", ["edm-heun", heun]))
    ours, theirs = curves(answer).values()
    assert theirs == pytest.approx(ours, rel=1e-11)
    assert [r["nfe"] for r in answer["records"]] == [16, 32, 64] * 2
    ours, theirs = curves(run_tables(tables("vp", ["ddpm", ancestral], metrics=["w2"], steps=[8]))).values()
    assert theirs == pytest.approx(ours, rel=1e-9)


@pytest.mark.slow
def test_a_function_runs_in_the_plane_and_on_a_network() -> None:
    """Assert the record's values where samples are run, and where a network is."""
    plane = {**tables(steps=[4], metrics=["trajectory", "moments"]), "target": PLANE}
    plane["run"] = {**plane["run"], "points": 100}
    ours, theirs = curves(run_tables(plane)).values()
    assert theirs == pytest.approx(ours, rel=1e-10)
    network = {**tables(steps=[4], points=2), "target": {"checkpoint": "rings"}}
    network["grid"] = {**UNIFORM, "t_min": 0.1, "t_max": 0.5}
    ours, theirs = curves(run_tables(network)).values()
    assert theirs == pytest.approx(ours, rel=1e-9)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (raising, "a sampler that runs (LookupError: no such level)"),
        (of_other_parameters, "takes model; called with (denoise, x, sigmas, noise)"),
    ],
)
def test_a_function_with_a_fault_of_its_own_is_refused(function: Any, reason: str) -> None:
    """Assert the field and the reason, alone and beside a method that has values."""
    for methods in ([function], ["ddim", function]):
        with pytest.raises(InputError, match=rf"run.methods\[{len(methods) - 1}\]") as refused:
            run_tables(tables(methods=methods))
        assert reason in str(refused.value)


def test_a_function_that_raises_on_some_grids_is_null_there() -> None:
    """Assert values on the other grids, and the reason."""

    def few(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
        return two_m(denoise, x, sigmas) if len(sigmas) == shortest + 1 else raising(denoise, x, sigmas)

    shortest = tables()["run"]["steps"][0]
    first, *others = run_tables(tables(methods=[few]))["records"]
    assert first["value"] is not None
    for record in others:
        assert record["value"] is None
        assert record["reason"].startswith("run.methods[0]")
        assert "a sampler that runs (LookupError: no such level)" in record["reason"]


def test_a_stochastic_function_follows_no_flow() -> None:
    """Assert that its trajectory error is null as that of a stochastic record, and refused where it stands alone."""
    answer = run_tables(tables(methods=["ddim", ancestral]))
    assert [r["value"] is None for r in answer["records"]] == [False] * 3 + [True] * 3
    assert "is stochastic and follows no flow" in answer["records"][-1]["reason"]
    with pytest.raises(InputError, match="ancestral' is stochastic and follows no flow"):
        run_tables(tables(methods=[ancestral]))


def test_a_function_makes_its_own_start() -> None:
    """Assert that exact start values are refused for it, and not for a record beside it."""
    answer = run_tables(tables(start="exact"))
    assert [r["value"] is None for r in answer["records"]] == [False] * 3 + [True] * 3
    assert "makes its own start; give ramp" in answer["records"][-1]["reason"]


def test_a_level_beyond_the_schedule_is_a_reason() -> None:
    """Assert that a function which steps above the first level of the schedule is null and says where."""

    def above(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
        denoise(x, sigmas[0] * 100)
        return two_m(denoise, x, sigmas)

    exploding = {"kind": "ve", "sigma_min": 0.02, "sigma_max": 20.0}
    study = {**tables(methods=["ddim", above]), "schedule": exploding, "grid": {**UNIFORM, "t_min": 0.1}}
    (reason,) = {r["reason"] for r in run_tables(study)["records"][3:]}
    assert "levels of the schedule" in reason


def test_values_of_a_function_are_kept_by_its_table(tmp_path: Path) -> None:
    """Assert that another function of one table is not run again, and one of another table is."""

    def the_same(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
        return two_m(denoise, x, sigmas)

    def computed(function: Any) -> int:
        found = run_tables(tables(methods=["mine"]), tmp_path, external={"mine": function})
        return int(found["manifest"]["computed"])

    assert [computed(f) for f in (two_m, two_m, the_same, off_by_a_millionth)] == [3, 0, 0, 3]


def test_a_long_table_needs_consent() -> None:
    """Assert that reading a function back on 4,000 steps is refused for its memory, and a method there is not."""
    with pytest.raises(InputError, match=r"run.steps: got 4000.*allowed without --large"):
        run_tables(tables(methods=[two_m], steps=[4000]))
    target = {**tables(), "run": {"methods": ["ddim"], "steps": [4000], "metrics": ["tv"], "points": 401}}
    study_cost(parse(target)).check(Consent())


def test_content_is_of_all_that_a_run_reads() -> None:
    """Assert that one coefficient and one point change it, and that the name does not."""
    table = tabulate("dpm-solver++-2m", grid(schedule("flow"), "uniform-t", 4, t_min=0.1, t_max=0.9))
    nudged = table.outputs.clone()
    nudged[1, 0] = torch.nextafter(nudged[1, 0], nudged[1, 0] + 1)
    moved = (*table.points[:-1], table.points[-1]._replace(t=0.2))
    others = [replace(table, outputs=nudged), replace(table, points=moved), replace(table, prediction="noise")]
    assert len({digest(one) for one in (table, *others)}) == 4
    assert digest(replace(table, method="another")) == digest(table)


class ByHand:
    """A sampler that gives its own table."""

    def __init__(self, cut: int = 0) -> None:
        self.cut = cut

    def tabulate(self, grid: Grid) -> Tableau:
        made = tabulate("ddim", grid)
        return replace(made, points=made.points[: len(made.points) - self.cut])


def test_a_sampler_may_give_its_own_table() -> None:
    """Assert ddim's values to the last bit, and that a table which ends elsewhere is null."""
    ours, theirs, short = curves(
        run_tables(tables(methods=["ddim", ByHand(), "cut"]), external={"cut": ByHand(1)})
    ).values()
    assert theirs == ours
    assert short == [None] * 3


def test_names_of_functions_are_distinct_and_not_in_the_catalogue(tmp_path: Path) -> None:
    """Assert that two functions of one name, and a function under a method's name, are refused; names can be given."""

    def made(factor: float) -> Any:
        return lambda denoise, x, sigmas: two_m(denoise, x, sigmas, factor)

    one, other = made(1.0), made(2.0)
    with pytest.raises(InputError, match=r"run.methods\[1\].*one sampler of this name"):
        run_tables(tables(methods=[one, other]))
    with pytest.raises(InputError, match="external: got 'ddim'"):
        run_tables(tables(methods=["ddim"]), external={"ddim": one})
    with pytest.raises(InputError, match=r"run.methods\[1\]: got 'mine'; listed already"):
        run_tables(tables(methods=["mine", "mine"]), external={"mine": one})
    with pytest.raises(InputError, match="not a known method"):
        run_tables(tables(methods=["mine"]))
    found = run_tables(tables(methods=["mine", "another"]), external={"mine": one, "another": other})
    assert list(curves(found)) == ["mine", "another"]


def test_arrays_tuples_and_ranges_stand_for_lists() -> None:
    """Assert the answer of a study in plain lists."""
    plain = run_tables(tables(methods=["ddim"], steps=[4, 5, 6]))
    target = {name: torch.tensor(value, dtype=torch.float64) for name, value in LINE.items()}
    other = run_tables({**tables(methods=("ddim",), steps=range(4, 7)), "target": target})
    assert other["records"] == plain["records"]


def test_a_study_is_drawn_into_its_folder(tmp_path: Path) -> None:
    """Assert every method with its note in the SVG, under its label, and that drawing needs a folder."""
    answer = run_tables(tables(), tmp_path, draw=True)
    text = (tmp_path / "convergence-trajectory.svg").read_text(encoding="utf-8")
    assert (tmp_path / "work-precision-trajectory.png").stat().st_size > 10_000
    for fit in answer["fits"]:
        assert f"<!-- {label_of(fit['method'])}: {note_of(fit)}" in text
    assert "still turning; equals DPM-Solver++(2M) -->" in text
    with pytest.raises(InputError, match="draw: got True"):
        run_tables(tables(), draw=True)


@pytest.mark.slow
def test_more_curves_than_colours_are_all_drawn(tmp_path: Path) -> None:
    """Assert that the ninth method of a study has its line."""
    names = [
        "ddim",
        "dpm-solver++-2m",
        "exp-adams-3",
        "exp-adams-4",
        "unipc-2",
        "edm-heun",
        "pndm",
        "ipndm-4",
        "li-ddim",
    ]
    run_tables(tables(methods=names, steps=[5, 6]), tmp_path, draw=True)
    text = (tmp_path / "convergence-trajectory.svg").read_text(encoding="utf-8")
    assert all(f"<!-- {label_of(name)} -->" in text for name in names)


def test_a_function_read_back_has_the_record_s_table() -> None:
    """Assert that a grid point is passed on bit for bit, so that a table keeps its own points."""
    made = grid(schedule("vp-linear", beta_min=0.1, beta_max=20.0), "uniform-lambda", 6, t_min=1e-3, t_max=1.0)
    found, expected = read_on(made, "mine", two_m, "method"), tabulate("dpm-solver++-2m", made)
    assert found.points == expected.points
    assert found.evaluated == expected.evaluated
    assert torch.allclose(found.outputs, expected.outputs, rtol=0, atol=1e-13)


@pytest.mark.parametrize("bound", [30.0, 1e3])
def test_a_function_that_clips_far_out_has_no_table(bound: float) -> None:
    """Assert that clipping beyond the size of the first random inputs is seen; the same function without it is read."""
    made = grid(schedule("edm"), "karras", 6, sigma_min=0.01, sigma_max=80.0, rho=7.0)

    def clips(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
        return two_m(lambda x, sigma: denoise(x.clamp(-bound, bound), sigma), x, sigmas).clamp(-bound, bound)

    with pytest.raises(InputError, match=r"linear in its start.*standard deviation 10000"):
        read_on(made, "clips", clips, "method")
    assert read_on(made, "mine", two_m, "method").isclose(tabulate("dpm-solver++-2m", made))


def test_a_function_that_adds_a_constant_has_no_table() -> None:
    """Assert that a constant below the rounding of the first random inputs is seen in small ones."""
    made = grid(schedule("edm"), "karras", 6, sigma_min=0.01, sigma_max=80.0, rho=7.0)
    with pytest.raises(InputError, match=r"standard deviation 0.0001"):
        read_on(made, "adds", lambda denoise, x, sigmas: two_m(denoise, x, sigmas) + 1e-8, "method")


class Tabulating:
    """An object that answers with what it is given, or raises it."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def tabulate(self, grid: Grid) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer(tabulate("ddim", grid))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (RuntimeError("no\ntable"), r"an object whose tabulate runs \(RuntimeError: no table\)"),
        (lambda table: None, "returns a Tableau, not NoneType"),
        (lambda table: replace(table, outputs=table.outputs[:-1]), "a row for each"),
        (lambda table: replace(table, step=table.step[:-1]), "a row for each"),
        (lambda table: replace(table, outputs=table.outputs.float()), "finite coefficients in float64"),
        (lambda table: replace(table, states=table.states * torch.nan), "finite coefficients in float64"),
    ],
)
def test_an_object_without_a_good_table_is_one_line(answer: Any, message: str) -> None:
    """Assert that what tabulate returns is checked before it is run."""
    made = grid(schedule("edm"), "karras", 6, sigma_min=0.01, sigma_max=80.0, rho=7.0)
    with pytest.raises(InputError, match=message) as refused:
        read_on(made, "mine", Tabulating(answer), "method")
    assert "\n" not in str(refused.value)
    assert read_on(made, "mine", Tabulating(lambda table: table), "method") == tabulate("ddim", made)


def test_a_function_that_leaves_python_is_one_line() -> None:
    """Assert that a function cannot end the process."""

    def leaves(denoise: Any, x: Tensor, sigmas: Tensor) -> Tensor:
        raise SystemExit(0)

    with pytest.raises(InputError, match=r"a sampler that runs \(SystemExit: 0\)"):
        run_tables(tables(methods=["mine"]), external={"mine": leaves})
