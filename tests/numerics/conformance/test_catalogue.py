"""Every record of the catalogue, run like an external sampler, is identified by its table, and as no other."""

from __future__ import annotations

import math

import pytest
import torch
from kinds import DETERMINISTIC, STOCHASTIC
from shapes import by_shape

from samplerproof.numerics.conformance.forward_processes import PROCESSES, grid_of, point
from samplerproof.numerics.conformance.judge.compare import deviations, same_shape
from samplerproof.numerics.conformance.judge.references import candidates
from samplerproof.numerics.readback import of_tableau, trace
from samplerproof.numerics.tableau import tabulate

LAMBDA = torch.tensor([-3.0, -2.4, -1.9, -1.2, -0.7, 0.1, 0.5, 1.2, 1.6, 2.3], dtype=torch.float64)
GRID = grid_of("vp", [point("vp", math.cos(t), math.sin(t)) for t in PROCESSES["vp"].time(LAMBDA).tolist()])
ONE_LAW = {"ddpm", "ddim-eta", "sa-solver-1"}  # one sampler at their defaults
# PNDM's start has its stages at the middle of the step in t, wherever that is: in rho it is the Runge-Kutta method.
SAME = {**dict.fromkeys(ONE_LAW, ONE_LAW), "deis-rho-rk4": {"deis-rho-rk4", "pndm-start"}}
# With free stages it is the sampler of order 3 at r2 = 2/3.
SAME |= {name: {name, f"{name}-free"} for name in ("dpm-solver-3s", "dpm-solver++-3s")}
CHECKED = [
    "ddim",
    "dpm-solver++-2m",
    "edm-heun",
    "unipc-2",
    "bdia-ddim",
    "li-accelerated-ode",
    "seeds-3",
    "sa-solver-p2c1",
]


def found_as(name: str) -> dict[str, float]:
    """The records within 1e-9 of a record's table, by name."""
    tableau = tabulate(name, GRID)
    seen = trace(of_tableau(tableau), tableau.prediction)
    assert max(seen.superposition) < 1e-14
    mine = seen.table
    near = {}
    for ref in candidates(seen, "vp"):
        if same_shape(mine, ref.table):
            error = max(d.error for d in deviations(mine, ref.table))
            if error < 1e-9:
                near[ref.name] = error
    return near


@pytest.mark.parametrize("name", by_shape([*DETERMINISTIC, *STOCHASTIC]))
def test_a_record_is_identified_and_as_no_other(name: str) -> None:
    near = found_as(name)
    assert set(near) == SAME.get(name, {name})
    assert max(near.values()) < 2e-14


@pytest.mark.parametrize("name", CHECKED)
def test_another_prediction_asks_for_the_same_table_of_the_law(name: str) -> None:
    """Read with outputs of another kind, a record is still found, to the rounding of the conversion."""
    for prediction in ("data", "noise", "velocity"):
        seen = trace(of_tableau(tabulate(name, GRID), prediction), prediction)
        (ref,) = [r for r in candidates(seen, "vp", (name,)) if not r.ending]
        assert max(d.error for d in deviations(seen.table, ref.table)) == 0.0


@pytest.mark.parametrize("name", CHECKED)
def test_a_coefficient_off_by_1e_6_is_seen_where_it_is(name: str) -> None:
    tableau = tabulate(name, GRID)
    row = len(tableau.outputs) // 2
    lag = int((tableau.outputs[row] != 0).nonzero()[0])
    tableau.outputs[row, lag] *= 1 + 1e-6
    seen = trace(of_tableau(tableau), tableau.prediction)
    (ref,) = [r for r in candidates(seen, "vp", (name,)) if not r.ending]
    errors = deviations(seen.table, ref.table)
    off = [d.row for d in errors if d.error > 1e-12]
    assert off
    assert min(off) <= row
    assert 1e-9 < max(d.error for d in errors) < 1e-4
