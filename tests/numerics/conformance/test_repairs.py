"""What deviates in diffusers 0.42.1, and that the smallest change repairs it: before and after."""

from __future__ import annotations

import pytest
from shapes import first_of_each

diffusers = pytest.importorskip("diffusers", reason="diffusers is in the extra `peers`")
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(diffusers.__version__ != "0.42.1", reason="the repairs are those of diffusers 0.42.1"),
]

from samplerproof.numerics.conformance.adapters.external_sampler import ExternalSampler  # noqa: E402
from samplerproof.numerics.conformance.adapters.resolve import resolve  # noqa: E402
from samplerproof.numerics.conformance.known_repairs import REPAIRS, Repair  # noqa: E402
from samplerproof.numerics.conformance.repairs import repaired  # noqa: E402
from samplerproof.numerics.conformance.report import Verdict  # noqa: E402
from samplerproof.numerics.errors import InputError  # noqa: E402
from samplerproof.numerics.studies.checkouts import library_of  # noqa: E402
from samplerproof.numerics.testing import verdict_of  # noqa: E402

INSTALLED = [repair for repair in REPAIRS if repair.target.startswith(("diffusers:", "k-diffusion:"))]


@pytest.mark.parametrize("repair", first_of_each(INSTALLED, lambda one: library_of(one.target), lambda one: one.target))
def test_it_deviates_before_and_conforms_after(repair: Repair) -> None:
    def judged(target: ExternalSampler) -> Verdict:
        return verdict_of(target, 20, repair.against)

    before, after = judged(resolve(repair.target)), judged(repaired(repair.target))
    assert before.exit_code == 1
    assert after.verdict == "roundoff"
    # With noise none has an order above 2.
    lacks = (after.advertised_order or 0) > (after.nominal_order or 0) and "sde" not in repair.target
    assert after.exit_code == lacks
    assert before.verdict != "roundoff" or "grid" in {finding.kind for finding in before.findings}
    if before.verdict == "different-formula" and before.max_relative_error_float64 is not None:
        assert before.max_relative_error_float64 > 1e-3


def test_a_repair_that_does_not_apply_is_refused() -> None:
    with pytest.raises(InputError, match="no repair"):
        repaired("diffusers:DDIMScheduler")
