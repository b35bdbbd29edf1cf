"""Techniques tried on the project's networks: figures of small networks, without a verdict."""

from __future__ import annotations

import torch
from torch import Tensor

from ...numerics.checkpoints.load import load
from ...numerics.ddim_step import ddim_step
from ...numerics.denoisers import Denoiser
from ...numerics.errors import SamplingError
from ...numerics.fitted_solvers.fit import fit_one_parameter
from ...numerics.fitted_solvers.teacher_targets import Target, teacher_target
from ...numerics.given_levels.time_shift import time_shifted
from ...numerics.grids import Grid, grid
from ...numerics.inversion.invert import invert, round_trip
from ...numerics.inversion.reversed_grid import reversed_grid
from ...numerics.points import Point
from ...numerics.sample import sample
from ...numerics.schedules import schedule
from ...numerics.stitching import stitched
from ...numerics.tableau import Tableau, tabulate
from ...numerics.targets.mixture import GaussianMixture
from ...numerics.training.data import digits
from ..studies.frechet import frechet, moments, reference
from .technique import Measured

VP = schedule("vp-linear")
NETWORKS = {"digits": 32, "photos": 8}  # samples that numbers are fitted to, and as many others that are measured
FINE = 80  # steps of the reference


def steps_of(count: int) -> Grid:
    """The grid of the studies of networks: uniform lambda from -3 to 3.7."""
    return grid(VP, "uniform-lambda", count, t_min=4e-3, t_max=0.77)


def noise(name: str, count: int) -> Tensor:
    """Starts [count, *shape] of a network's samples."""
    shape = load(name).shape
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def apart(x: Tensor, y: Tensor) -> float:
    """Root mean square difference of two samples' entries."""
    return float((x - y).square().mean().sqrt())


def measure_d_ode() -> Measured:
    rows, numbers = [], []
    for name, count in NETWORKS.items():
        denoise, x = load(name).denoiser(torch.float32), noise(name, 2 * count)
        for steps in (5, 10):
            at = steps_of(steps)
            fine = teacher_target(denoise, x, tabulate("exp-adams-3", steps_of(FINE)))
            taught = teacher_target(denoise, x[:count], tabulate("ddim", steps_of(4 * steps)))

            def first(point: Point, fine: Target = fine, count: int = count) -> Tensor:
                return fine(point)[:count]

            fits = [fit_one_parameter("d-ddim", denoise, at, x[:count], target).tableau for target in (taught, first)]
            tables = [tabulate("ddim", at), *fits, tabulate("dpm-solver++-2m", at)]
            goal = fine(at.points[-1])[count:]
            errors = [apart(sample(denoise, x[count:], table), goal) for table in tables]
            rows.append((name, str(steps), *(f"{error:.4f}" for error in errors)))
            numbers.append(errors[1] / errors[0])
    head = ("network", "N", "DDIM", "D-DDIM, DDIM of 4 N steps", "D-DDIM, the reference", "2M")
    return Measured(number=max(numbers), head=head, rows=tuple(rows))


def measure_bdia() -> Measured:
    rows, worst = [], 0.0
    for name, count in NETWORKS.items():
        x, at = noise(name, count // 2), steps_of(20)
        for dtype, label in ((torch.float64, "float64"), (torch.float32, "float32")):
            denoise, found = load(name).denoiser(dtype), []
            second = ddim_step(x, denoise(x, at.points[0], "noise"), *at.points[:2])
            for share in ("1", "9/10", "1/2"):
                table = tabulate(f"bdia-ddim?gamma={share}", at, "exact")
                found.append(round_trip(denoise, [x, second], table, dtype=dtype).error)
            worst = max(worst, found[0]) if dtype == torch.float64 else worst
            rows.append((name, f"round trip in {label}, N = 20", *(f"{error:.1e}" for error in found), "-"))
        rows.append((name, "distance to the reference, N = 10", *_distances(name, x, steps_of(10))))
    return Measured(number=worst, head=("network", "of", "gamma = 1", "9/10", "1/2", "DDIM"), rows=tuple(rows))


def _distances(name: str, x: Tensor, at: Grid) -> list[str]:
    denoise = load(name).denoiser(torch.float32)
    goal = sample(denoise, x, tabulate("exp-adams-3", steps_of(FINE)))
    methods = (*(f"bdia-ddim?gamma={share}" for share in ("1", "9/10", "1/2")), "ddim")
    return [f"{apart(sample(denoise, x, tabulate(method, at)), goal):.4f}" for method in methods]


def measure_aidi() -> Measured:
    rows, worst = [], 0
    for name, count, numbers in (("digits", 8, (10, 20)), ("photos", 1, (10,))):
        denoise, x = load(name).denoiser(torch.float64), noise(name, count)
        for steps in numbers:
            table = tabulate("ddim", steps_of(steps))
            x0 = sample(denoise, x, table)
            inverse = invert(denoise, x0, table, tolerance=1e-10)
            worst = max(worst, *inverse.iterations)
            others = [_evaluations(denoise, x0, table, solver) for solver in ("average", "plain")]
            counts = (str(max(inverse.iterations)), *(str(n or "not in 40") for n in others))
            rows.append((name, str(steps), *counts, f"{apart(inverse.start[0], x):.1e}"))
    head = ("network", "N", "anderson", "average", "plain", "error of the latent, anderson")
    return Measured(number=float(worst), head=head, rows=tuple(rows))


def measure_whole_steps() -> Measured:
    denoise, x, at = load("digits").denoiser(torch.float64), noise("digits", 2), steps_of(10)
    rows, numbers = [], []
    for method in ("dpm-solver++-2m", "edm-heun"):
        table = tabulate(method, at)
        x0 = sample(denoise, x, table)
        found = invert(denoise, x0, table, tolerance=1e-9)
        numbers.append(apart(found.start[0], x))
        reverse = apart(sample(denoise, x0, tabulate(method, reversed_grid(at))), x)
        cells = (f"{numbers[-1]:.1e}", f"{reverse:.1e}", f"{found.evaluations / at.steps:.0f}")
        rows.append((method, str(at.steps), *cells))
    head = ("method", "N", "error of the latent, solved", "on the reversed grid", "evaluations a step, solved")
    return Measured(number=max(numbers), head=head, rows=tuple(rows))


def _evaluations(denoise: Denoiser, x0: Tensor, table: Tableau, solver: str) -> int | None:
    try:
        return max(invert(denoise, x0, table, solver=solver, tolerance=1e-10, limit=40).iterations)
    except SamplingError:
        return None


def measure_stitch() -> Measured:
    denoise, x, at = load("digits").denoiser(torch.float32), noise("digits", 64), steps_of(50)
    small, table = gaussian_of(digits().train), tabulate("ddim", at)
    pure, rows, numbers = sample(denoise, x, table), [], []
    for fraction in (0.2, 0.4, 0.6, 0.8, 1.0):
        level = at.points[round(fraction * at.steps)].lam
        late = at.points[round((1 - fraction) * at.steps)].lam
        pairs = (stitched([small, denoise], [level]), stitched([denoise, small], [late]))
        distances = [apart(sample(model, x, table), pure) for model in pairs]
        rows.append((f"{fraction:g}", f"{level:.2f}", *(f"{distance:.4f}" for distance in distances)))
        numbers.append(distances[0] / distances[1])
    head = ("share of small steps", "to lambda", "small model first", "small model last")
    return Measured(number=numbers[1], head=head, rows=tuple(rows))


def gaussian_of(images: Tensor) -> Denoiser:
    """The exact denoiser of a Gaussian with the mean and covariance of images [n, ...], for states of their shape."""
    flat = images.flatten(1).double()
    law = GaussianMixture([1.0], [flat.mean(0).tolist()], covariances=[torch.cov(flat.T).tolist()])
    return lambda x, at, prediction: law(x.flatten(1), at, prediction).reshape(x.shape)


def measure_time_shift() -> Measured:
    data, features, _ = reference()
    goal, denoise = moments(features, data.held_out), load("digits").denoiser(torch.float32)
    levels = grid(VP, "trailing", 1000, betas="linear", beta_start=1e-4, beta_end=0.02)
    x, visited = noise("digits", 256), list(range(1000, -1, -100))
    found, variances = [], []
    for window, cutoff in ((0, 500), (50, 500), (50, 300), (50, 100), (100, 300)):
        images = time_shifted(denoise, x, levels, visited, window=window, cutoff=cutoff)
        found.append(frechet(goal, moments(features, images)))
        variances.append(float(images.var()))
    head = ("digits", "DDIM", *(f"w = {w}, t_c = {c}" for w, c in ((50, 500), (50, 300), (50, 100), (100, 300))))
    rows = (
        ("Frechet distance", *(f"{value:.4f}" for value in found)),
        ("variance of entries", *(f"{value:.3f}" for value in variances)),
        (f"of the data: {float(data.train.var()):.3f}", *("" for _ in found)),
    )
    return Measured(number=min(found[1:]) / found[0], head=head, rows=rows)
