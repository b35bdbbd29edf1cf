"""Samplers against what their authors' code computes, written here from its formulas in a few lines of float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from samplerproof.numerics.arc import arc
from samplerproof.numerics.grids import Grid, grid, li_grid
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import Tableau, tabulate

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
GRIDS = {
    "li": li_grid(99, 1.0, 7.0),
    "uniform-t": grid(VP, "uniform-t", 20, t_min=0.01, t_max=1.0),
    "uniform-lambda": grid(VP, "uniform-lambda", 10, t_min=1e-3, t_max=1.0),
}
CLOSE = 1e-9  # their arcsines cancel near abar = 1


def outputs(table: Tableau, row: int, count: int) -> list[float]:
    """The first coefficients of a row's outputs, the newest first, and 0 where the table has none."""
    return [*table.outputs[row].tolist(), *[0.0] * count][:count]


@pytest.mark.parametrize("on", GRIDS)
def test_li_et_als_accelerated_ode_as_coded(on: str) -> None:
    """Assert x' = sqrt(abar'/abar) x + (sigma' - sqrt(abar'/abar) sigma) eps + K (eps_before - eps), every step."""
    g = GRIDS[on]
    table, abar = tabulate("li-code-accelerated-ode", g), g.columns.alpha.square()
    for n in range(g.steps):
        now, to = abar[n], abar[n + 1]
        kept = (to / now).sqrt()
        plain = g.columns.sigma[n + 1] - kept * g.columns.sigma[n]
        change = torch.zeros_like(now)
        if n:
            turned = torch.arcsin(to.sqrt()) - torch.arcsin(now.sqrt())
            bracket = now * (g.columns.rho[n + 1] - g.columns.rho[n]) + turned
            change = to.sqrt() / (now - abar[n - 1]) * bracket
        assert float(table.states[n, 0]) == pytest.approx(float(kept), rel=CLOSE)
        expected = [float(plain - change), float(change)]
        assert outputs(table, n, 2) == pytest.approx(expected, rel=CLOSE, abs=1e-14), n
        if n:
            assert outputs(table, n, 2) != pytest.approx([v * (1 + 1e-6) for v in expected], rel=CLOSE)


@pytest.mark.parametrize("on", GRIDS)
def test_li_et_als_accelerated_sde_as_coded(on: str) -> None:
    """Assert y = x + sqrt(a (1 - a)/2) z and x' = (y + (1 - a) s(y))/sqrt(a) + sqrt((1 - a)/2) z', s = -eps/sigma."""
    g = GRIDS[on]
    table, a = tabulate("li-code-accelerated-sde", g), (g.columns.alpha[:-1] / g.columns.alpha[1:]).square()
    # 1 - a, without cancelling, from alpha'^2 - alpha^2 = (rho^2 - rho'^2) alpha^2 alpha'^2
    fresh = (g.columns.rho2[:-1] - g.columns.rho2[1:]) * g.columns.alpha[:-1].square()
    half = (fresh / 2).sqrt()
    stage, end = slice(0, None, 2), slice(1, None, 2)
    for found, expected in (
        (table.noises[stage, 0], a.sqrt() * half),
        (table.states[end, 1], a**-0.5),  # of x: the noise of y is written out
        (table.outputs[end, 0], -fresh / (a.sqrt() * g.columns.sigma[:-1])),
        (table.noises[end, 0], half),
        (table.noises[end, 1], half),  # sqrt(a) of the stage over sqrt(a)
    ):
        torch.testing.assert_close(found, expected, rtol=CLOSE, atol=0)
        assert float((found / (expected * (1 + 1e-6)) - 1).abs().min()) > 1e-7
    readme = tabulate("li-accelerated-sde-readme", g)
    torch.testing.assert_close(readme.noises[stage, 0], half, rtol=CLOSE, atol=0)
    torch.testing.assert_close(readme.noises[end], torch.stack([half, half / a.sqrt()], dim=1), rtol=CLOSE, atol=0)


def few_steps(g: Grid, tau: float, predictor: int, corrector: int) -> dict[int, tuple[Tensor, Tensor]]:
    """Of every full step: weights of (D_n, D_{n-1}) in the predictor, and of (D', D_n) in the corrector, over alpha'.

    The mode few_steps of the code of SA-Solver, for lines: k (h^2/2) times the slope, k = 1 + tau^2.
    """
    lam, k = g.columns.lam, 1 + tau**2
    found = {}
    for n in range(1, g.steps):
        h, before = lam[n + 1] - lam[n], lam[n] - lam[n - 1]
        whole = -torch.expm1(-k * h)
        slope = k * h**2 / 2
        predict = torch.stack([whole + slope / before, -slope / before]) if predictor == 2 else torch.stack([whole])
        correct = torch.stack([slope / h, whole - slope / h]) if corrector == 2 else torch.empty(0)
        found[n] = predict, correct
    return found


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    ("name", "predictor", "corrector"),
    [
        ("sa-solver-2-few-steps", 2, 0),
        ("sa-solver-p1c1-few-steps", 1, 2),
        ("sa-solver-p2c1-few-steps", 2, 2),
        ("sa-solver-p2c2-few-steps", 2, 3),
    ],
)
def test_sa_solver_as_coded_for_few_steps(name: str, predictor: int, corrector: int, tau: float) -> None:
    """Assert the lines of predictor and corrector, and that in the mode more_steps they are others."""
    g = GRIDS["uniform-lambda"]
    ours, exactly = (tabulate(f"{base}?tau={tau:g}", g) for base in (name, name.removesuffix("-few-steps")))
    rows = 2 if corrector else 1
    for n, (predict, correct) in few_steps(g, tau, predictor, corrector).items():
        alpha = float(g.columns.alpha[n + 1])
        row = rows * n
        for table in (ours, exactly):
            found = [v for v in table.outputs[row].tolist() if v]
            same = found == pytest.approx([alpha * float(v) for v in predict], rel=1e-12)
            assert same == (table is ours or predictor == 1), (n, name)
            if corrector == 2 and n < g.steps - 1:  # no correction in the last step
                found = [v for v in table.outputs[row + 1].tolist() if v]
                assert (found == pytest.approx([alpha * float(v) for v in correct], rel=1e-12)) == (table is ours)


def test_the_rest_of_the_arctangent() -> None:
    """Assert 4 eps on both sides of 1/2 against 50 digits, the limit 1/3, and finite slopes there."""
    mp = pytest.importorskip("mpmath").mp
    z = torch.tensor([1e-8, 1e-3, 0.1, 0.4999, 0.5, 0.75, 3.0, 1e3, -0.3, -7.0], dtype=torch.float64)
    with mp.workdps(50):
        for value, found in zip(z.tolist(), arc(z).tolist(), strict=True):
            true = (mp.mpf(value) - mp.atan(value)) / mp.mpf(value) ** 3
            assert abs(found / true - 1) < (16 if abs(value) < 1 else 4) * 2.0**-52
    start = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    value = arc(start)
    (slope,) = torch.autograd.grad(value, start)
    assert (value.item(), slope.item()) == (1 / 3, 0.0)
    with pytest.raises(TypeError, match="float64"):
        arc(torch.zeros(1, dtype=torch.float32))
