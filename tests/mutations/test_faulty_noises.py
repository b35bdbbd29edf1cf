"""Faults planted in the records of methods with noise, all caught by the proof of the weak order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import sympy as sp
from fault_table import report
from faults import TINY, altered_weights

from samplerproof.theory.method import Method
from samplerproof.theory.methods import find
from samplerproof.theory.noise_model import Noise, NoiseModel
from samplerproof.theory.notation import c2
from samplerproof.theory.weak_order import prove_weak_order

WEAK = (  # quickly proved; between them shares, paths, a corrector and a strength of its own
    *("ddpm", "ddim-eta", "sa-solver-1", "sa-solver-2", "sa-solver-p1c1", "sde-dpm-solver-1", "sde-dpm-solver++-2s"),
    *("dpmpp-sde", "seeds-2", "edm-churn", "li-ddpm", "li-accelerated-sde"),
)


def with_noises(method: Method, row: int, noise: Noise) -> Method:
    noises = [method.step_noise.row(i) for i in range(len(method.rows))]
    return replace(method, noise=NoiseModel(method.strength, (*noises[:row], noise, *noises[row + 1 :])))


def fresh_variance_off(method: Method) -> Iterator[Method]:
    for i in range(len(method.rows)) if not method.history and not method.corrects else ():
        if method.step_noise.row(i).variance != 0:
            yield with_noises(
                method, i, replace(method.step_noise.row(i), variance=method.step_noise.row(i).variance * TINY)
            )


def share_off(method: Method) -> Iterator[Method]:
    for i in range(1, len(method.rows)) if not method.corrects else ():
        shares = [a.factor for a in method.amplitudes(i)][:i]
        shares += [sp.S.One] * (i - len(shares))
        for k in range(i):
            if method.step_noise.row(k).variance != 0 and i == len(method.rows) - 1:
                other = (*shares[:k], shares[k] * TINY, *shares[k + 1 :])
                yield with_noises(method, i, Noise(method.step_noise.row(i).variance, other))


def split_swapped(method: Method) -> Iterator[Method]:
    """The end takes each noise with the weight of the other: as large, but otherwise correlated."""
    if method.name in ("seeds-2", "sde-dpm-solver++-2s"):
        third = method.at({p.name: sp.Rational(1, 5) for p in method.parameters if p.symbol == c2})
        met, fresh = third.amplitudes(1)
        share = sp.sqrt(fresh.variance / third.step_noise.row(0).variance)
        yield with_noises(third, 1, Noise(met.factor**2 * met.variance, (share,)))


def noises_independent(method: Method) -> Iterator[Method]:
    if len(method.rows) == 2 and not method.corrects and method.rows[0].nodes:
        whole = sum(a.factor**2 * a.variance for a in method.amplitudes(1))
        yield with_noises(method, 1, Noise(whole, (sp.S.Zero,)))


def strength_off(method: Method) -> Iterator[Method]:
    """The noises are of another strength than the rows; published rows of another are refused where declared."""
    if not method.history and not method.corrects and all(row.rule is not None for row in method.rows):
        noises = tuple(method.step_noise.row(i) for i in range(len(method.rows)))
        yield replace(method, noise=NoiseModel(method.strength * TINY, noises))


def weak_weight_off(method: Method) -> Iterator[Method]:
    row = method.weights[-1]
    for j in range(len(row)):
        off = tuple(w * (TINY if k == j else 1) for k, w in enumerate(row))
        yield altered_weights(method, len(method.rows) - 1, off)


def weak_claim_off(method: Method) -> Iterator[Method]:
    for by in (-1, 1):
        yield replace(method, order=method.order + by)


def weak_proof(altered: Method) -> bool:
    """The weak order as `samplerproof prove` decides it."""
    return prove_weak_order(altered).order != altered.order


WEAK_FAULTS = {
    "weight off by 1e-6": weak_weight_off,
    "fresh variance off by 1e-6": fresh_variance_off,
    "share off by 1e-6": share_off,
    "split of the noise swapped": split_swapped,
    "noises independent": noises_independent,
    "strength off by 1e-6": strength_off,
    "order claimed one off": weak_claim_off,
}


@pytest.mark.parametrize("name", WEAK)
def test_faults_in_noises_are_caught(name: str) -> None:
    for kind, plant in WEAK_FAULTS.items():
        report(kind, name, ["weak proof" if weak_proof(altered) else None for altered in plant(find(name))])


@pytest.mark.parametrize("name", WEAK)
def test_the_weak_proof_is_silent_on_the_records_themselves(name: str) -> None:
    assert not weak_proof(find(name))


def test_every_fault_in_noises_was_planted() -> None:
    for kind, plant in WEAK_FAULTS.items():
        assert any(True for name in WEAK for _ in plant(find(name))), kind
