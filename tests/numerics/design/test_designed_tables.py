"""Designed tables: the linearised model, the optimisation, what is proved of a table, and its file."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from samplerproof.numerics.advice.question import Question
from samplerproof.numerics.advice.recording import Recording, record
from samplerproof.numerics.design.designed import ENOUGH, designed
from samplerproof.numerics.design.fit_table import Family, run_errors, starts
from samplerproof.numerics.design.linearised_model import LinearisedModel, linearise
from samplerproof.numerics.design.method_levels import LevelFamily
from samplerproof.numerics.design.rivals import middle, rival_on
from samplerproof.numerics.design.row_guarantees import guarantees
from samplerproof.numerics.design.row_weights import pack, tableau_of, unpack, weights_of
from samplerproof.numerics.errors import InputError, SamplingError
from samplerproof.numerics.exports import spelled_schedule
from samplerproof.numerics.grids import grid
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.table_file import read_table
from samplerproof.numerics.tableau import Tableau, tabulate
from samplerproof.numerics.targets.mixture import GaussianMixture

EDM, FLOW = schedule("edm"), schedule("flow")
BEGIN, END = EDM.point(10.0), EDM.point(0.05)
GAUSSIAN = GaussianMixture([1.0], [[0.5, -1.0]], stds=[[1.5, 0.4]])
MIXTURE = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])


def recorded(law: GaussianMixture, count: int = 6) -> tuple[Recording, LinearisedModel]:
    start = law.sample(count, BEGIN, torch.Generator().manual_seed(1))
    recording = record(law, EDM, BEGIN, END, start)
    return recording, linearise(law, recording)


@pytest.fixture(scope="module")
def gaussian() -> tuple[Recording, LinearisedModel]:
    return recorded(GAUSSIAN)


@pytest.fixture(scope="module")
def line() -> tuple[Recording, LinearisedModel]:
    return recorded(MIXTURE, 24)


def karras(steps: int) -> Tableau:
    return tabulate("exp-adams-3", grid(EDM, "karras", steps, sigma_min=0.05, sigma_max=10.0))


def parameters_of(table: Tableau) -> torch.Tensor:
    weights = weights_of(table)
    assert weights is not None
    return pack(torch.tensor([at.lam for at in table.points], dtype=torch.float64), weights)


def test_the_linearised_model_is_exact_on_a_gaussian_and_wrong_with_the_feedback_reversed(
    gaussian: tuple[Recording, LinearisedModel],
) -> None:
    """Assert that predicted errors are those of runs on a Gaussian, and that a sign error in the feedback shows."""
    recording, model = gaussian
    table = karras(5)
    lam, weights = unpack(parameters_of(table), 5, model.begin, model.end)
    measured = run_errors(GAUSSIAN, recording)(table)
    predicted = model.errors(lam, weights).square().sum(dim=1).sqrt()
    other = rival_on("exp-adams-3", "", grid(EDM, "karras", 5, sigma_min=0.05, sigma_max=10.0), recording, model)
    assert measured.min() > 1e-3
    torch.testing.assert_close(predicted, measured, rtol=2e-3, atol=0)
    assert other.predicted == pytest.approx(middle(measured), rel=2e-3)  # by the carry of defects, another route
    columns = replace(model.columns, coefficients=-model.columns.coefficients)
    planted = replace(model, columns=columns).errors(lam, weights).square().sum(dim=1).sqrt()
    assert ((planted - measured).abs() > 0.1 * measured).any()


def test_a_gaussian_is_met_by_as_many_numbers_as_it_has_variances(gaussian: tuple[Recording, LinearisedModel]) -> None:
    """Assert that three rows, with five free numbers, have no error on two variances, and two rows of a mean have."""
    recording, model = gaussian
    family = Family(recording, model, 3, "designed")
    (start,) = starts([rival_on("exp-adams-3", "", grid(EDM, "karras", 3, sigma_min=0.05, sigma_max=10.0), *gaussian)])
    *_, found = family.fitted(start)
    measure = run_errors(GAUSSIAN, recording)
    assert middle(measure(family.table(start))) > 0.02
    assert middle(measure(family.table(found))) < 2e-4
    assert guarantees(family.table(found)).consistency < 1e-15


def test_a_table_that_is_tuned_by_runs_of_the_model_has_less_than_a_fifth_of_the_error(
    line: tuple[Recording, LinearisedModel],
) -> None:
    recording, model = line
    family, start = Family(recording, model, 3, "tuned"), parameters_of(karras(3))
    measure = run_errors(MIXTURE, recording)
    before, after = (middle(measure(family.table(found))) for found in (start, family.tuned(MIXTURE, start)))
    assert after < before / 5


def test_parameters_and_tables_are_each_others_inverse_on_every_schedule() -> None:
    """Assert that a record of this form comes back from its parameters, and that on the flow it is the same sampler."""
    table = karras(6)
    lam, weights = unpack(parameters_of(table), 6, BEGIN.lam, END.lam)
    assert tableau_of(lam, weights, EDM, (BEGIN, END), "again").isclose(table)
    ends = tuple(FLOW.point(float(FLOW.time(torch.tensor(at.lam, dtype=torch.float64)))) for at in (BEGIN, END))
    on_flow = tableau_of(lam, weights, FLOW, (ends[0], ends[1]), "flow")
    x = torch.tensor([[3.0], [-5.0]], dtype=torch.float64)
    made, other = sample(MIXTURE, x, table), sample(MIXTURE, x * ends[0].alpha, on_flow) / ends[1].alpha
    torch.testing.assert_close(made, other, rtol=1e-10, atol=1e-12)
    assert weights_of(tabulate("unipc-2", grid(EDM, "karras", 6, sigma_min=0.05, sigma_max=10.0))) is None


def test_guarantees_are_those_of_the_proofs_and_lose_an_order_by_a_millionth() -> None:
    """Assert the orders of the rows of exponential Adams, consistency, growth and digits; and a planted difference."""
    table = karras(5)
    found = guarantees(table)
    assert found.orders == (1, 2, 3, 3, 3)
    assert found.consistency < 1e-15
    assert found.growth < 10
    outputs = table.outputs.clone()
    outputs[3, 1] += 1e-6
    outputs[3, 2] -= 1e-6
    assert guarantees(replace(table, outputs=outputs)).orders == (1, 2, 3, 1, 3)
    outputs[3, 2] += 1e-6
    off = guarantees(replace(table, outputs=outputs))
    assert off.consistency > 1e-8
    assert off.orders[3] == 0
    ddim = guarantees(tabulate("ddim", grid(EDM, "karras", 5, sigma_min=0.05, sigma_max=10.0)))
    assert (ddim.growth, ddim.digits) == pytest.approx((1, 1))


def test_levels_of_a_record_are_the_best_of_a_scan(line: tuple[Recording, LinearisedModel]) -> None:
    """Assert that the fitted level of two steps of DDIM is the best of all, and better than that of Karras."""
    recording, model = line
    family = LevelFamily(recording, model, "ddim", 2)
    ends = (math.log(10.0), math.log(0.05))

    def size(level: float) -> float:
        """Of the objective that is least at the fitted level."""
        lam = torch.tensor([-ends[0], -math.log(level), -ends[1]], dtype=torch.float64)
        squares = family.errors(lam.diff().log()).square().sum(dim=1)
        return float(squares.log1p().mean())

    scanned = min(size(math.exp(ends[1] + (ends[0] - ends[1]) * k / 60)) for k in range(1, 60))
    found = family.grid(family.fitted(grid(EDM, "karras", 2, sigma_min=0.05, sigma_max=10.0))).points[1].sigma
    assert size(found) < 1.05 * scanned
    assert size(found) < 0.9 * size(grid(EDM, "karras", 2, sigma_min=0.05, sigma_max=10.0).points[1].sigma)


@pytest.mark.slow
def test_a_designed_table_beats_the_best_record_and_its_file_is_sealed(tmp_path: Path) -> None:
    """Assert a gain on held-out trajectories, that every row is counted, and that an altered file is refused."""
    rows = 0

    def counted(x: torch.Tensor, at: object, prediction: str) -> torch.Tensor:
        nonlocal rows
        rows += len(x)
        return MIXTURE(x, at, prediction)  # type: ignore[arg-type]

    found = designed(Question(counted, EDM, BEGIN, END, (1,), 4, ENOUGH), model="a mixture")
    assert found.evaluations == rows
    assert found.designed.confirmed < found.record.confirmed / 1.3
    assert found.choice is found.designed
    assert found.proved.consistency < 1e-15
    assert found.provenance["schedule"] == spelled_schedule(EDM)
    path = tmp_path / "a.table.json"
    found.write(path)
    assert read_table(path) == found.table
    on = grid(EDM, "karras", 9, sigma_min=0.05, sigma_max=10.0)
    assert tabulate(str(path), on) == found.table
    with pytest.raises(InputError, match="as the grid"):
        tabulate(str(path), grid(EDM, "karras", 9, sigma_min=0.05, sigma_max=9.0))
    # One weight off, then two whose sum stays.
    data = json.loads(path.read_text())
    for changed, message in (((0,), "rows that sum to 1"), ((0, 1), "checksum")):
        altered = json.loads(json.dumps(data))
        for n, sign in zip(changed, (1, -1), strict=False):
            altered["outputs"][2][n] = float.fromhex(altered["outputs"][2][n]) + sign * 1e-6
        path.write_text(json.dumps(altered))
        with pytest.raises(InputError, match=message):
            read_table(path)


def test_a_model_that_answers_differently_or_not_at_all_is_refused() -> None:
    """Assert one line on a model with noise inside, on NaN, and on too many evaluations."""

    def noisy(x: torch.Tensor, at: object, prediction: str) -> torch.Tensor:
        return torch.randn_like(x)

    for model, message in ((noisy, "another value"), (lambda x, at, prediction: x * math.nan, "finite")):
        with pytest.raises(SamplingError, match=message):
            designed(Question(model, EDM, BEGIN, END, (1,), 4, ENOUGH))
    with pytest.raises(InputError, match="from 2 to 50"):
        designed(Question(MIXTURE, EDM, BEGIN, END, (1,), 51, ENOUGH))
