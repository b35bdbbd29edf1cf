"""Three studies as a user runs them: far modes on the line, stochastic samplers in the plane, sixteen dimensions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from figure_geometry import outside, over_a_line, over_a_text
from matplotlib.figure import Figure

from samplerproof.numerics.studies.figure_panel import UPPER_END
from samplerproof.own_studies import StudyResult

pytestmark = pytest.mark.slow

FAR_MODES = """
[target]
weights = [0.5, 0.5]
means = [-3.0, 3.0]
stds = [0.25, 0.25]
[schedule]
kind = "vp-linear"
[grid]
kind = "uniform-lambda"
t_min = 1e-3
t_max = 1.0
[run]
methods = ["ddim", "dpm-solver++-2m", "sde-dpm-solver++-2m", "sa-solver-2"]
steps = [10, 20, 40, 80]
metrics = ["tv", "w2", "trajectory"]
points = 2001
"""
PLANE = """
[target]
weights = [0.4, 0.6]
means = [[-2.0, 0.0], [1.5, 1.0]]
stds = [0.5, 0.4]
[schedule]
kind = "vp-linear"
[grid]
kind = "uniform-lambda"
t_min = 1e-3
t_max = 1.0
[run]
methods = ["ddim", "dpm-solver++-2m", "ddpm", "sde-dpm-solver++-2m"]
steps = [10, 20, 40, 80]
metrics = ["energy", "moments", "trajectory"]
points = 1000
"""
SIXTEEN = """
[target]
weights = [0.2, 0.3, 0.5]
means = [[{}], [{}], [{}]]
stds = [0.3, 0.4, 0.5]
[schedule]
kind = "edm"
[grid]
kind = "karras"
sigma_min = 0.002
sigma_max = 80
[run]
methods = ["ddim", "dpm-solver++-2m"]
steps = [8, 16, 32, 64]
metrics = ["trajectory", "tv"]
points = 400
""".format(*(", ".join(f"{math.sin(1.7 * k + 2 * n):.3f}" for k in range(16)) for n in range(3)))

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def study(in_process: Run, tmp_path: Path) -> Callable[[str], tuple[StudyResult, str]]:
    def run(text: str) -> tuple[StudyResult, str]:
        """The answer of the command on a file, and what it prints."""
        (tmp_path / "own.toml").write_text(text)
        code, out, err = in_process("study", tmp_path / "own.toml", "--out", tmp_path / "own")
        assert code == 0, err
        answer = json.loads((tmp_path / "own" / "records.json").read_text("utf-8"))
        metrics = answer["manifest"]["run"]["metrics"]
        drawn = {f"{name}-{metric}.{suffix}" for name in ("work-precision", "convergence")
                 for metric in metrics for suffix in ("svg", "png", "pdf")}  # fmt: skip
        assert drawn <= {path.name for path in (tmp_path / "own").iterdir()}
        return StudyResult(**answer), out

    return run


def fit(answer: StudyResult, method: str, metric: str) -> dict[str, Any]:
    (found,) = (fit for fit in answer.fits if (fit["method"], fit["metric"]) == (method, metric))
    return dict(found)


def values(answer: StudyResult, method: str, metric: str) -> list[dict[str, Any]]:
    return [r for r in answer.records if (r["method"], r["metric"]) == (method, metric)]


def legible(figure: Figure) -> list[str]:
    """The texts of a figure in which none lies over a line, over another, or beyond its edge."""
    assert (over_a_line(figure), over_a_text(figure), outside(figure)) == ([], [], [])
    return [text.get_text() for text in figure.axes[0].texts]


def test_far_modes_on_the_line(study: Callable[[str], tuple[StudyResult, str]]) -> None:
    """Assert the order of DDIM as settled and its computed leading error, an exponent that is not settled by its word,
    and the reason of every value that is missing.
    """
    answer, printed = study(FAR_MODES)
    assert (fit(answer, "ddim", "tv")["status"], fit(answer, "ddim", "tv")["predicted"]["steady"]) == ("settled", 1)
    assert fit(answer, "ddim", "tv")["exponent"] == pytest.approx(1, abs=0.1)
    assert values(answer, "ddim", "tv")[-1]["ratio"] == pytest.approx(1, abs=0.05)
    still = fit(answer, "dpm-solver++-2m", "w2")
    assert still["status"] == "turning"
    assert still["exponent"] < 1.7  # not the proved 2
    rough = values(answer, "sa-solver-2", "tv")[0]
    assert rough["value"] is None
    assert "too rough" in rough["reason"]
    assert rough["reason"] in printed
    assert printed.count("is stochastic and follows no flow") == 1
    names = legible(answer.plot("tv", against="steps"))
    assert f"DDIM: {fit(answer, 'ddim', 'tv')['exponent']:.2f}, settled" in names
    assert [name for name in names if name.startswith("SDE-DPM-Solver++(2M)")] == ["SDE-DPM-Solver++(2M): not defined"]
    assert "leading error, computed before the run" in names
    assert [text.get_text() for text in answer.plot("tv", against="steps").axes[0].texts if "N" in text.get_text()]
    assert "SA-Solver (P2): no value" in legible(answer.plot("trajectory"))


def test_stochastic_samplers_in_the_plane(study: Callable[[str], tuple[StudyResult, str]]) -> None:
    """Assert deterministic samplers without a noise floor, the strength of noise as intervals and a number of samples,
    and an arrow in place of every value that may be noise.
    """
    answer, printed = study(PLANE)
    for method, metric, order in (("ddim", "energy", 2), ("ddim", "moments", 1), ("dpm-solver++-2m", "moments", 2)):
        found = fit(answer, method, metric)
        assert found["exponent"] == pytest.approx(order, abs=0.15), (method, metric)
        assert found["low"] < found["exponent"] < found["high"]
        assert all(record["low"] > 0 for record in values(answer, method, metric))
    assert fit(answer, "ddpm", "moments")["exponent"] == pytest.approx(1, abs=0.3)
    noisy = [r for r in values(answer, "sde-dpm-solver++-2m", "energy") if r["low"] <= 0]
    assert noisy
    assert all(record["needed"] > 1000 for record in noisy)
    assert "samples or more to exceed" in printed
    figure = answer.plot("energy", against="steps")
    arrows = [line for line in figure.axes[0].lines if line.get_marker() is UPPER_END]
    assert len(arrows) == sum(r["low"] <= 0 for r in answer.records if r["metric"] == "energy")
    assert "less than this, at 95 %: the interval contains 0" in legible(figure)
    assert values(answer, "ddpm", "trajectory")[0]["reason"] == "the sampler is stochastic and follows no flow"


def test_sixteen_dimensions(study: Callable[[str], tuple[StudyResult, str]]) -> None:
    """Assert the order of DDIM in total variation, with intervals; that a trajectory error says by how much its last
    local order depends on the samples; and that the leading errors which are missing have a reason.
    """
    answer, printed = study(SIXTEEN)
    found = fit(answer, "ddim", "tv")
    assert found["exponent"] == pytest.approx(1, abs=0.15)
    assert all(record["low"] < record["value"] < record["high"] for record in values(answer, "ddim", "tv"))
    for record in values(answer, "ddim", "trajectory"):
        assert len(record["groups"]) == 16
        assert math.fsum(record["groups"]) == pytest.approx(0, abs=1e-4)
    turning = fit(answer, "ddim", "trajectory")
    assert turning["status"] == "turning"
    assert "with other samples the last one may differ by" in turning["reason"]
    assert turning["reason"].partition("; ")[2] in printed
    assert "no leading error of ddim" in printed
    legible(answer.plot("tv", against="steps"))
    legible(answer.plot("trajectory"))
