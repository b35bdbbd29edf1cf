"""Advice: what is asked is counted, what is confirmed is a run, what was kept is not asked again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import samplerproof as sp
from samplerproof.numerics.advice import candidates as module
from samplerproof.numerics.advice.advice import Advice, advise, predicted_sizes
from samplerproof.numerics.advice.advice_targets import question, question_of
from samplerproof.numerics.advice.carry import isotropic
from samplerproof.numerics.advice.defects import data_rows
from samplerproof.numerics.advice.family_of_laws import OWN
from samplerproof.numerics.advice.question import Question, plan_of
from samplerproof.numerics.advice.recording import record
from samplerproof.numerics.advice.tangents import in_own_coordinates, tangents
from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.errors import InputError, SamplingError
from samplerproof.numerics.points import Point
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture

EDM = schedule("edm")
PLANE = GaussianMixture([0.4, 0.6], [[-1.0, 0.5], [0.9, -0.2]], stds=[0.3, 0.5])
FEW = ("ddim", "dpm-solver++-2m", "unipc-2", "ipndm-3", "edm-heun", "dpm-solver-3s", "ddpm")


class Asked:
    """A model that counts rows by itself."""

    shape = (2,)

    def __init__(self) -> None:
        self.rows = 0

    def __call__(self, x: Tensor, at: Point, prediction: str) -> Tensor:
        self.rows += len(x)
        return PLANE(x, at, prediction)


@pytest.fixture(autouse=True, scope="module")
def few_methods() -> Iterator[None]:
    """A catalogue of one record of each shape, and few levels."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(module, "METHODS", {name: METHODS[name] for name in FEW})
        monkeypatch.setattr(module, "KARRAS", (3, 7))
        monkeypatch.setattr(module, "STRETCHED", (("ays-sd1", {}),))
        yield


@pytest.fixture(scope="module")
def answered(few_methods: None) -> tuple[Advice, Asked]:
    """An answer about a mixture in the plane."""
    asked = Asked()
    return advise(question(asked, EDM, 6, budget=400)), asked


def test_rows_are_counted_and_runs_are_runs(answered: tuple[Advice, Asked]) -> None:
    """Assert that the answer counts what the model counts, within the budget, and that its errors are those of runs."""
    advice, asked = answered
    assert advice.evaluations == asked.rows <= 400
    assert advice.first_evaluations <= 150
    run = [entry for entry in advice.entries if entry.confirmed is not None]
    assert advice.baseline in run
    assert [entry.expected for entry in run] == sorted(entry.expected for entry in run)
    assert all(entry.candidate.table.nfe <= 6 for entry in advice.entries)
    # The confirmed error of the choice, from its table and a finer recording.
    start = advice.question.starts(range(advice.plan.trajectories))
    fine = record(PLANE, EDM, advice.question.begin, advice.question.end, start, 160)
    choice = advice.choice
    off = sample(PLANE, start, choice.candidate.table) - fine.states[-1]
    size = off.square().mean(dim=1).sqrt().log().mean().exp()
    assert choice.confirmed == pytest.approx(float(size), rel=0.05)
    # The error that it states, against that of many other samples.
    start = advice.question.starts(range(100, 228))
    off = sample(PLANE, start, choice.candidate.table)
    off -= record(PLANE, EDM, advice.question.begin, advice.question.end, start, 160).states[-1]
    assert 0.6 < choice.expected / float(off.square().mean(dim=1).sqrt().log().mean().exp()) < 1.6
    assert (choice.confirmed or 0) < 0.5 * (advice.baseline.confirmed or 0)


def test_the_lines_to_paste_make_the_table(answered: tuple[Advice, Asked]) -> None:
    """Assert that the pasted lines run the very table, for a kind of levels and for stretched ones."""
    advice, _ = answered
    from samplerproof.numerics.advice.advice_text import paste

    kinds: dict[bool, Any] = {e.candidate.named.stretched: e for e in advice.entries if e.candidate.named is not None}
    for entry in kinds.values():
        *lines, last = paste(advice, entry)
        found: dict[str, Any] = {"denoise": PLANE}
        exec("\n".join([*lines, last]), found)
        assert sp.tabulate(entry.candidate.method, found["grid"]).isclose(entry.candidate.table, rtol=1e-9)
        assert found["y"].shape == (1, 2)
    assert set(kinds) == {True, False}
    assert str(advice).count("\n") > 10
    assert advice.plain()["choice"]["method"] == advice.choice.candidate.method


@pytest.mark.slow
def test_kept_parts_are_not_asked_again(tmp_path: Path) -> None:
    """Assert that the second query asks one row only, has the same answer, and a damaged file is computed again."""

    def ask() -> tuple[Advice, int]:
        asked = Asked()
        begin, end = EDM.point(20.0), EDM.point(0.05)
        return advise(Question(asked, EDM, begin, end, (2,), 4, 160, identity={"name": "plane"}), tmp_path), asked.rows

    (first, asked), (second, again) = ask(), ask()
    assert (asked, again) == (first.evaluations, 1)
    assert (second.evaluations, second.kept) == (asked, asked - 1)
    assert second.plain() | {"kept": 0} == first.plain()
    damaged = sorted(tmp_path.glob("*.advice"))[0]
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    assert 1 < ask()[1] < asked


def test_tangents_are_derivatives() -> None:
    """Assert J along the recorded directions by small differences, and a prediction by it near the error."""
    begin, end = EDM.point(20.0), EDM.point(0.05)
    start = torch.tensor([[15.0, -3.0], [-9.0, 20.0]], dtype=torch.float64)
    recording = record(PLANE, EDM, begin, end, start, 60)
    found = tangents(PLANE, recording)
    at = min(recording.points, key=lambda p: abs(p.lam - float(found.lam[3])))
    n = recording.points.index(at)
    for r, x in enumerate(recording.states[n]):
        near = 1e-6 * torch.eye(2, dtype=torch.float64)
        exact = ((PLANE(x + near, at, "data") - PLANE(x - near, at, "data")) / 2e-6).mT
        slope = at.alpha * found.std[r] ** 2 / (at.alpha**2 * found.std[r] ** 2 + at.sigma**2)
        for direction, product in zip(found.directions[r], found.products[3, r], strict=True):
            assert torch.allclose(slope * product, exact @ direction, rtol=0, atol=0.05 * float(exact.norm()))
    assert (found.evaluations, found.calls) == (7 * 2 * 2, 7)
    # Feedback through these derivatives: nearer to the measured error than the slope of a Gaussian.
    grid = sp.grid(EDM, "karras", 12, sigma_min=0.05, sigma_max=20.0)
    for name in ("unipc-2", "dpm-solver++-2m"):
        rows = data_rows(tabulate(name, grid))
        measured = sample(PLANE, start, tabulate(name, grid)) - recording.states[-1]
        size = measured.norm(dim=1) / 2**0.5
        predicted = predicted_sizes([rows], recording, found)[0, OWN]
        assert float((predicted / size).log().abs().max()) < 0.3
    assert len(isotropic(1.0)([at])) == 1


def test_own_coordinates_keep_lengths() -> None:
    """Assert that errors of long samples, predicted in the span of their trajectory, are those of all numbers."""
    wide = GaussianMixture([0.5, 0.5], torch.linspace(-1, 1, 400).reshape(2, 200).double(), stds=[0.4, 0.6])
    start = 20 * torch.randn(2, 200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    recording = record(wide, EDM, EDM.point(20.0), EDM.point(0.05), start, 30)
    found = tangents(wide, recording)
    own, derivative = in_own_coordinates(recording, found)
    assert own.data.shape[2] < 200
    rows = [data_rows(tabulate("unipc-2", sp.grid(EDM, "karras", 6, sigma_min=0.05, sigma_max=20.0)))]
    seen = predicted_sizes(rows, recording, found)[0, OWN]
    from samplerproof.numerics.advice.carry import carry
    from samplerproof.numerics.advice.defects import row_defects

    whole = carry(rows[0], row_defects(rows[0], *recording.at(rows[0].points)), found(rows[0].points))
    assert torch.allclose(seen, whole.norm(dim=1) / 200**0.5, rtol=1e-9)
    assert derivative.directions.shape[2] == own.data.shape[2]


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    """Assert the field of a small budget, of levels outside of training, of a design with other ends."""
    with pytest.raises(InputError, match=r"^budget: got 40; at least \d+"):
        question(PLANE, EDM, 8, budget=40)
    least = 30 + 1 + 7 * 2 + 2 * 8 + 1
    assert plan_of(question(PLANE, EDM, 8, budget=least)).confirmed == 2
    with pytest.raises(InputError, match=r"^nfe"):
        question(PLANE, EDM, 1)
    with pytest.raises(InputError, match=r"^levels: .*trained on lambda"):
        question("rings", EDM, 8, begin=1e5)
    with pytest.raises(InputError, match=r"^shape"):
        question(lambda x, at, prediction: x, EDM, 8)
    assert question(lambda x, at, prediction: x, EDM, 8, shape=(1,)).shape == (1,)
    with pytest.raises(InputError, match=r"^shape: got \(0,\)"):
        question(lambda x, at, prediction: x, EDM, 8, shape=(0,))
    file = tmp_path / "law.toml"
    file.write_text('[target]\nweights = [1.0]\nmeans = [0.0]\nstds = [1.0]\n[schedule]\nkind = "li"\n')
    with pytest.raises(InputError, match=r"^schedule"):
        question_of(str(file), 8)
    other = tabulate("ddim", sp.grid(EDM, "karras", 4, sigma_min=0.1, sigma_max=9.0))
    with pytest.raises(InputError, match=r"^design mine: lambda"):
        advise(question(PLANE, EDM, 4, budget=150), designed={"mine": other})

    def restless(x: Tensor, at: Point, prediction: str) -> Tensor:
        return PLANE(x, at, prediction) + 0.01 * torch.randn_like(x)

    with pytest.raises(SamplingError, match="another value for the same input"):
        advise(question(restless, EDM, 4, shape=(2,), budget=150))


def test_a_study_file_and_a_function_are_targets(tmp_path: Path) -> None:
    """Assert the ends of a study's grid, and the shape of a function in a file."""
    file = tmp_path / "law.toml"
    file.write_text(
        '[target]\nweights = [1.0]\nmeans = [0.0]\nstds = [1.0]\n[schedule]\nkind = "vp-linear"\n'
        '[grid]\nkind = "uniform-t"\nt_min = 0.01\nt_max = 0.9\n[run]\nmethods = ["ddim"]\nsteps = [3]\n'
    )
    asked = question_of(str(file), 8)
    assert (asked.begin.t, asked.end.t, asked.shape, asked.schedule.kind) == (0.9, 0.01, (1,), "vp-linear")
    code = tmp_path / "mine.py"
    code.write_text("def model(x, at, prediction):\n    return 0 * x\n\nmodel.shape = (3, 4)\n")
    assert question_of(f"{code}:model", 8).shape == (3, 4)
    rings = question_of("rings", 8)
    assert (rings.begin.sigma, rings.end.sigma, rings.shape) == (80.0, 0.002, (2,))
