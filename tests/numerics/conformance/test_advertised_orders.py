"""The order in a name or option, against the order proved for the record that the sampler equals."""

from __future__ import annotations

import pytest

from samplerproof.numerics.catalogue import resolve
from samplerproof.numerics.conformance.judge.differences import missing_order
from samplerproof.numerics.conformance.judge.references import Reference
from samplerproof.numerics.conformance.report import TargetInfo
from samplerproof.numerics.grids import grid
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)


@pytest.mark.parametrize(
    ("name", "advertised", "broken"),
    [
        ("dpm-solver++-3m-published", 3, True),
        ("dpm-solver-3m-published", 3, True),
        ("exp-adams-3", 3, False),
        ("edm-heun", 2, False),
        ("edm-churn?churn=5", 2, False),  # its law has order 2 where the score is exact
        ("sde-dpm-solver++-3m-published", 3, False),  # with noise no sampler has more than 2
        ("sde-dpm-solver++-3m-published?tau=0", 3, True),
        ("sa-solver-p3c3-few-steps", 3, False),
        ("sa-solver-p3c3-few-steps?tau=0", 3, False),
        ("sde-dpm-solver++-2s", 2, False),
    ],
)
def test_a_lower_order_than_advertised_is_an_error_and_no_impossible_order_is_required(
    name: str, advertised: int, broken: bool
) -> None:
    """Assert that it is compared with the flow's order, and with noise, limited to 2, with the order in law."""
    table = tabulate(name, grid(VP, "uniform-lambda", 6, t_min=0.01, t_max=1.0))
    info = TargetInfo("mine", "vp", name, advertised)
    found = missing_order(Reference(resolve(name), "", table), info)
    assert bool(found) == broken
    assert all(finding.kind == "order" for finding in found)
    assert missing_order(Reference(resolve(name), "", table), TargetInfo("mine", "vp", name, None)) == []
