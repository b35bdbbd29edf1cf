"""Stochastic samplers' records say no to what cannot be one, and write their noises out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy as sp

from samplerproof.theory.exponential import exact
from samplerproof.theory.frames import NOISE_RHO
from samplerproof.theory.method import NOW, Row, past, stage
from samplerproof.theory.methods import METHODS, SAMPLERS, find
from samplerproof.theory.methods import sde as records
from samplerproof.theory.notation import c2, h, tau
from samplerproof.theory.phi_functions import is_zero, phi
from samplerproof.theory.stochastic_method import NO_NOISE, Noise, Sampler
from samplerproof.theory.weak_order import prove_weak_order

HALF, TINY = sp.Rational(1, 2), 1 + sp.Rational(1, 10**6)
STAGES = records.SEEDS_2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda: replace(records.DDPM, frame=NOISE_RHO), "frame: noise-rho; one of data, noise"),
        (lambda: replace(records.SA_SOLVER_2, noises=(Noise(h),)), "noises: with history .* one path"),
        (lambda: replace(records.SA_SOLVER_P1C1, noises=(Noise(h), NO_NOISE)), "noises: .* corrector .* one path"),
        (lambda: replace(records.DDPM, noises=(Noise(h), Noise(h))), "noises: 2 for 1 rows"),
        (lambda: replace(STAGES, noises=(Noise(h),)), "noises: 1 for 2 rows"),
        (lambda: replace(STAGES, noises=(Noise(h, (sp.S.One,)), Noise(h))), "noises: row 1 has 1 shares, not 0"),
        (lambda: replace(STAGES, noises=(Noise(h), Noise(h, ()))), "noises: row 2 has 0 shares, not 1"),
        (lambda: replace(records.DDPM, noises=(Noise(sp.Symbol("q") * h),)), "unknown symbols .'q'"),
        (lambda: replace(records.DDPM, strength=sp.Symbol("q")), "unknown symbols .'q'"),
        (lambda: replace(records.DDPM, rows=(Row((NOW,), published=(2 * h * TINY,)),)), "weights: .* do not sum"),
        (lambda: replace(records.DDPM, rows=(Row((NOW,), published=(h,)),)), "weights: .* do not sum"),
        (lambda: replace(records.DDPM, strength=TINY), "weights: .* do not sum"),
        (lambda: replace(records.SA_SOLVER_2, start=None), "start: needed"),
        (lambda: replace(records.SA_SOLVER_2, start=records.SA_SOLVER_3), "less history"),
        (lambda: replace(records.SA_SOLVER_2, start=records.SEEDS_2), "in another frame must be the one-node rule"),
        (lambda: replace(records.DDPM, rows=(Row((NOW,), exact, evaluated=False),)), "one predictor"),
        (lambda: replace(records.DDPM, rows=(Row((NOW, past(1)), exact),)), "start: needed"),
    ],
)
def test_what_cannot_be_a_sampler_is_refused_in_one_line(change: object, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        change()  # type: ignore[operator]
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("sampler", [s for s in SAMPLERS if s.noises is None], ids=lambda s: s.name)
def test_the_noise_of_a_path_is_written_out(sampler: Sampler) -> None:
    """Amplitudes of the rows make V at the earlier row's end, and over sigma the growth of the path to its own."""
    ends = [sp.sympify(row.to) for row in sampler.rows]
    for i in range(len(ends)):
        for j in range(i + 1):
            assert is_zero((sampler.covariance(i, j) - sampler.variance(ends[j])).rewrite(sp.exp))
            assert sampler.covariance(i, j) == sampler.covariance(j, i)
    total = sum(a.factor**2 * a.variance for a in sampler.amplitudes(len(ends) - 1))
    back = sampler.variance(sp.S.One) * sampler._swollen(sp.S.One) ** 2
    assert is_zero((total - back).rewrite(sp.exp))


def test_a_predictor_and_its_corrector_have_one_noise() -> None:
    """Two rows that end at one place: nothing fresh in the second, and both have all of the first."""
    both = records.SA_SOLVER_P2C2
    assert both.noise(1).variance == 0
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
    assert isinstance(half, Sampler)
    assert (half.name, half.strength, half.parameters) == ("ddim-eta?eta=1/2", sp.Rational(1, 4), ())
    assert is_zero((half.amplitudes(0)[0].variance - (1 - sp.exp(-2 * h)) / 4).rewrite(sp.exp))
    third = find("sa-solver-3?tau=1/2")
    assert isinstance(third, Sampler)
    while third is not None:
        assert third.strength == sp.Rational(1, 4)
        assert tau not in set().union(*(w.free_symbols for w in third.applied[0]))
        third = third.start  # type: ignore[assignment]
    split = find("dpmpp-sde?r=1/3")
    assert split.rows[0].to == sp.Rational(1, 3)
    assert not any(c2 in e.free_symbols for i in range(2) for a in split.amplitudes(i) for e in map(sp.sympify, a))


def test_at_the_default_a_parameter_changes_nothing() -> None:
    for sampler in SAMPLERS:
        if sampler.parameters:
            settled = sampler.at({p.name: p.default for p in sampler.parameters})
            assert settled.order == sampler.order
            assert settled.nfe_per_step == sampler.nfe_per_step
    assert prove_weak_order(find("ddim-eta?eta=1")).order == 1  # type: ignore[arg-type]


def test_ddim_eta_at_one_is_ddpm_seen_from_the_noise_prediction() -> None:
    """The same noise, and of the noise in x both keep e^{-h}."""
    one = find("ddim-eta").at({"eta": sp.S.One})
    assert is_zero((one.amplitudes(0)[0].variance - records.DDPM.amplitudes(0)[0].variance).rewrite(sp.exp))
    kept = phi(0, h) - one.applied[0][0]
    assert is_zero((kept**2 - phi(0, -2 * h)).rewrite(sp.exp))


def test_no_name_is_both_a_method_and_a_sampler() -> None:
    names = [{name for m in kind for name in (m.name, *m.aliases)} for kind in (METHODS, SAMPLERS)]
    assert not names[0] & names[1]
