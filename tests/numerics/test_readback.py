"""Reading back: one run or two, what they write into, and runs that evaluate or draw otherwise than before."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from samplerproof.numerics.errors import DependsError, SamplingError
from samplerproof.numerics.external_run import Calls, Draw, Finish, Model, Run
from samplerproof.numerics.grids import Grid
from samplerproof.numerics.readback import Trace, is_image, of_tableau, random_inputs, respond, trace
from samplerproof.numerics.tableau import tabulate

GRID = Grid.from_sigmas([10.0, 4.0, 1.0, 0.3])
POINTS = GRID.points


def churned(change: Callable[[Tensor, int], Tensor] = lambda x, n: x, draws: int = 3, span: float = 1.0) -> Run:
    """Three steps with noise over spans of one path.  change: what is made of the state before each step."""

    def run(start: Tensor, model: Model, draw: Draw) -> Finish:
        x = start
        for n in range(3):
            x = change(x, n)
            x = 0.5 * x + 0.25 * model(x, POINTS[n], n)
            if n < draws:
                x = x + draw(x, (span * n, span * n + 2.0))
        return Finish(x, POINTS)

    return run


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_run_on_a_batch_of_two_reads_what_two_runs_read(dtype: torch.dtype) -> None:
    """Assert equal vectors and tables, a share off by a millionth not, and the superposition of what is not linear."""
    for run in (churned(), of_tableau(tabulate("ddpm", GRID)), of_tableau(tabulate("unipc-2", GRID))):
        two, one = (trace(run, "data", dtype, at_once=at_once) for at_once in (False, True))
        assert torch.equal(one.vectors, two.vectors)
        assert one.table == two.table
        assert (one.points, one.step, one.spans, one.mutated) == (two.points, two.step, two.spans, ())
        assert max(one.superposition) < 100 * torch.finfo(dtype).eps
    bent = trace(churned(lambda x, n: x.clamp(-1, 1)), "data", dtype, at_once=True)
    assert max(bent.superposition) > 0.1
    off = trace(churned(lambda x, n: x * 1.000001), "data", dtype, at_once=True)
    assert not off.table.isclose(two.table)


def test_the_table_of_a_run_is_its_law() -> None:
    """Assert coefficients by hand: noise over [0, 2] and [1, 3] of a path has a covariance of 1/2."""
    table = trace(churned(draws=2), "data").table
    assert table.states[:, 0].tolist() == [0.5, 0.5, 0.5]
    assert table.outputs[:, 0].tolist() == [0.25, 0.25, 0.25]
    assert table.noises[0, 0] == 1
    assert table.noises[1].tolist()[:2] == pytest.approx([math.sqrt(3) / 2, 0.5], rel=1e-15)
    assert not table.noises[2].any()


def test_what_a_run_writes_into_is_named_in_one_run_and_in_two() -> None:
    """Assert the start and an output, and neither of a run that writes into tensors of its own."""

    def writes(start: Tensor, model: Model, draw: Draw) -> Finish:
        d = model(start, POINTS[0], 0)
        x = start.mul_(0.5) + d.mul_(0.25)
        return Finish(x + model(x, POINTS[1], 1), POINTS)

    for at_once in (False, True):
        assert trace(writes, "data", at_once=at_once).mutated == ("start", "output 1")
        assert trace(churned(lambda x, n: x.clone().mul_(2)), "data", at_once=at_once).mutated == ()


def test_expected_calls_save_a_run_and_wrong_ones_are_counted_again() -> None:
    """Assert the number of runs and the same trace, with the calls of the run and with others."""
    runs, inner = [0], churned()

    def counted(start: Tensor, model: Model, draw: Draw) -> Finish:
        runs[0] += 1
        return inner(start, model, draw)

    spans = ((0.0, 2.0), (1.0, 3.0), (2.0, 4.0))
    right, few, other = Calls(3, spans), Calls(2, spans), Calls(3, (*spans[:2], None))
    found = trace(counted, "data")
    for calls, least in ((right, 2), (few, 4), (Calls(4, spans), 4), (Calls(3, (*spans, None)), 4), (other, 4)):
        runs[0] = 0
        assert torch.equal(trace(counted, "data", expected=calls).vectors, found.vectors)
        assert runs[0] == least, calls


def by_value(calls: str) -> Run:
    """A run that takes one call more where its state is large."""

    def run(start: Tensor, model: Model, draw: Draw) -> Finish:
        large = bool(start.abs().max() > 2)
        x = start + model(start, POINTS[0], 0) + draw(start)
        if large and calls == "evaluations":
            x = x + model(x, POINTS[1], 1)
        if large and calls == "draws":
            x = x + draw(x)
        if calls == "spans":
            x = x + draw(x, (0.0, 2.0 if large else 1.0))
        return Finish(x, (POINTS[0], POINTS[-1]))

    return run


@pytest.mark.parametrize("calls", ["evaluations", "draws", "spans"])
@pytest.mark.parametrize("at_once", [False, True])
def test_calls_that_depend_on_the_values_have_no_superposition(calls: str, at_once: bool) -> None:
    """Assert an infinite one for all vectors and those of a run on zeros, and the reason on other inputs."""
    found = trace(by_value(calls), "data", at_once=at_once)
    assert set(found.superposition) == {math.inf}
    assert found.nfe == 1
    small = trace(churned(draws=0), "data")
    with pytest.raises(DependsError, match=r"^1 evaluations, 3 before$|^draw 1: not as in a run before$"):
        respond(by_value(calls), small, 3 * torch.ones(small.vectors.shape[1], 1, 1, 1, 5, dtype=torch.float64))


def test_other_outputs_of_a_model_than_before_are_refused() -> None:
    """Assert the words for a run that asks for other channels, and its image where it asks for the same."""

    def asks(name: str) -> Run:
        def run(start: Tensor, model: Model, draw: Draw) -> Finish:
            return Finish(0.5 * start + model(start, POINTS[0], 0, name), (POINTS[0], POINTS[-1]))

        return run

    found = trace(asks("conditional"), "data")
    assert found.channel == ("conditional",)
    inputs = random_inputs(found.vectors.shape[1]).view(2, 1, 1, 1, 2)
    assert is_image(respond(asks("conditional"), found, inputs), found, inputs)
    with pytest.raises(DependsError, match=r"^evaluations of other outputs than before$"):
        respond(asks("unconditional"), found, inputs)


def end(change: Callable[[Tensor], object]) -> Run:
    """A run of one evaluation whose sample is changed."""
    return lambda start, model, draw: Finish(change(start + model(start, POINTS[0], 0)), (POINTS[0], POINTS[-1]))  # type: ignore[arg-type]


def test_runs_that_end_or_evaluate_in_another_shape_are_refused() -> None:
    """Assert one line for a shape, a type, a dtype and a state of another shape, and none for a right end."""
    for change, says in (
        (lambda x: x[0], r"ends with \[1, 1, 1\]; it was given \[1, 1, 1, 1\]"),
        (lambda x: (x,), "ends with tuple, not with the sample; it was given"),
        (lambda x: x.float(), "ends in torch.float32 on cpu; it was given torch.float64 on cpu"),
    ):
        with pytest.raises(SamplingError, match=says):
            trace(end(change), "data")
    assert trace(end(lambda x: x), "data").vectors[1].tolist() == [1, 1]

    def flat(start: Tensor, model: Model, draw: Draw) -> Finish:
        return Finish(start + model(start.flatten(), POINTS[0], 0).view(start.shape), (POINTS[0], POINTS[-1]))

    with pytest.raises(SamplingError, match=r"evaluation 1: a state of shape \[1\], not \[1, 1, 1, 1\]"):
        trace(flat, "data")


def drawn(shape: Callable[[Tensor], Tensor]) -> Run:
    """A run of one evaluation that adds noise, drawn in a shape that is made of the state's."""

    def run(start: Tensor, model: Model, draw: Draw) -> Finish:
        x = start + model(start, POINTS[0], 0)
        return Finish(x + draw(shape(x)).reshape(x.shape), (POINTS[0], POINTS[-1]))

    return run


@pytest.mark.parametrize("at_once", [False, True])
def test_noise_of_another_shape_than_the_state_is_refused_in_words(at_once: bool) -> None:
    """Assert both shapes, also for a scalar, and that noise of the state's shape, flat or not, is read."""
    for shape, says in (
        (
            lambda x: x[..., :1],
            r"^a draw of noise of shape \[1, 1, 1, 1\], which is not that of the state, \[1, 1, 1, 3\]$",
        ),
        (lambda x: x.sum(), r"^a draw of noise of shape \[\], which is not that of the state, \[1, 1, 1, 3\]$"),
    ):
        with pytest.raises(SamplingError, match=says):
            trace(drawn(shape), "data", at_once=at_once)
    whole, flat = (trace(drawn(shape), "data", at_once=at_once) for shape in (lambda x: x, lambda x: x.flatten()))
    assert torch.equal(whole.vectors[1], torch.ones(3, dtype=torch.float64))
    assert torch.equal(flat.vectors, whole.vectors)
    inputs = torch.arange(18.0, dtype=torch.float64).view(3, 2, 1, 1, 3)
    for run in (lambda x: x, lambda x: x.flatten()):
        assert torch.equal(respond(drawn(run), whole, inputs)[-1], inputs.sum(0))
    with pytest.raises(DependsError, match=r"^a draw of noise of shape \[1, 1, 1, 3\], which is not the state's$"):
        respond(drawn(lambda x: x[:1]), whole, inputs)


def test_narrow_code_shows_its_rounding_where_it_is_single() -> None:
    """Assert that entries cut as rounding are those of the dtype inside, where that is float32."""
    made: Trace = trace(churned(), "data")
    assert made.precision is replace(made, inside=torch.bfloat16).precision is torch.float64
    assert replace(made, inside=torch.float32).precision is torch.float32
    noisy = made.vectors.clone()
    noisy[-1, 1] += 1e-9
    wide, narrow = (replace(made, vectors=noisy, inside=inside) for inside in (None, torch.float32))
    assert (float(wide.table.outputs[-1, 2]), float(narrow.table.outputs[-1, 2:].abs().sum())) == (
        pytest.approx(1e-9),
        0,
    )
    assert wide.cut[-1] == 0 < narrow.cut[-1] < 1e-5
