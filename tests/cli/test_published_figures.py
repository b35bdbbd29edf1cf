"""Published figures redone: laws by two routes, kept rows against what others print, and both sides of agreement."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from samplerproof.book.pages.figures_page import FILE, figures_page
from samplerproof.book.records.study_results import figure_results
from samplerproof.book.studies.gaussian_runs import (
    SCHEMES,
    STOCHASTIC,
    Carried,
    applied,
    distance,
    exact,
    levels,
    rate,
    row,
    run,
)
from samplerproof.book.studies.published_figures import (
    AS_CODED,
    NUMBERS,
    agrees,
    compared,
    error_norm,
    last_digit,
    loop,
    published,
    ssp_104,
    variance,
    variances_of,
)
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.laws.affine import gaussian_law
from samplerproof.numerics.points import Point
from samplerproof.numerics.targets.mixture import GaussianMixture

VARIANCES = torch.tensor([0.0, 1e-3, 0.4, 30.0], dtype=torch.float64)
ONES = torch.ones(4, dtype=torch.float64)


def spread(t: float, v: float) -> float:
    """The variance at t, from the integral of the rate."""
    decay = math.exp(-2 * (0.05 * t + 9.95 * t * t / 2))
    return decay * v + 1 - decay


def recursion(scheme: str, times: list[float], v: float, start: float) -> float:
    """The variance after a run, by the recursions that the authors state."""
    found = start
    for t, end in pairwise(times):
        d = t - end
        c = {s: rate(s) * (1 - 1 / spread(s, v)) for s in (t, (t + end) / 2, end)}
        half, last = c[(t + end) / 2], c[end]
        k2 = half * (1 + d / 2 * c[t])
        k3 = half * (1 + d / 2 * k2)
        beta = 2 * d * rate(t)
        growth = math.exp(0.05 * d + 9.95 * (t * t - end * end) / 2)
        factor, fresh = {
            "EM": (1 + d * rate(t) * (1 - 2 / spread(t, v)), 2 * d * rate(t)),
            "EI": (1 + (growth - 1) * (1 - 2 / spread(t, v)), growth**2 - 1),
            "DDPM": ((1 - beta / spread(t, v)) / math.sqrt(1 - beta), beta),
            "Euler": (1 + d * c[t], 0.0),
            "Heun": (1 + d / 2 * c[t] + d / 2 * last * (1 + d * c[t]), 0.0),
            "RK4": (1 + d / 6 * (c[t] + 2 * k2 + 2 * k3 + last * (1 + d * k3)), 0.0),
        }[scheme]
        found = factor**2 * found + fresh
    return found


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_run_has_the_variances_of_a_recursion(scheme: str) -> None:
    """Assert it for every coordinate, from two starts, and that another last time is seen."""
    times = levels(30, 1e-3)
    carried = run(scheme, times, VARIANCES)
    for start in (1.0, 2.0):
        ours = carried.of(torch.full((4,), start, dtype=torch.float64)).tolist()
        assert ours == pytest.approx([recursion(scheme, times, v, start) for v in VARIANCES.tolist()], rel=1e-10)
    other = [recursion(scheme, levels(30, 1.001e-3), v, 1.0) for v in VARIANCES.tolist()]
    assert carried.of(ONES).tolist() != pytest.approx(other, rel=1e-7)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_step_has_the_law_that_its_table_has(scheme: str) -> None:
    """Assert the law of the loop on affine forms, and not that of a table with a coefficient off by a millionth."""
    step = SCHEMES[scheme](0.4, 0.3)
    mixture = GaussianMixture([1.0], [[0.0] * 4], stds=[VARIANCES.sqrt().tolist()])
    start = GaussianMixture([1.0], [[0.0] * 4], stds=[[1.0] * 4])
    off = replace(step, outputs=step.outputs * (1 + 1e-6))
    ours = Carried(applied(step, VARIANCES), step.noises.square().sum() * ONES).of(ONES)
    for table, same in ((step, True), (off, False)):
        law = gaussian_law(table, mixture, (start, Point(1.0, 0.0)))
        assert (law.covariance.diagonal().tolist() == pytest.approx(ours.tolist(), rel=1e-12)) == same


def test_runs_of_many_steps_come_to_those_without_steps() -> None:
    """Assert first order of Euler's W2 to the exact one."""
    whole = distance(exact(False, 0.1, VARIANCES), False, VARIANCES, ONES)
    coarse, fine = (distance(run("Euler", levels(n, 0.1), VARIANCES), False, VARIANCES, ONES) for n in (401, 801))
    assert (coarse - whole) / (fine - whole) == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("stochastic", [True, False])
def test_without_steps_the_exact_law_stays_the_exact_law(stochastic: bool) -> None:
    """Assert it from the exact start, and that of the two the SDE keeps less of a wrong one."""
    carried = exact(stochastic, 0.01, VARIANCES)
    start = torch.tensor([spread(1.0, v) for v in VARIANCES.tolist()], dtype=torch.float64)
    assert carried.of(start).tolist() == pytest.approx([spread(0.01, v) for v in VARIANCES.tolist()], rel=1e-9)
    kept = carried.gain.square().max() / exact(False, 0.01, VARIANCES).gain.square().max()
    assert (kept < 0.1) == stochastic


def test_a_score_without_density_has_no_number() -> None:
    """Assert a dash for a scheme that ends with it at t = 0, and none for one that does not, nor at t > 0."""
    assert row("Heun", 0.0, (5,), VARIANCES, ONES)[2:] == [None, None]
    assert None not in row("Euler", 0.0, (5,), VARIANCES, ONES)
    assert None not in row("Heun", 1e-3, (5,), VARIANCES, ONES)
    assert set(STOCHASTIC) < set(SCHEMES)


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        *(("4.78", 4.776, True), ("4.77", 4.776, True), ("4.79", 4.776, False), ("4.78", 4.7901, False)),
        *(("6.7E-04", 6.68e-4, True), ("6.7E-04", 6.9e-4, False), ("0", 1e-13, True), ("0", 1e-3, False)),
        *(("-", None, True), ("-", 1.0, False), ("1.00", None, False), (".", 1.0, None)),
        *(("0.014504582343198208", 0.01450458234319821, True), ("0.014504582343198208", 0.0145045823432, False)),
    ],
)
def test_agreement_from_both_sides(theirs: str, ours: float | None, expected: bool | None) -> None:
    assert agrees(theirs, ours) is expected
    assert last_digit("6.7E-04") == pytest.approx(1e-5)


def test_kept_rows_are_those_printed() -> None:
    """Assert every number of three tables, but those of Heun's method where its code takes more steps than its text."""
    kept = figure_results()
    off = set()
    for name, figure in published()["gaussian"].items():
        cells = compared(figure, kept[name]["rows"])
        assert {row for row, *_ in cells} >= set(figure["rows"])
        off |= {(name, row) for row, *both in cells if agrees(*both) is False}
    assert off == {("pierret-galerne-icml", f"Heun {last}") for last in ("1e-5", "1e-4", "1e-3")}
    coded = [row for row in kept["pierret-galerne-icml"]["rows"] if row.endswith(AS_CODED)]
    assert len(coded) == 3
    assert all(len(figure["rows"]) >= 2 for figure in published()["gaussian"].values())


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_computed_as_printed(name: str) -> None:
    figure = published()["numbers"][name]
    cells = compared(figure, NUMBERS[name]())
    assert [row for row, *_ in cells] == list(figure["rows"])
    assert all(agrees(theirs, ours) for _, theirs, ours in cells)


def test_other_samplers_have_other_numbers() -> None:
    """Assert that with another sampler, end, level or method a printed number is missed."""
    spread_levels = [int(k) for k in np.linspace(0, 999, 11).round()][:0:-1]
    assert not agrees("0.223967", loop("ddim", "noise", range(900, -1, -100), zero=False))
    assert not agrees("0.3301", loop("dpm-solver++-2m-v2", "noise", [*spread_levels, 0], zero=False))
    assert not agrees("0.00979", variance(488, 487))
    assert not agrees("0.014504582343198208", error_norm(ssp_104()))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: None, "code/ADSN.npy of https://github.com/emilePi"),
        (lambda folder: np.save(folder / "ADSN.npy", np.ones(3)), "with SHA-256"),
    ],
)
def test_data_that_are_missing_or_others_are_refused(make: Callable[[Path], None], says: str, tmp_path: Path) -> None:
    """Assert one line that says where the file comes from, or which one it is."""
    (tmp_path / "pierret_galerne").mkdir()
    make(tmp_path / "pierret_galerne")
    with pytest.raises(InputError, match=says) as refused:
        variances_of(published()["gaussian"]["pierret-galerne-texture"], tmp_path)
    assert "\n" not in str(refused.value)


def test_the_page_has_theirs_and_ours() -> None:
    """Assert every title, a pair of numbers, those that differ in bold, and what is not redone."""
    page = figures_page(figure_results())[FILE]
    assert isinstance(page, str)
    assert all(figure["title"] in page for figures in published().values() for figure in figures.values())
    for part in (
        "4.78 / 4.776",
        "0.58 / **",
        "0.223967 | 0.2239668",
        "## What is not redone",
        "2606.10353",
        "5.16 / 5.16",
    ):
        assert part in page
    assert page.count("**") == 2 * sum(
        agrees(*both) is False
        for name, entry in figure_results().items()
        for _, *both in compared(published()["gaussian"][name], entry["rows"])
    )
