"""Recordings, defects and their carry: exact where everything is linear, and wrong by as much as a table is altered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from samplerproof.numerics.advice.carry import carried, isotropic
from samplerproof.numerics.advice.defects import defects
from samplerproof.numerics.advice.recording import Recording, record
from samplerproof.numerics.catalogue import METHODS
from samplerproof.numerics.denoisers import Counting
from samplerproof.numerics.errors import InputError, SamplingError
from samplerproof.numerics.grids import Grid, grid
from samplerproof.numerics.points import Point
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import tabulate
from samplerproof.numerics.targets.flow import exact_flow
from samplerproof.numerics.targets.mixture import GaussianMixture

EDM = schedule("edm")
BEGIN, END = EDM.point(20.0), EDM.point(0.05)
STD = 0.7
GAUSSIAN = GaussianMixture([1.0], [0.3], stds=[STD])
TWO = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
START = torch.tensor([[15.0], [-9.0], [30.0]], dtype=torch.float64)
DETERMINISTIC = [name for name, method in METHODS.items() if not method.stochastic]


@pytest.fixture(scope="module")
def recorded() -> Recording:
    """A Gaussian, recorded finely."""
    return record(GAUSSIAN, EDM, BEGIN, END, START, steps=160)


def seven() -> Grid:
    """Seven steps between the ends."""
    return grid(EDM, "karras", 7, sigma_min=END.sigma, sigma_max=BEGIN.sigma)


def test_a_recording_is_the_flow_and_counts_what_it_asks() -> None:
    """Assert that states between the recorded points are those of the exact flow, and every row asked is counted."""
    asked = Counting(TWO)
    found = record(asked, EDM, BEGIN, END, START)
    assert (found.evaluations, found.calls) == (3 * asked.calls, asked.calls) == (183, 61)
    inner = seven().points
    states, data = found.at(inner)
    for x, d, at in zip(states, data, inner, strict=True):
        assert torch.allclose(x, exact_flow(TWO, START, BEGIN, at)[0], rtol=2e-5, atol=1e-4)
        assert torch.allclose(d, TWO(x, at, "data"), rtol=0, atol=1e-4)
    again, outputs = found.at(found.points)
    assert torch.allclose(again, found.states, rtol=1e-13)
    assert torch.equal(outputs, found.data)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_on_a_gaussian_the_prediction_is_the_error(name: str, recorded: Recording) -> None:
    """Assert predicted = measured where the data prediction is affine, for every record, and not without its slope."""
    table = tabulate(name, seven())
    measured = sample(GAUSSIAN, START, table) - recorded.states[-1]
    predicted = carried(table, recorded, isotropic(STD))
    bound = 1e-8 * max(1.0, float(measured.abs().max()))
    assert torch.allclose(predicted, measured, rtol=0, atol=bound)
    assert not torch.allclose(carried(table, recorded, isotropic(0.9 * STD)), measured, rtol=0, atol=bound)


def test_an_altered_row_has_another_defect(recorded: Recording) -> None:
    """Assert that an output weight off by 1e-6 changes the defect of its row by 1e-6 of that output, and no other."""
    table = tabulate("exp-adams-3", seven())
    outputs = table.outputs.clone()
    outputs[3, 1] += 1e-6
    change = defects(replace(table, outputs=outputs), recorded) - defects(table, recorded)
    output = recorded.at(table.points[2:3])[1][0]
    assert torch.allclose(change[3], 1e-6 * output, rtol=1e-6, atol=0)
    assert not bool(torch.cat([change[:3], change[4:]]).any())


def test_feedback_is_carried(recorded: Recording) -> None:
    """Assert that UniPC is predicted wrongly where its outputs count as made on the exact path, and rightly else."""
    table = tabulate("unipc-2", seven())
    measured = sample(GAUSSIAN, START, table) - recorded.states[-1]

    def neglected(points: object) -> list[Callable[[Tensor], Tensor]]:
        return [torch.zeros_like] * len(table.points)

    assert float((carried(table, recorded, isotropic(STD)) / measured - 1).abs().max()) < 1e-5
    assert float((carried(table, recorded, neglected) / measured - 1).abs().max()) > 0.1


def test_bad_input_is_refused(recorded: Recording) -> None:
    """Assert that ends without a lambda, out of order or not recorded are refused, and noise, and values not finite."""
    nothing = torch.full_like(START, torch.nan)
    with pytest.raises(InputError, match=r"^steps: got 7"):
        record(GAUSSIAN, EDM, BEGIN, END, START, steps=7)
    with pytest.raises(InputError, match=r"^begin"):
        record(GAUSSIAN, EDM, END, BEGIN, START)
    with pytest.raises(InputError, match=r"^end: .*lambda is finite"):
        record(GAUSSIAN, EDM, BEGIN, EDM.point(0.0), START)
    with pytest.raises(InputError, match=r"^points: .*which is recorded"):
        recorded.at([EDM.point(21.0)])
    with pytest.raises(InputError, match="without noise"):
        defects(tabulate("ddpm", seven()), recorded)

    def broken(x: Tensor, at: Point, prediction: str) -> Tensor:
        return nothing if at.sigma < 1 else GAUSSIAN(x, at, prediction)

    with pytest.raises(SamplingError, match="non-finite"):
        record(broken, EDM, BEGIN, END, START)
