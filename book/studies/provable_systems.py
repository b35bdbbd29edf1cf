"""The samplers of the arena, and what is proved of them in papers: each with what was read of it, and where from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import sympy as sp
import torch

from ...numerics.grids import Grid
from ...numerics.points import Point
from ...numerics.tableau import Tableau, tabulate
from ...theory.collocation import chebyshev_nodes, collocation
from ..scheme_tables import scheme_table

ABSTRACT, SUMMARY = "abstract read", "read in a summary"


@dataclass(frozen=True)
class Theorem:
    """A published theorem.

    arxiv, title: of the paper.  assumes, states: in words, up to logarithms.  steps: the power of N in its bound on
    TV, and dimension that of d; None where it has none of that form.  read: where the statement comes from.
    outside: why the sampler is not in the arena; "" where it is.
    """

    arxiv: str
    title: str
    assumes: str
    states: str
    read: str = ABSTRACT
    steps: float | None = None
    dimension: float | None = None
    outside: str = ""


@dataclass(frozen=True)
class System:
    """A sampler of the arena.

    label: as people write it.  arxiv: the papers whose theorems are about it.  table: grid -> its table.  order: the
    proved one, in law for stochastic samplers; None where only measured.  formula: where its formula comes from.
    """

    name: str
    label: str
    arxiv: tuple[str, ...]
    table: Callable[[Grid], Tableau]
    order: int | None
    formula: str
    stochastic: bool = False

    @property
    def chosen(self) -> bool:
        """Whether a part of the formula is a choice made here."""
        return "our choice" in self.formula


THEOREMS = (
    Theorem(
        "2403.03852",
        "Accelerating convergence of score-based diffusion models, provably",
        "scores right in mean square; no smoothness, no log-concavity",
        "TV of order 1/N^2 for the accelerated ODE, 1/N for the accelerated SDE",
        steps=-2,
    ),
    Theorem(
        "2409.18959",
        "O(d/T) convergence theory for diffusion probabilistic models",
        "a finite first moment; scores right in mean square",
        "TV of order d/N for DDPM; k/N with the coefficients of the posterior, k the intrinsic dimension",
        steps=-1,
        dimension=1,
    ),
    Theorem(
        "2410.18784",
        "DDPM are optimally adaptive to unknown low dimensionality",
        "data of intrinsic dimension k",
        "steps nearly linear in k for a given KL",
    ),
    Theorem(
        "2510.27562",
        "Optimal convergence analysis of DDPM for general distributions",
        "a relaxed smoothness with constant L, small for mixtures",
        "KL of order d min(d, L^2)/N^2, with a matching lower bound; TV by Pinsker: L d^(1/2)/N",
        steps=-1,
        dimension=0.5,
    ),
    Theorem(
        "2506.13061",
        "Fast convergence for high-order ODE solvers in diffusion probabilistic models",
        "bounded first and second derivatives of the estimated score",
        "TV at most a multiple of d^(7/4) eps^(1/2) + d (d H)^p for exponential Runge-Kutta methods of order p",
    ),
    Theorem(
        "2508.03210",
        "Convergence of deterministic and stochastic diffusion-model samplers",
        "bounded support or Gaussian-perturbed data; a regular score",
        "W2 of order h^2 for Heun's method, h for Euler's",
        read=SUMMARY,
        steps=-2,
    ),
    Theorem(
        "2506.24042",
        "Faster diffusion models via higher-order approximation",
        "no smoothness, no log-concavity; scores right in mean square",
        "d^(1 + 2/K) eps^(-1/K) evaluations for TV eps: TV of order d^(K + 2)/N^K",
    ),
    Theorem(
        "2606.10353",
        "Higher-order diffusion sampling via Chebyshev interpolation and Gauss-Seidel iterations",
        "a polynomial bound of the second moment; errors of score and Jacobian",
        "d^(1 + o(1)) eps^(-1/K) evaluations for TV eps",
    ),
    Theorem(
        "2601.10708",
        "High-accuracy and dimension-free sampling with diffusions",
        "a bounded effective radius R of the smoothed data; errors of the score with thin tails",
        "(R/sigma)^2 polylog(1/eps) evaluations for TV eps; no power of N bounds the error",
    ),
    Theorem(
        "2601.17375",
        "Operator splitting based diffusion samplers and improved convergence analysis",
        "Lipschitz scores, moments",
        "TV at most a multiple of d/N^2 + sqrt(d) eps_score + d eps_Jacobian",
        steps=-2,
        dimension=1,
    ),
    Theorem(
        "2601.13602",
        "An elementary approach to scheduling in generative diffusion models",
        "one Gaussian",
        "the grid `tangent` has the least KL of DDIM as N grows",
        outside="a grid, not a sampler: `samplerproof grids tangent`",
    ),
    Theorem(
        "2410.23285",
        "Provable acceleration for diffusion models under minimal assumptions",
        "a finite second moment; scores right in mean square",
        "d^(5/4) eps^(-1/2) evaluations for TV eps: TV of order d^(5/2)/N^2",
        outside="no table: the correction is clipped, and its formula could not be read",
    ),
    Theorem(
        "2502.04849",
        "Advancing Wasserstein convergence analysis of score-based models",
        "a strongly log-concave target",
        "1/eps steps for W2 eps with the Hessian of the log density, in place of 1/eps^2",
        outside="no table: a step takes the Jacobian of the score",
    ),
)


def variance_preserving(table: Tableau) -> Tableau:
    """The same sampler with x in place of x/alpha, alpha^2 + sigma^2 = 1: a table at alpha = 1, moved.

    Noise and data predictions are the same numbers there; a row i is multiplied by alpha_i, what it carries of row j
    divided by alpha_j.
    """
    alpha = [1 / (1 + at.rho**2) ** 0.5 for at in table.points]
    states, outputs = table.states.clone(), table.outputs.clone()
    for row in range(len(states)):
        made = row + table.given
        outputs[row] *= alpha[made]
        for lag in range(min(states.shape[1], made)):
            states[row, lag] *= alpha[made] / alpha[made - 1 - lag]
    points = tuple(Point(a, a * at.rho) for a, at in zip(alpha, table.points, strict=True))
    return replace(table, points=points, states=states, outputs=outputs)


def swept(nodes: tuple[sp.Expr, ...], sweeps: int, in_turn: bool, clock: str, grid: Grid) -> Tableau:
    """Collocation at those nodes by sweeps, in rho = sigma/alpha or, with the clock "variance", in rho^2."""
    scheme = collocation(f"{len(nodes)} nodes", nodes).swept(sweeps, in_turn)
    return variance_preserving(scheme_table(scheme, Grid.from_sigmas(grid.columns.rho), clock))


def splitting(grid: Grid) -> Tableau:
    """Strang's splitting of x' = x + score, with log alpha as the time: half of x' = x, x' = score, half of x' = x.

    x' = score takes a midpoint step, its score at the start of the step and in the middle of it.
    """
    points, step, evaluated, states, outputs = [grid.points[0]], [0], [False], [], []
    for n, (start, end) in enumerate(zip(grid.points[:-1], grid.points[1:], strict=True), start=1):
        length = math.log(end.alpha / start.alpha)
        grown, alpha = (end.alpha / start.alpha) ** 0.5, (end.alpha * start.alpha) ** 0.5
        points += [start, Point(alpha, (1 - alpha**2) ** 0.5), end]
        step += [n] * 3
        evaluated += [True, True, False]
        states += [[grown, 0.0], [1.0, 0.0], [0.0, grown]]
        outputs += [[0.0], [length / 2], [grown * length]]
    return Tableau(
        method="strang-midpoint",
        prediction="score",
        points=tuple(points),
        step=tuple(step),
        evaluated=tuple(evaluated),
        given=1,
        states=torch.tensor(states, dtype=torch.float64),
        outputs=torch.tensor(outputs, dtype=torch.float64),
        noises=torch.zeros(len(states), 0, dtype=torch.float64),
    )


def _catalogued(name: str, label: str, arxiv: tuple[str, ...], order: int, stochastic: bool = False) -> System:
    return System(name, label, arxiv, partial(tabulate, name), order, "a record of the catalogue", stochastic)


def _even(count: int) -> tuple[sp.Expr, ...]:
    return tuple(sp.Rational(k, count - 1) for k in range(count))


SYSTEMS = (
    _catalogued("li-ddim", "DDIM (Li et al.)", (), 1),
    _catalogued("li-accelerated-ode", "accelerated ODE", ("2403.03852",), 2),
    _catalogued("li-ddpm", "DDPM (Li et al.)", ("2409.18959",), 1, True),
    _catalogued("ddpm", "DDPM, posterior", ("2409.18959", "2410.18784", "2510.27562"), 1, True),
    _catalogued("li-accelerated-sde", "accelerated SDE", ("2403.03852",), 1, True),
    _catalogued("edm-heun", "Heun", ("2508.03210",), 2),
    _catalogued("dpm-solver++-2s", "exponential Runge-Kutta 2", ("2506.13061",), 2),
    _catalogued("dpm-solver++-3s", "exponential Runge-Kutta 3", ("2506.13061",), 3),
    *(
        System(
            f"lagrange-{count}",
            f"Lagrange, {count} nodes",
            ("2506.24042",),
            partial(swept, _even(count), count - 1, False, "variance"),
            count,
            "frame and refinement recalled; equal nodes are our choice",
        )
        for count in (2, 3, 4)
    ),
    System(
        "chebyshev-gauss-seidel",
        "Chebyshev, Gauss-Seidel",
        ("2606.10353",),
        partial(swept, chebyshev_nodes(4), 2, True, "variance"),
        3,
        "read off the abstract: four Chebyshev-Lobatto nodes; two sweeps are our choice",
    ),
    System(
        "collocation",
        "collocation, 4 nodes",
        ("2601.10708",),
        partial(swept, chebyshev_nodes(4), 3, False, "sigma"),
        4,
        "read off the abstract: a polynomial at fixed nodes, by Picard iteration; frame and nodes are our choice",
    ),
    System(
        "strang-midpoint",
        "splitting",
        ("2601.17375",),
        splitting,
        None,
        "Strang's splitting with a midpoint step, read in a summary; what is innermost is our choice",
    ),
)
