"""The samplers of k-diffusion, each read back: which record its table is, as shipped and in float64."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import torch

from samplerproof.numerics.conformance.adapters.external_sampler import ExternalSampler
from samplerproof.numerics.conformance.adapters.resolve import resolve
from samplerproof.numerics.conformance.adapters.target import NoTable
from samplerproof.numerics.conformance.judge.compare import deviations, same_shape
from samplerproof.numerics.conformance.judge.references import FEWER_EVALUATIONS, candidates
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.readback import Trace, trace

MISSING = [name for name in ("k_diffusion", "torchsde", "torchdiffeq") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
STEPS = 8


def read(sampler: ExternalSampler, float64: bool) -> Trace:
    if not float64:
        return trace(sampler.on(STEPS), sampler.prediction, torch.float32)
    with sampler.float64():
        return trace(sampler.on(STEPS), sampler.prediction, torch.float64)


def distance(found: Trace, name: str) -> float:
    """The worst row against a record, infinite where it asks for other evaluations."""
    mine = found.table
    reference = next(ref.table for ref in candidates(found, "ve", (name,)) if not ref.ending)
    return max(d.error for d in deviations(mine, reference)) if same_shape(mine, reference) else float("inf")


@pytest.mark.parametrize(
    ("name", "reference", "advertised", "order"),
    [
        ("sample_euler", "ddim", None, 1),
        ("sample_heun", "edm-heun", 2, 2),
        ("sample_heun?s_churn=2", "edm-churn?churn=2", 2, 1),
        ("sample_heun?s_churn=40", "edm-churn", 2, 1),
        ("sample_dpm_2", "dpm-solver-2s", 2, 2),
        ("sample_lms", "deis-rhoab3", 4, 4),
        ("sample_lms?order=3", "deis-rhoab2", 3, 3),
        ("sample_lms?order=2", "deis-rhoab1", 2, 2),
        ("sample_lms?order=1", "ddim", 1, 1),
        ("sample_dpmpp_2m", "dpm-solver++-2m", 2, 2),
        ("sample_euler_ancestral", "ddim-eta", None, 1),
        ("sample_euler_ancestral?eta=0.5", "ddim-eta?eta=1/2", None, 1),
        ("sample_dpm_2_ancestral?eta=0", "dpm-solver-2s", 2, 2),
        ("sample_dpmpp_2s_ancestral?eta=0", "dpm-solver++-2s", 2, 2),
        ("sample_dpmpp_sde", "dpmpp-sde", None, 2),
        ("sample_dpmpp_sde?r=0.3", "dpmpp-sde?r=3/10", None, 2),
        ("sample_dpmpp_sde?eta=0", "dpm-solver++-2s", None, 2),
        ("sample_dpmpp_2m_sde", "sde-dpm-solver++-2m", 2, 2),
        ("sample_dpmpp_2m_sde?eta=0.25", "sde-dpm-solver++-2m?tau=1/2", 2, 2),
        ("sample_dpmpp_2m_sde?solver_type=heun", "sa-solver-2", 2, 2),
        ("sample_dpmpp_3m_sde", "sde-dpm-solver++-3m-published", 3, 2),
        ("sample_dpmpp_3m_sde?eta=0.25", "sde-dpm-solver++-3m-published?tau=1/2", 3, 2),
    ],
)
def test_samplers_are_the_records_they_stand_for(name: str, reference: str, advertised: int | None, order: int) -> None:
    """To roundoff: worst row 2.4e-15 (churn; 9e-16 elsewhere) in float64, 5e-7 in float32.

    The advertised order and that of the record differ in 3m_sde, and in heun with churn.
    """
    from samplerproof.numerics.catalogue import resolve as record

    target = resolve(f"k-diffusion:{name}")
    assert (target.info.name, target.info.process) == (f"k-diffusion:{name}", "ve")
    assert (target.info.reference, target.info.advertised_order) == (reference, advertised)
    assert record(reference).order == order
    for float64, within in ((True, 5e-15), (False, 2e-6)):
        found = read(target, float64)
        assert max(found.superposition) < within
        assert found.mutated == ()
        assert distance(found, reference) < within


def test_eta_is_the_square_of_tau() -> None:
    """And not tau itself."""
    found = read(resolve("k-diffusion:sample_dpmpp_2m_sde?eta=0.25"), float64=True)
    assert distance(found, "sde-dpm-solver++-2m?tau=1/2") < 1e-14
    assert distance(found, "sde-dpm-solver++-2m?tau=1/4") > 1e-2


def test_3m_sde_without_noise_starts_up_otherwise() -> None:
    """At eta = 0 it is dpm-solver++-3m-published but for its second step."""
    found = read(resolve("k-diffusion:sample_dpmpp_3m_sde?eta=0"), float64=True)
    assert distance(found, "sde-dpm-solver++-3m-published?tau=0") < 1e-14
    reference = next(r.table for r in candidates(found, "ve", ("dpm-solver++-3m-published",)) if not r.ending)
    assert [d.step for d in deviations(found.table, reference) if d.error > 1e-14] == [2]


@pytest.mark.parametrize(
    "name",
    [
        "sample_dpm_2_ancestral?eta=0.5",
        "sample_dpmpp_2s_ancestral?eta=0.5",
        "sample_dpmpp_sde?eta=0.5",
        "sample_euler?s_churn=2",
        "sample_dpm_2?s_churn=2",
        "sample_heun?s_churn=2&s_tmax=10",
        "sample_lms?order=5",
        "sample_euler_ancestral?s_noise=0.9",
        "sample_dpm_fast?eta=1",
    ],
)
def test_samplers_that_the_catalogue_does_not_have(name: str) -> None:
    """They have a table all the same, and no record has it."""
    target = resolve(f"k-diffusion:{name}")
    assert target.info.reference is None
    found = read(target, float64=True)
    assert max(found.superposition) < 2e-14
    mine = found.table
    same = [ref for ref in candidates(found, "ve") if same_shape(mine, ref.table)]
    assert all(max(d.error for d in deviations(mine, ref.table)) > 1e-4 for ref in same)


def test_dpm_fast_spends_the_evaluations() -> None:
    """n of them, in steps of three and a rest: DPM-Solver-3, -2 and -1."""
    target = resolve("k-diffusion:sample_dpm_fast")
    assert (target.info.reference, target.info.advertised_order) == ("dpm-solver-3s", None)
    for n, to in ((4, [0, 1, 1, 1, 2]), (6, [0, 1, 1, 1, 2, 2, 3]), (5, [0, 1, 1, 1, 2, 2])):
        with target.float64():
            found = trace(target.on(n), target.prediction)
        assert found.nfe == n
        assert list(found.step) == to
        (reference,) = candidates(found, "ve", ("dpm-solver-3s",))
        assert reference.ending == FEWER_EVALUATIONS
        assert max(d.error for d in deviations(found.table, reference.table)) < 1e-13


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sample_oiler", "not a sampler of k-diffusion; nearest: sample_euler"),
        ("get_sigmas_karras", "not a sampler of k-diffusion"),
        ("sample_euler?eta=1", "takes s_churn, s_tmin, s_tmax, s_noise"),
        ("sample_dpmpp_2m?eta=1", "takes no options"),
        ("sample_euler?s_churn=1/2", "s_churn is a number such as 0.0"),
    ],
)
def test_bad_names_and_options(name: str, message: str) -> None:
    """What is allowed."""
    with pytest.raises(InputError, match=message):
        resolve(f"k-diffusion:{name}")


def test_samplers_without_a_table() -> None:
    """Step sizes by the values."""
    with pytest.raises(NoTable, match="depend on the values"):
        resolve("k-diffusion:sample_dpm_adaptive")


def test_no_stand_in_stays_behind() -> None:
    """Neither a torchvision that is not there nor a bare package."""
    there = importlib.util.find_spec("torchvision") is not None
    resolve("k-diffusion:sample_euler")
    assert there or "torchvision" not in sys.modules
    package = sys.modules.get("k_diffusion")
    assert package is None or hasattr(package, "Denoiser")
