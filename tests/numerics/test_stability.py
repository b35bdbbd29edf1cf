"""Growth of one step on a constant gain: closed forms, real runs, and a guided mixture at both sides of the limit."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kinds import DETERMINISTIC
from shapes import by_shape
from torch import Tensor

from samplerproof.book.studies.stability_figure import GROUPS, draw_stability
from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.denoisers import convert
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grids import from_times
from samplerproof.numerics.points import Point
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.stability import growth, guided_gain, usable_steps
from samplerproof.numerics.studies.style import method_styles
from samplerproof.numerics.tableau import Tableau, tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture
from samplerproof.numerics.wrappers import guided

F64 = torch.float64
EDM = schedule("edm")
STEPS, GAINS = st.floats(0.02, 6.0), st.floats(-40.0, 1.0)


def ddim(h: float, g: float) -> float:
    return abs(math.exp(-h) - math.expm1(-h) * g)


def two_s(h: float, g: float) -> float:
    """Data frame: R - 1 = (1 - e^-h)(g - 1)(1 + g (1 - e^{-h/2}))."""
    return abs(1 + math.expm1(-h) * (1 - g) * (1 - g * math.expm1(-h / 2)))


def two_s_noise(h: float, g: float) -> float:
    """Noise frame: R - 1 = -2 sinh(h/2) (1 - g)(1 - (1 - g)(1 - e^{-h/2})): e^{h/2} times as much in front."""
    return abs(1 - 2 * math.sinh(h / 2) * (1 - g) * (1 + (1 - g) * math.expm1(-h / 2)))


def two_m(h: float, g: float) -> float:
    """The larger root of zeta^2 - zeta (e^-h + (3/2) g (1 - e^-h)) + g (1 - e^-h)/2."""
    e = -math.expm1(-h)
    half = (1 - e + 1.5 * g * e) / 2
    root = complex(half**2 - g * e / 2) ** 0.5
    return max(abs(half + root), abs(half - root))


def ddpm(h: float, g: float) -> float:
    """Of the mean: what is kept of x/alpha is e^{-2h}."""
    return abs(math.exp(-2 * h) - math.expm1(-2 * h) * g)


CLOSED = {"ddpm": ddpm, "ddim": ddim, "dpm-solver++-2s": two_s, "dpm-solver-2s": two_s_noise, "dpm-solver++-2m": two_m}


@pytest.mark.parametrize("name", CLOSED)
@given(h=STEPS, g=GAINS)
def test_growth_has_its_closed_form(name: str, h: float, g: float) -> None:
    expected = CLOSED[name](h, g)
    scale = 1 + abs(g) ** 2 * math.exp(h / 2)  # terms of this size cancel
    assert float(growth(name, h, [g])) == pytest.approx(expected, abs=1e-7 * max(1, expected), rel=1e-12 * scale)


# The gains that a step h bears: for DDIM, 2M and 2S in the data frame down to these, for 2S in the noise frame to one
# more than in the data frame, and up to h = 2 log 7 only.
LIMITS = {
    "ddim": lambda h: -1 / math.tanh(h / 2),
    "dpm-solver++-2m": lambda h: -1 / math.tanh(h / 2) / 2,
    "dpm-solver++-2s": lambda h: 1 / math.expm1(-h / 2),
    "dpm-solver-2s": lambda h: 1 / math.expm1(-h / 2) + 1,
}


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("h", [0.05, 0.3, 1.0, 3.0])
def test_the_gains_that_a_step_bears(name: str, h: float) -> None:
    limit = LIMITS[name](h)
    inside, outside = growth(name, h, [limit * (1 - 1e-6), limit * (1 + 1e-6)]).tolist()
    assert inside < 1 < outside
    assert float(growth(name, h, torch.linspace(limit, 1, 200, dtype=F64)).max()) <= 1 + 1e-12
    if limit < -1.01:
        assert usable_steps(name, [limit]) == pytest.approx([h], rel=1e-7)


def test_only_the_noise_frame_loses_gaussians_at_long_steps() -> None:
    """0 < g < 1: beyond h = 2 log 7 the method 2S grows in the noise frame, and nowhere in the data frame."""
    gaussian = torch.linspace(0, 1, 101, dtype=F64)
    before, after = 2 * math.log(7) - 0.01, 2 * math.log(7) + 0.1
    assert float(growth("dpm-solver-2s", before, gaussian).max()) <= 1 + 1e-12
    assert float(growth("dpm-solver-2s", after, gaussian).max()) > 1.01
    assert float(growth("dpm-solver++-2s", 12.0, gaussian).max()) <= 1 + 1e-12


@pytest.mark.parametrize("name", by_shape(DETERMINISTIC))
def test_the_usable_step_shrinks_like_the_real_interval_over_the_scale(name: str) -> None:
    """h (1 - g) -> S as the guidance scale s = 1 - g grows."""
    (step,) = usable_steps(name, [guided_gain(0.0, 1.0, 2000.0)])
    assert step * 2000 == pytest.approx(METHODS[name].stability, rel=5e-3)


def uniform(method: str, steps: int, h: float, first: float = 1.0, start: str = "exact") -> Tableau:
    """From sigma = `first` on, alpha = 1, steps of h in lambda."""
    return tabulate(method, from_times(EDM, first * torch.exp(-h * torch.arange(steps + 1, dtype=F64))), start)


@pytest.mark.parametrize(("h", "g"), [(0.3, -6.0), (0.3, -0.5), (1.0, -3.0), (2.0, 0.5)])
@pytest.mark.parametrize(
    "name", by_shape(name for name in DETERMINISTIC if name not in ("lambda-ddim", "li-code-accelerated-ode"))
)  # the steps of these two are all different: their weights depend on t, or on alpha
def test_a_real_run_grows_at_that_rate(name: str, h: float, g: float) -> None:
    """The loop on x0hat = g x, from start values that reach every mode: |x| grows, or falls, like R^n."""

    def gain(x: Tensor, at: Point, prediction: str) -> Tensor:
        return convert(x, g * x, at, "data", prediction)

    def size(steps: int) -> float:
        table = uniform(name, steps, h)
        start = [torch.tensor([1.0, (-1.0) ** k, k % 3 - 0.5]) for k in range(table.given)]
        return float(sample(gain, start, table).abs().max())  # the squares of a norm may be too small

    # Where the largest roots are a pair, the phase of the turn is worth a bounded factor.
    rate = math.log(size(120) / size(40)) / 80
    assert rate == pytest.approx(math.log(float(growth(name, h, [g]))), abs=0.05)


# Both laws have modes at +-30; the condition makes each of them narrow. For 1 > sigma > 1e-3 the gains are 0 and 1.
WIDE = GaussianMixture([0.35, 0.65], [-30.0, 30.0], stds=[10.0, 10.0])
NARROW = GaussianMixture([0.2, 0.8], [-30.0, 30.0], stds=[1e-5, 1e-5])


@pytest.mark.parametrize("scale", [4.0, 7.5, 15.0])
@pytest.mark.parametrize(
    "name",
    ["ddim", "dpm-solver++-2m", "dpm-solver++-2s", "dpm-solver-2s", "exp-adams-noise-2", "exp-adams-3", "unipc-2"],
)
def test_guided_samples_of_two_modes_settle_below_the_usable_step_and_fly_apart_above(name: str, scale: float) -> None:
    """The distance from the nearest mode, after guided sampling from sigma = 1 to 1e-3."""
    (longest,) = usable_steps(name, [guided_gain(0.0, 1.0, scale)])
    start = torch.tensor([[-30.01], [-29.98], [30.02]], dtype=F64)

    def distance(h: float) -> float:
        table = uniform(name, math.ceil(math.log(1e3) / h), h, start="ramp")
        return float((sample(guided(NARROW, WIDE, scale), start, table).abs() - 30).abs().max())

    assert distance(0.8 * longest) < 0.01
    assert distance(1.2 * longest) > 0.1


def test_guidance_divides_the_usable_step() -> None:
    """What a user sees: DDIM bears lambda steps of 1.1 at scale 3, 0.31 at 7.5; 2M half of that."""
    assert usable_steps("ddim", [guided_gain(0.0, 1.0, s) for s in (2.0, 3.0, 7.5)]) == pytest.approx(
        [math.inf, math.log(3), math.log(7.5 / 5.5)], rel=1e-6
    )
    assert usable_steps("dpm-solver++-2m", [-6.5]) == pytest.approx([math.log(14 / 12)], rel=1e-6)


@pytest.mark.slow
def test_the_figure_is_drawn_and_names_its_lines(tmp_path: Path) -> None:
    """Assert the names of methods and frames, and a file of every panel in three formats."""
    paths = draw_stability(tmp_path / "stability", method_styles(GROUPS), tmp_path)
    assert sorted(paths) == sorted(tmp_path.iterdir())
    assert len(paths) == 3 * (1 + len(GROUPS))
    text = (tmp_path / "stability.svg").read_text(encoding="utf-8")
    assert all(f"<!-- {name} -->" in text for name in ("DDIM", "DPM-Solver++(2S)", "data frame", "multistep"))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: growth("ddmi", 0.1, [0.0]), "nearest: ddpm, ddim"),
        (lambda: growth("ddim", 0.0, [0.0]), "h: got 0.0"),
        (lambda: growth("ddim", math.inf, [0.0]), "h: got inf"),
        (lambda: usable_steps("ddim", [1.5]), "gains: got 1.5"),
        (lambda: usable_steps("ddim", [math.nan]), "gains: got nan"),
        (lambda: usable_steps("ddmi", [0.5]), "nearest: ddpm, ddim"),
    ],
)
def test_bad_input_is_refused(call: Callable[[], object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        call()
