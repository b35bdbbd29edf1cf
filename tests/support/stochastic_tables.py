"""Tables of stochastic samplers made by hand from the papers' formulas, for any grid."""

from __future__ import annotations

import torch
from torch import Tensor

from samplerproof.numerics.grids import Grid
from samplerproof.numerics.tableau import Tableau


def ddpm(g: Grid) -> Tableau:
    """x' = (sigma'/sigma) e^-h x + alpha' (1 - e^-2h) x0hat + sigma' sqrt(1 - e^-2h) z, h = lambda' - lambda."""
    c, h = g.columns, g.columns.lam.diff()
    open_ = -torch.expm1(-2 * h)
    kept = c.sigma[1:] / c.sigma[:-1] * torch.exp(-h)
    return _one_row("ddpm", "data", g, kept, c.alpha[1:] * open_, c.sigma[1:] * open_.sqrt())


def li_ddpm(g: Grid) -> Tableau:
    """Y' = (Y + (1 - a) s(Y) + sqrt(1 - a) Z) / sqrt(a), a = (alpha/alpha')^2."""
    a = _decay(g)
    return _one_row("li-ddpm", "score", g, a**-0.5, (1 - a) / a.sqrt(), ((1 - a) / a).sqrt())


def li_accelerated_sde(g: Grid, outside: bool = False) -> Tableau:
    """Y+ = Y + sqrt((1 - a)/2) Z;  Y' = (Y+ + (1 - a) s(Y+) + sqrt((1 - a)/2) Z+) / sqrt(a).

    outside: the last noise stands outside 1/sqrt(a), as in the authors' README.
    """
    a, steps = _decay(g), range(g.steps)
    half = ((1 - a) / 2).sqrt()
    ones, zeros = torch.ones_like(a), torch.zeros_like(a)
    return Tableau(
        method="li-accelerated-sde",
        prediction="score",
        points=(g.points[0], *(g.points[n + k] for n in steps for k in (0, 1))),
        step=(0, *(n + 1 for n in steps for _ in (0, 1))),
        evaluated=(False, *(k == 0 for _ in steps for k in (0, 1))),
        given=1,
        states=_two_rows(ones, a**-0.5),
        outputs=_two_rows(zeros, (1 - a) / a.sqrt()),
        noises=_two_rows(half, half if outside else half / a.sqrt()),
    )


def _decay(g: Grid) -> Tensor:
    return (g.columns.alpha[:-1] / g.columns.alpha[1:]) ** 2


def _one_row(name: str, prediction: str, g: Grid, kept: Tensor, output: Tensor, noise: Tensor) -> Tableau:
    evaluated = (*(True,) * g.steps, False)
    columns = (kept[:, None], output[:, None], noise[:, None])
    return Tableau(name, prediction, g.points, tuple(range(g.steps + 1)), evaluated, 1, *columns)


def _two_rows(first: Tensor, second: Tensor) -> Tensor:
    return torch.stack([first, second], dim=1).reshape(-1, 1)
