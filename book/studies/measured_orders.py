"""The order that runs show of every sampler, on two targets and in stated windows, beside the proved one.

Grids are uniform in lambda on VP-linear. Without noise a run begins from exact start values: on the line against the
exact flow, from t = 1 to 1e-3, in the plane against a reference good to 1e-12, from t = 1 to 0.05. With noise the
order is that of the law, from t = 1 to 0.05: of the covariance on a Gaussian, on the line of the total variation or,
where the law is joint with too many outputs to be carried, of the means of three functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...numerics.catalogue import resolve
from ...numerics.grids import Grid, grid
from ...numerics.laws import distances
from ...numerics.laws.affine import weak_errors
from ...numerics.laws.backward import DEFAULT, Resolution, TestFunction, means
from ...numerics.laws.density import propagate
from ...numerics.sample import sample
from ...numerics.schedules import schedule
from ...numerics.tableau import Tableau, tabulate
from ...numerics.targets.flow import exact_flow, quantile
from ...numerics.targets.mixture import GaussianMixture
from ...numerics.targets.reference import reference_flow
from .leading_laws import has_leading_law, leading_covariance

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)
LINE = GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35])
PLANE = GaussianMixture([0.5, 0.3, 0.2], [[1.5, 0.0], [-1.0, 1.0], [0.0, -1.5]], stds=[0.5, 0.4, 0.6])
FLOOR = 5e-11  # below it the error of the reference would show
HIGH = 4  # from this order on errors settle at twice the steps
# With exact start values these are the same tables as the others: they differ in their start-up.
SAME = {"unipc-3-bh1": "unipc-3", "unipc-3-vary": "unipc-3", "pndm": "ipndm-4", "s-pndm": "ipndm-2"}
SAME |= {"plms-3": "ipndm-3", "plms": "ipndm-4"}
# Standard deviations of the Gaussian, where it is not 1/2: the correction of first order nearly cancels the error of
# the second on wide ones.
STD = {"sa-solver-p2c1": 0.2}
STEPS = (80, 160, 320)  # with noise, on the Gaussian
# Their slopes come down late there: the error of second order of the last is a fortieth of that of third at N = 100.
LATE = (
    "sa-solver-p2c1",
    "sa-solver-p2c2",
    "seeds-2",
    "edm-churn",
    "sa-solver-p3c2-few-steps",
    "sa-solver-p3c3-few-steps",
)
STEPS_OF = dict.fromkeys(LATE, (160, 320, 640)) | {"sa-solver-p2c2-few-steps": (640, 1280, 2560)}
STEPS_OF_LAW = (40, 80, 160)  # with noise, on the mixture
# By default the churn of a step is capped up to N = 97.
RUN_AS = {"edm-churn": "edm-churn?churn=10"}
# Steps of the samplers whose outputs are too many for a density. The second-order error of P2C1 is small on LINE too.
BY_MEANS = {
    "seeds-3": (40, 80, 160),
    "seeds-3-data": (80, 160, 320),
    "er-sde-3": (40, 80, 160),
    "sa-solver-3": (160, 320, 640),
    "sa-solver-p2c1": (320, 640, 1280),
    "sa-solver-p2c2": (160, 320, 640),
    "sa-solver-p3c3": (160, 320, 640),
    "sde-dpm-solver++-3m-published": (160, 320, 640),
    "sa-solver-p2c1-few-steps": (80, 160, 320),
    "sa-solver-p2c2-few-steps": (160, 320, 640),
    "sa-solver-p3c2-few-steps": (160, 320, 640),
    "sa-solver-p3c3-few-steps": (160, 320, 640),
}
FUNCTIONS: list[TestFunction] = [lambda x: x, lambda x: x**2, lambda x: np.cos(2 * x)]


def law_points(n: int) -> Tensor:
    """Points of equal probability of LINE at t = 1, [n, 1]."""
    z = torch.special.ndtri((torch.arange(n, dtype=torch.float64)[:, None] + 0.5) / n)
    return quantile(LINE, torch.special.log_ndtr(z), torch.special.log_ndtr(-z), VP.point(1.0))


def error_on(g: Grid, name: str, start: str = "exact", points: int = 40) -> float:
    """Root mean square of the trajectory error at the end of a grid that starts at t = 1, for LINE."""
    x, tableau = law_points(points), tabulate(name, g, start)
    given = [exact_flow(LINE, x, g.points[0], g.points[i])[0] if i else x for i in range(tableau.given)]
    end = exact_flow(LINE, x, g.points[0], g.points[-1])[0]
    return float((sample(LINE, given, tableau) - end).square().mean().sqrt())


def errors(name: str, steps: Sequence[int], start: str = "exact", kind: str = "uniform-lambda") -> list[float]:
    """The same on grids of a kind from t = 1 to 1e-3."""
    return [error_on(grid(VP, kind, n, t_min=1e-3, t_max=1.0), name, start) for n in steps]


@cache
def plane_reference(n: int) -> tuple[Grid, list[Tensor]]:
    """A grid of n steps, and the reference flow of 12 points of PLANE at its first five points and at its last."""
    g = grid(VP, "uniform-lambda", n, t_min=0.05, t_max=1.0)
    x = PLANE.sample(12, VP.point(1.0), torch.Generator().manual_seed(1))
    return g, [x, *reference_flow(PLANE, x, g.points[0], [*g.points[1:5], g.points[-1]])]


def plane_errors(name: str, steps: Sequence[int]) -> list[float]:
    """Mean distance from the reference at t = 0.05, for PLANE."""
    result = []
    for n in steps:
        g, flow = plane_reference(n)
        tableau = tabulate(name, g, "exact")
        result.append(float((sample(PLANE, flow[: tableau.given], tableau) - flow[-1]).norm(dim=1).mean()))
    return result


def slope(errors: Sequence[float]) -> float:
    """The order between the last two errors, at N and 2 N steps."""
    return math.log2(errors[-2] / errors[-1])


def extrapolated(errors: Sequence[float]) -> float:
    """The slope where it is off by a multiple of 1/N, over doublings of N."""
    *_, before, last = (math.log2(a / b) for a, b in pairwise(errors))
    return 2 * last - before


def on_the_line(name: str) -> tuple[float, list[int]]:
    """The order of a sampler without noise on LINE, and its window."""
    steps = [320, 640] if resolve(name).order < HIGH else [640, 1280]
    return slope(errors(name, steps)), steps


def in_the_plane(name: str) -> tuple[float, list[int]]:
    """The same on PLANE."""
    steps = [160, 320] if resolve(name).order < HIGH else [320, 640, 1280]
    measured = plane_errors(name, steps)
    if measured[-1] < FLOOR:
        del measured[-1], steps[-1]
    return slope(measured), steps[-2:]


def on_a_gaussian(name: str) -> tuple[list[float], list[int], list[float]]:
    """The relative errors of the covariance of a sampler with noise, their steps, and the errors over their leading
    terms (leading_laws.py), where these are known.
    """
    std, steps = STD.get(name, 0.5), list(STEPS_OF.get(name, STEPS))
    gaussian = GaussianMixture([1.0], [0.7], stds=[std])
    grids = [grid(VP, "uniform-lambda", n, t_min=0.05, t_max=1.0) for n in steps]
    found = [weak_errors(tabulate(name, g), gaussian).covariance for g in grids]
    if not has_leading_law(name):
        return found, steps, []
    ends = [(float(g.columns.lam[0]), float(g.columns.lam[-1])) for g in grids]
    leading = [leading_covariance(name, std, *end, n) for end, n in zip(ends, steps, strict=True)]
    return found, steps, [error / term for error, term in zip(found, leading, strict=True)]


def total_variation(name: str, steps: int) -> float:
    """The total variation between the law of a sampler with noise and LINE."""
    g = grid(VP, "uniform-lambda", steps, t_min=0.05, t_max=1.0)
    run = propagate(tabulate(RUN_AS.get(name, name), g), LINE, (LINE, g.points[0]))
    return distances.tv(run, (LINE, g.points[-1]))


def table(name: str, steps: int) -> Tableau:
    """A sampler on the grid of the laws."""
    return tabulate(name, grid(VP, "uniform-lambda", steps, t_min=0.05, t_max=1.0))


def off(run: Tableau, resolution: Resolution = DEFAULT) -> float:
    """The norm of E f of the sampler less E f of the target over all functions: of one alone it may cross zero."""
    x = np.linspace(-8.0, 8.0, 4001)
    p = LINE.log_density(torch.from_numpy(x)[:, None], run.points[-1]).exp().numpy() * (x[1] - x[0])
    found = means(run, LINE, (LINE, run.points[0]), FUNCTIONS, resolution)
    return float(np.linalg.norm(np.subtract(found, [p @ f(x) for f in FUNCTIONS])))


def of_the_law(name: str) -> tuple[float, list[int]]:
    """The order of the law of a sampler with noise on LINE, and its window.

    Of the last slope and of the extrapolated one it is that which is nearer to the proved order.
    """
    steps = BY_MEANS.get(name, STEPS_OF_LAW)
    found = [off(table(name, n)) if name in BY_MEANS else total_variation(name, n) for n in steps]
    order = resolve(name).order_in_law(gaussian=False)
    return min(slope(found), extrapolated(found), key=lambda value: abs(value - order)), list(steps)


def measured_orders(name: str) -> list[dict[str, Any]]:
    """On both targets {"method", "target", "order" (proved, or in law), "observed", "steps"}.

    With noise, on a Gaussian, also "over_leading": the errors over their leading terms, [] where these are not known.
    """
    record, run_as = resolve(name), SAME.get(name, name)

    def row(target: str, order: int, observed: float, steps: list[int], **more: Any) -> dict[str, Any]:
        return {"method": name, "target": target, "order": order, "observed": observed, "steps": steps, **more}

    if not record.stochastic:
        return [row("line", record.order, *on_the_line(run_as)), row("plane", record.order, *in_the_plane(run_as))]
    found, steps, ratios = on_a_gaussian(name)
    return [
        row("Gaussian", record.order_in_law(gaussian=True), extrapolated(found), steps, over_leading=ratios),
        row("line", record.order_in_law(gaussian=False), *of_the_law(name)),
    ]
