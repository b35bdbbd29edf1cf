"""Records with noise refuse what cannot be one, and write their noises out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

from samplerproof.theory.exponential import exact
from samplerproof.theory.frames import NOISE_RHO
from samplerproof.theory.method import Method
from samplerproof.theory.methods import METHODS, ODE_METHODS, SDE_METHODS, find
from samplerproof.theory.methods import sde as records
from samplerproof.theory.methods.sde import tau
from samplerproof.theory.noise_model import NO_NOISE, Noise, NoiseModel
from samplerproof.theory.notation import c2, h
from samplerproof.theory.phi_functions import is_zero, phi
from samplerproof.theory.rows import NOW, Row, past, stage
from samplerproof.theory.weak_order import prove_weak_order

HALF, TINY = sp.Rational(1, 2), 1 + sp.Rational(1, 10**6)
STAGES = records.SEEDS_2


def with_noises(method: Method, noises: tuple[Noise, ...]) -> Method:
    return replace(method, noise=NoiseModel(method.strength, noises))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: replace(records.DDPM, frame=NOISE_RHO), "frame: noise-rho; one of data, noise"),
        (lambda: with_noises(records.SA_SOLVER_2, (Noise(h),)), "noises: with history .* one path"),
        (lambda: with_noises(records.SA_SOLVER_P1C1, (Noise(h), NO_NOISE)), "noises: .* corrector .* one path"),
        (lambda: with_noises(records.DDPM, (Noise(h), Noise(h))), "noises: 2 for 1 rows"),
        (lambda: with_noises(STAGES, (Noise(h),)), "noises: 1 for 2 rows"),
        (lambda: with_noises(STAGES, (Noise(h, (sp.S.One,)), Noise(h))), "noises: row 1 has 1 shares, not 0"),
        (lambda: with_noises(STAGES, (Noise(h), Noise(h, ()))), "noises: row 2 has 0 shares, not 1"),
        (lambda: with_noises(records.DDPM, (Noise(sp.Symbol("q") * h),)), "unknown symbols .'q'"),
        (lambda: replace(records.DDPM, noise=NoiseModel(sp.Symbol("q"))), "unknown symbols .'q'"),
        (lambda: replace(records.DDPM, rows=(Row((NOW,), published=(2 * h * TINY,)),)), "weights: .* do not sum"),
        (lambda: replace(records.DDPM, rows=(Row((NOW,), published=(h,)),)), "weights: .* do not sum"),
        (lambda: replace(records.DDPM, noise=NoiseModel(TINY)), "weights: .* do not sum"),
        (lambda: replace(records.DDPM, rows=(Row((NOW,), exact, states=(HALF,)),)), "states: a row with noise"),
        (lambda: replace(records.SA_SOLVER_2, start=None), "start: needed"),
        (lambda: replace(records.SA_SOLVER_2, start=records.SA_SOLVER_3), "less history"),
        (lambda: replace(records.SA_SOLVER_2, start=records.SEEDS_2), "in another frame must be the one-node rule"),
        (lambda: replace(records.DDPM, rows=(Row((NOW,), exact, evaluated=False),)), "one predictor"),
        (lambda: replace(records.DDPM, rows=(Row((NOW, past(1)), exact),)), "start: needed"),
    ],
)
def test_what_cannot_be_a_sampler_is_refused_in_one_line(change: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        change()  # type: ignore[operator]
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("sampler", [s for s in SDE_METHODS if s.step_noise.model.rows is None], ids=lambda s: s.name)
def test_the_noise_of_a_path_is_written_out(sampler: Method) -> None:
    """Assert that two rows share V at the earlier one's end, and that the step's end has that of the whole path."""
    ends = [sp.sympify(row.to) for row in sampler.rows]
    for i in range(len(ends)):
        for j in range(i + 1):
            assert is_zero((sampler.step_noise.covariance(i, j) - sampler.step_noise.variance(ends[j])).rewrite(sp.exp))
            assert sampler.step_noise.covariance(i, j) == sampler.step_noise.covariance(j, i)
    total = sum(a.factor**2 * a.variance for a in sampler.amplitudes(len(ends) - 1))
    back = sampler.step_noise.variance(sp.S.One) * sampler.step_noise.grown(sp.S.One) ** 2
    assert is_zero((total - back).rewrite(sp.exp))


def test_a_predictor_and_its_corrector_have_one_noise() -> None:
    """Assert that of two rows that end at one place the second has the noise of the first and nothing fresh."""
    both = records.SA_SOLVER_P2C2
    assert both.step_noise.row(1).variance == 0
    assert both.amplitudes(0) == both.amplitudes(1)
    assert both.rows[1].nodes == (NOW, past(1), stage(1))
    assert (both.corrects, both.kind, both.nfe_per_step, both.history) == (True, "predictor-corrector", 1, 1)


@pytest.mark.parametrize(
    ("name", "kind", "history", "nfe", "asymptotic"),
    [
        ("ddpm", "one-step", 0, 1, 1),
        ("sa-solver-3", "multistep", 2, 1, 2),
        ("sa-solver-p3c3", "predictor-corrector", 2, 1, 2),
        ("sde-dpm-solver++-2s", "multistage", 0, 2, 2),
        ("seeds-3", "multistage", 0, 3, 2),
        ("edm-churn", "multistage", 0, 2, 1),
        ("li-accelerated-sde", "multistage", 0, 1, 1),
    ],
)
def test_derived_facts(name: str, kind: str, history: int, nfe: int, asymptotic: int) -> None:
    method = find(name)
    assert (method.kind, method.history, method.nfe_per_step, method.order_asymptotic) == (
        kind,
        history,
        nfe,
        asymptotic,
    )


def test_values_go_into_rows_noises_strength_and_start() -> None:
    half = find("ddim-eta?eta=1/2")
    assert (half.name, half.strength, half.parameters) == ("ddim-eta?eta=1/2", sp.Rational(1, 4), ())
    assert is_zero((half.amplitudes(0)[0].variance - (1 - sp.exp(-2 * h)) / 4).rewrite(sp.exp))
    third: Method | None = find("sa-solver-3?tau=1/2")
    while third is not None:
        assert third.strength == sp.Rational(1, 4)
        assert tau not in set().union(*(w.free_symbols for w in third.applied[0]))
        third = third.start
    split = find("dpmpp-sde?r=1/3")
    assert split.rows[0].to == sp.Rational(1, 3)
    assert not any(c2 in e.free_symbols for i in range(2) for a in split.amplitudes(i) for e in map(sp.sympify, a))


def test_at_the_default_a_parameter_changes_nothing() -> None:
    for sampler in SDE_METHODS:
        if sampler.parameters:
            settled = sampler.at({p.name: p.default for p in sampler.parameters})
            assert settled.order == sampler.order
            assert settled.nfe_per_step == sampler.nfe_per_step
    assert prove_weak_order(find("ddim-eta?eta=1")).order == 1


def test_ddim_eta_at_one_is_ddpm_seen_from_the_noise_prediction() -> None:
    """Assert that both draw the same noise, and keep e^{-h} of the noise in x."""
    one = find("ddim-eta").at({"eta": sp.S.One})
    assert is_zero((one.amplitudes(0)[0].variance - records.DDPM.amplitudes(0)[0].variance).rewrite(sp.exp))
    kept = phi(0, h) - one.applied[0][0]
    assert is_zero((kept**2 - phi(0, -2 * h)).rewrite(sp.exp))


def test_the_catalogue_is_the_methods_of_the_flow_and_those_with_noise() -> None:
    """Assert that a record is in the part where its noise model puts it."""
    assert (*ODE_METHODS, *SDE_METHODS) == METHODS
    assert all(method.noise is None for method in ODE_METHODS)
    assert all(method.noise is not None for method in SDE_METHODS)


def test_a_method_of_the_flow_has_no_noise_to_ask_for() -> None:
    """Assert that a proof of weak order refuses a record without a noise model in one line."""
    with pytest.raises(ValueError, match="ddim: noise: none; it is a method of the flow"):
        prove_weak_order(find("ddim"))
