"""Schedules against their textbook definitions at 40 digits, and their inverses."""

from __future__ import annotations

import mpmath as mp
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from samplerproof.numerics.errors import InputError
from samplerproof.numerics.schedules import Schedule, schedule

EPS = 2.0**-52


def vp_linear(t: mp.mpf, p: dict[str, float]) -> tuple[mp.mpf, mp.mpf]:
    low, high = mp.mpf(p["beta_min"]), mp.mpf(p["beta_max"])
    energy = low * t + (high - low) * t**2 / 2
    return mp.e ** (-energy / 2), mp.sqrt(1 - mp.e**-energy)


def cosine(t: mp.mpf, p: dict[str, float]) -> tuple[mp.mpf, mp.mpf]:
    s = mp.mpf(p["offset"])
    alpha = mp.cos(mp.pi / 2 * (t + s) / (1 + s)) / mp.cos(mp.pi / 2 * s / (1 + s))
    return alpha, mp.sqrt(1 - alpha**2)


def ve(t: mp.mpf, p: dict[str, float]) -> tuple[mp.mpf, mp.mpf]:
    low, high = mp.mpf(p["sigma_min"]), mp.mpf(p["sigma_max"])
    return mp.mpf(1), low * (high / low) ** t


CASES = {
    "vp-linear": ({"beta_min": 0.1, "beta_max": 20.0}, vp_linear),
    "cosine": ({}, cosine),
    "ve": ({"sigma_min": 0.01, "sigma_max": 50.0}, ve),
    "edm": ({}, lambda t, p: (mp.mpf(1), t)),
    "flow": ({}, lambda t, p: (1 - t, t)),
}


def built(kind: str) -> Schedule:
    return schedule(kind, **CASES[kind][0])


@pytest.mark.parametrize("kind", CASES)
@given(exponent=st.floats(-6, -0.002))
def test_columns_are_accurate(kind: str, exponent: float) -> None:
    """alpha, sigma, rho, rho^2 to a few eps relative, lambda absolute: also where t is small and 1 - alpha cancels.

    Near t = 1 the cosine and the flow have alpha -> 0: there the rounding of t itself counts, eps / (1 - t).
    """
    t, s = 10**exponent, built(kind)
    c = s.columns(torch.tensor(t, dtype=torch.float64))
    slack = 40 * EPS * (1 + (1 / (1 - t) if kind in ("cosine", "flow") else 0))
    with mp.workdps(40):
        alpha, sigma = CASES[kind][1](mp.mpf(t), s.parameters)
        for got, true in ((c.alpha, alpha), (c.sigma, sigma), (c.rho, sigma / alpha), (c.rho2, (sigma / alpha) ** 2)):
            assert abs(mp.mpf(float(got)) / true - 1) < slack
        assert abs(mp.mpf(float(c.lam)) - mp.log(alpha / sigma)) < slack * (1 + abs(mp.log(alpha / sigma)))


@pytest.mark.parametrize("kind", CASES)
@given(t=st.floats(1e-4, 0.999))
def test_derivatives_agree_with_differences(kind: str, t: float) -> None:
    s = built(kind)
    p = s.point(t)
    with mp.workdps(30):
        for i, got in ((0, p.dalpha), (1, p.dsigma)):
            true = mp.diff(lambda v, i=i: CASES[kind][1](v, s.parameters)[i], mp.mpf(t))
            assert abs(got - true) <= 1e-12 * (1 + abs(true))


@pytest.mark.parametrize("kind", CASES)
@given(exponent=st.floats(-5, -0.005))
def test_time_inverts_lambda(kind: str, exponent: float) -> None:
    t, s = 10**exponent, built(kind)
    back = float(s.time(s.columns(torch.tensor(t, dtype=torch.float64)).lam))
    assert back == pytest.approx(t, rel=1e-12)


def test_ends_of_the_cosine_and_the_flow() -> None:
    assert built("cosine").point(0.0).sigma == 0
    assert abs(built("cosine").point(1.0).alpha) < 1e-15
    assert built("flow").point(1.0)[:2] == (0, 1)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: schedule("vp-linaer"), "vp-linear"),
        (lambda: schedule("vp-linear", beta_min=30), "below beta_max = 20"),
        (lambda: schedule("vp-linear", beta_min=0.1, beta_max=20, beta=1), "schedule.beta: got 1"),
        (lambda: schedule("vp-linear", beta_min=-1, beta_max=20), "schedule.beta_min: got -1"),
        (lambda: schedule("vp-linear", beta_min=21, beta_max=20), "below beta_max"),
        (lambda: schedule("ve", sigma_min=float("nan"), sigma_max=20), "schedule.sigma_min: got nan"),
        (lambda: built("flow").point(1.5), "0 <= t <= 1"),
        (lambda: built("vp-linear").point(-0.1), "t: got -0.1"),
        (lambda: built("edm").point(float("nan")), "t: got nan"),
    ],
)
def test_bad_input_is_one_line(call: object, says: str) -> None:
    with pytest.raises(InputError) as refused:
        call()  # type: ignore[operator]
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_published_parameters_are_the_defaults() -> None:
    """Assert that a kind alone has the parameters of its paper, and that one of two may be given."""
    assert schedule("vp-linear") == schedule("vp-linear", beta_min=0.1, beta_max=20.0)
    assert schedule("ve") == schedule("ve", sigma_min=0.01, sigma_max=50.0)
    assert schedule("cosine") == schedule("cosine", offset=0.008)
    assert schedule("vp-linear", beta_max=10).parameters == {"beta_min": 0.1, "beta_max": 10.0}
