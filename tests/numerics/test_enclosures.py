"""Every generated weight function against rigorous enclosures: the theory's weights in ball arithmetic (Arb)."""

from __future__ import annotations

import random

import pytest
from enclosure_oracle import BITS, FUNCTIONS, enclosed, phi_ball, within
from flint import arb, ctx

from samplerproof.numerics.generated import weight_functions as generated


def test_every_generated_function_is_enclosed() -> None:
    defined = {name for name, f in vars(generated).items() if getattr(f, "__module__", "") == generated.__name__}
    assert defined == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_generated_function_lies_in_its_enclosure(name: str) -> None:
    """8 eps times the sum of absolute terms; a value off by a millionth does not."""
    for value, true, absolute in enclosed(name):
        assert within(value, true, absolute)
        assert not within(value * (1 + 1e-6) or 1e-6, true, absolute)


def test_phi_balls_are_narrow_and_agree_with_the_series() -> None:
    chance = random.Random(0)
    for _ in range(200):
        k, z = chance.randrange(7), arb(chance.choice([-1, 1]) * 10 ** chance.uniform(-8, 1))
        with ctx.workprec(BITS + 80):
            series = sum((z**j / arb.fac_ui(j + k) for j in range(120)), start=arb(0))
        found = phi_ball(k, z)
        assert found.overlaps(series)
        assert found.rel_accuracy_bits() >= BITS
