"""Runs of many tables together: each ends as it does alone, with fewer questions, and one that diverges is left out."""

from __future__ import annotations

from dataclasses import replace

import torch

from samplerproof.numerics.denoisers import Counting
from samplerproof.numerics.grids import grid
from samplerproof.numerics.many_runs import run_many
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
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
