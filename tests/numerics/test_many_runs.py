"""Runs of many tables together: each ends as it does alone, with fewer questions, and one that diverges is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from samplerproof.numerics.denoisers import Counting
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grids import grid
from samplerproof.numerics.many_runs import run_many
from samplerproof.numerics.points import Point
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.studies.config import parse
from samplerproof.numerics.studies.measure import Measurement
from samplerproof.numerics.studies.mixture_problem import MixtureProblem, prepare
from samplerproof.numerics.studies.study_records import Piece, measured
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture

PLANE = GaussianMixture([0.5, 0.3, 0.2], [[1.5, 0.0], [-1.0, 1.0], [0.0, -1.5]], stds=[0.5, 0.4, 0.6])
START = 8 * torch.randn(7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
TABLES = [
    tabulate(name, grid(schedule("edm"), "karras", steps, sigma_min=0.1, sigma_max=8.0, rho=7))
    for steps in (4, 6)
    for name in ("ddim", "ddim", "dpm-solver++-2m", "exp-adams-noise-3", "unipc-3", "edm-heun", "dpm-solver-3s")
]


def test_tables_run_together_end_as_alone_with_fewer_calls() -> None:
    """Assert equality over frames, history, stages and correctors on two grids, and a call a step for three tables."""
    alone = [sample(PLANE, START, table) for table in TABLES]
    together = run_many(PLANE, START, TABLES)
    for ours, theirs in zip(together, alone, strict=True):
        assert ours is not None
        assert float((ours - theirs).abs().max()) < 1e-12 * (1 + float(theirs.abs().max()))
    run_many(counted := Counting(PLANE), START, TABLES[:3])
    assert counted.calls == 4
    assert not torch.equal(alone[0], alone[2])


def test_a_table_that_diverges_is_none_and_disturbs_no_other() -> None:
    outputs = TABLES[0].outputs.clone()
    outputs[1] = torch.inf
    broken = replace(TABLES[0], outputs=outputs)
    found, alone = run_many(PLANE, START, [broken, TABLES[2]]), sample(PLANE, START, TABLES[2])
    assert found[0] is None
    assert found[1] is not None
    assert torch.allclose(found[1], alone, rtol=0, atol=1e-12)


METHODS = ["ddim", "dpm-solver++-2s", "unipc-3", "edm-heun", "dpm-solver-3s", "exp-adams-4", "ddpm"]
WANTED = ["trajectory", "tv"]


def problem(start: str, methods: list[str] = METHODS) -> MixtureProblem:
    """A study on the line, whose runs refine their nodes."""
    target = {"weights": [0.5, 0.2, 0.3], "means": [-3.0, 0.1, 3.0], "stds": [0.3, 0.2, 0.5]}
    grid = {"kind": "uniform-t", "t_min": 1e-2, "t_max": 1.0}
    run = {"methods": methods, "steps": [12], "metrics": WANTED, "points": 201, "start": start}
    return prepare(parse({"target": target, "schedule": {"kind": "vp-linear"}, "grid": grid, "run": run}))


@pytest.mark.parametrize("start", ["ramp", "exact"])
def test_values_of_runs_together_are_those_of_each_alone(start: str) -> None:
    """Assert it to the bit, of histories, stages and correctors, with one that draws noise and one that diverges."""
    of = problem(start, [name for name in METHODS if start == "ramp" or name != "ddpm"])
    (grid,) = of.grids.values()
    tables = [of.tableau(sampler, key) for key in of.grids for sampler in of.samplers]
    tables.append(replace(tables[0], outputs=1e200 * tables[0].outputs))
    study = Measurement(of)
    ends = study.ends(tables, grid)
    assert [end is None for end in ends] == [any(table.drawn) for table in tables[:-1]] + [True]
    for table, end in zip(tables, ends, strict=True):
        alone = Measurement(of).measure(table, grid, WANTED)
        assert study.measure(table, grid, WANTED, end) == alone
        assert (alone["tv"].value is None) == (table is tables[-1])


def test_a_point_where_the_law_is_singular_is_the_fault_of_its_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Assert that the others have the values that they have without it."""
    of = problem("ramp", METHODS[:4])
    pieces = [Piece(sampler, key, ("trajectory",)) for key in of.grids for sampler in of.samplers]
    tables = {piece.sampler.name: of.tableau(piece.sampler, piece.on) for piece in pieces}
    points = [*tables["unipc-3"].points]
    points[3] = Point(0.0, 0.0)
    tables["unipc-3"] = replace(tables["unipc-3"], points=tuple(points))
    alone = [next(measured(Measurement(of), [piece])) for piece in pieces]
    monkeypatch.setattr(MixtureProblem, "tableau", lambda _, sampler, key: tables[sampler.name])
    together: list[Any] = list(measured(Measurement(of), pieces))
    assert [values["trajectory"].reason is None for values in together] == [True, True, False, True]
    assert "finite and positive" in together.pop(2)["trajectory"].reason
    assert together == alone[:2] + alone[3:]
    with pytest.raises(InputError):
        Measurement(of).measure(tables["unipc-3"], *of.grids.values(), ["trajectory"])
