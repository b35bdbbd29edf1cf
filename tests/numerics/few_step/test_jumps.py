"""Jumps: composed they are the table, merged rows are the same sampler, and only the flow has no residual."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import samplerproof as sp
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.few_step.jump import ddim_jump, run_jumps, semigroup_residual, through
from samplerproof.numerics.few_step.merged_steps import merged
from samplerproof.numerics.laws.affine import gaussian_law

M1 = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
ONE = sp.GaussianMixture([1.0], [0.6], stds=[1.3])
ENDS = {
    "vp-linear": {"t_min": 1e-3, "t_max": 1.0},
    "cosine": {"t_min": 1e-3, "t_max": 0.99},
    "edm": {"t_min": 0.01, "t_max": 20.0},
    "flow": {"t_min": 1e-3, "t_max": 0.999},
}


def grid(kind="vp-linear", steps=16):
    return sp.grid(sp.schedule(kind), "uniform-t", steps, **ENDS[kind])


def starts(at, law=M1):
    return law.sample(50, at.points[0], torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", ENDS)
def test_jumps_of_ddim_are_its_table(kind):
    at = grid(kind)
    x = starts(at)
    end = sp.sample(M1, x, sp.tabulate("ddim", at))
    jump = through(ddim_jump(M1), at.points)
    assert torch.allclose(jump(x, at.points[0], at.points[-1]), end, rtol=1e-12, atol=1e-12)
    assert torch.allclose(run_jumps(ddim_jump(M1), x, at.points), end, rtol=1e-12, atol=1e-12)
    assert (ddim_jump(M1)(x, at.points[0], at.points[-1]) - end).abs().max() > 1e-2


@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.parametrize("every", [1, 2, 4, 16])
def test_merged_steps_are_the_same_sampler(kind, every):
    """Assert samples to 1e-12 and the law to 1e-14; a convex mean of the outputs; and that exchanged weights fail."""
    at = grid(kind)
    table = sp.tabulate("ddim", at)
    one = merged(table, every)
    x = starts(at)
    end = sp.sample(M1, x, table)
    assert torch.allclose(sp.sample(M1, x, one), end, rtol=1e-12, atol=1e-12)
    for law in (gaussian_law(t, ONE, (ONE, at.points[0])) for t in (table, one)):
        assert law.mean.item() == pytest.approx(0.6 * at.points[-1].alpha, rel=1e-12)
    assert gaussian_law(one, ONE, (ONE, at.points[0])).covariance.item() == pytest.approx(
        gaussian_law(table, ONE, (ONE, at.points[0])).covariance.item(), rel=1e-14
    )
    last = one.outputs[every - 1 :: every]
    assert bool((last > 0).all())
    if every == 2:
        rho = at.columns.rho
        t, s, u = rho[:-1:2], rho[1::2], rho[2::2]
        first = u * (t - s) / (s * (t - u))
        assert torch.allclose(last[:, 1] / last.sum(dim=1), first, rtol=1e-11)
        wrong = replace(
            one, outputs=torch.where((torch.arange(16) % 2 == 1)[:, None], one.outputs.flip(1), one.outputs)
        )
        assert (sp.sample(M1, x, wrong) - end).abs().max() > 1e-2


def test_what_cannot_be_merged():
    for name, every, field in (
        ("dpm-solver++-2m", 2, "tableau"),
        ("ddim-eta?eta=1", 2, "tableau"),
        ("ddim", 3, "every"),
    ):
        with pytest.raises(InputError, match=f"^{field}: got"):
            merged(sp.tabulate(name, grid()), every)


def test_only_the_flow_has_no_residual():
    at = grid("flow")
    x = starts(at)
    start, middle, end = at.points[0], at.points[8], at.points[16]

    def flow(x, p, q):
        return sp.exact_flow(M1, x, p, q)[0]

    assert semigroup_residual(flow, x, start, middle, end) < 1e-12
    assert semigroup_residual(ddim_jump(M1), x, start, middle, end) > 1e-1
    compiled = through(ddim_jump(M1), at.points)
    assert semigroup_residual(compiled, x, start, middle, end) == 0


def test_a_shortcut_of_the_flow_is_consistent():
    """Assert s(x, t, 2d) = (s(x, t, d) + s(x + d s, t + d, d))/2 for s = (flow - x)/d on the linear path: 1e-12."""
    schedule = sp.schedule("flow")
    x = starts(grid("flow"))
    for t in (0.9, 0.6):
        for d in (0.05, 0.2):
            p, q, r = (schedule.point(t - k * d) for k in range(3))
            first = (sp.exact_flow(M1, x, p, q)[0] - x) / d
            second = (sp.exact_flow(M1, x + d * first, q, r)[0] - x - d * first) / d
            both = (sp.exact_flow(M1, x, p, r)[0] - x) / (2 * d)
            assert torch.allclose(both, (first + second) / 2, rtol=1e-12, atol=1e-12)
            assert (both - first).abs().max() > 1e-3


def test_jumps_between_other_points_are_refused():
    at = grid()
    jump = through(ddim_jump(M1), at.points)
    x = starts(at)
    with pytest.raises(InputError, match="one of the points of the grid"):
        jump(x, at.points[0], sp.schedule("vp-linear").point(0.123))
    with pytest.raises(InputError, match="a point after the start"):
        jump(x, at.points[2], at.points[1])


@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("start", lambda jump, x, at: jump(x, 0.5, at.points[1])),
        ("end", lambda jump, x, at: jump(x, at.points[0], "data")),
        ("x", lambda jump, x, at: jump([[0.0, 0.0]], at.points[0], at.points[1])),
        ("start", lambda jump, x, at: run_jumps(jump, x, "abc")),
        ("tableau", lambda jump, x, at: merged("ddim", 2)),
        ("guess", lambda jump, x, at: sp.techniques.posterior_chain(3, x, at, torch.Generator())),
        ("grid", lambda jump, x, at: sp.techniques.posterior_chain(M1, x, "grid", torch.Generator())),
        ("generator", lambda jump, x, at: sp.techniques.posterior_chain(M1, x, at, 0)),
        ("grid", lambda jump, x, at: sp.techniques.deviation_factor("grid", 1.0)),
        ("first", lambda jump, x, at: sp.techniques.deviation_factor(at, 1.0, 17)),
        ("node", lambda jump, x, at: sp.techniques.second_step_factor(at, 1.0, -1)),
        ("variance", lambda jump, x, at: sp.techniques.second_step_factor(at, 0.0, 1)),
        ("network", lambda jump, x, at: sp.techniques.counted_macs("digits").__enter__()),
    ],
)
def test_what_is_of_another_kind_is_one_line(field, call):
    """Assert the name of the argument, what it was, and no traceback of another kind."""
    with pytest.raises(InputError, match=rf"^{field}: got .*; ") as refused:
        call(sp.techniques.load_student("rings-progressive-8").jump(), torch.zeros(2, 2), grid())
    assert "\n" not in str(refused.value)
