"""Timestep Aligner, Time-Shift and T-Stitch on the networks of digits and photos."""

from __future__ import annotations

import torch
from torch import Tensor

from ...numerics.checkpoints.load import load
from ...numerics.denoisers import Denoiser, adapt
from ...numerics.fitted_solvers.teacher_targets import teacher_target
from ...numerics.given_levels.aligner import Residual, fit_ratios, released
from ...numerics.given_levels.time_shift import time_shifted
from ...numerics.given_levels.with_level import times_ratio, with_level
from ...numerics.grids import Grid, grid
from ...numerics.points import Point
from ...numerics.sample import sample
from ...numerics.schedules import schedule
from ...numerics.stitching import stitched
from ...numerics.tableau import tabulate
from ...numerics.training.data import photos
from ..studies.frechet import frechet, moments, reference
from .network_trials import apart, noise
from .technique import Measured

VP = schedule("vp-linear")
FITTED, FINER = {"digits": 16, "photos": 4}, 10  # samples; steps of the reference for each of the run
JUDGED = {"digits": 256, "photos": 32}  # samples whose law is compared with held-out data


def uniform_time(steps: int) -> Grid:
    """The linear variance-preserving schedule, t from 1 to 0.004 in equal steps."""
    return grid(VP, "uniform-t", steps, t_min=4e-3, t_max=1.0)


def from_held_out(name: str, images: Tensor) -> float:
    """Digits: the Frechet distance in the features of a small classifier; photos: the energy distance of pixels."""
    if name == "digits":
        data, features, _ = reference()
        return frechet(moments(features, data.held_out), moments(features, images))
    x, y = images.flatten(1).double(), photos().held_out.flatten(1).double()
    return 2 * float(torch.cdist(x, y).mean()) - _mean_gap(x) - _mean_gap(y)


def _mean_gap(x: Tensor) -> float:
    """The mean distance of two different rows."""
    return float(torch.cdist(x, x).sum()) / (len(x) * (len(x) - 1))


def to_the_fine_run(denoise: Denoiser, at: Grid, start: Tensor) -> Residual:
    """x_{n+1} minus the state there of a run in many more steps."""
    goal = teacher_target(denoise, start, tabulate("dpm-solver++-2m", uniform_time(FINER * at.steps)))
    return lambda n, _x, new: new - goal(at.points[n + 1])


def measure_aligner() -> Measured:
    rows, numbers = [], []
    for name, steps in (("digits", 5), ("digits", 10), ("photos", 5), ("photos", 10)):
        at, count = uniform_time(steps), FITTED[name]
        denoise, x = load(name).denoiser(torch.float32), noise(name, count + JUDGED[name])
        first, others = x[:count], x[count:]
        residuals = {"oracle": (to_the_fine_run(denoise, at, first), True), "released": (released(denoise, at), False)}
        goal = sample(denoise, others, tabulate("dpm-solver++-2m", uniform_time(FINER * steps)))
        for label in ("DDIM", *residuals):
            model, ratios = denoise, [1.0] * steps
            if label in residuals:
                residual, last = residuals[label]
                ratios = fit_ratios(denoise, at, first, residual, last=last)
                model = with_level(denoise, times_ratio(at, ratios))
            y = sample(model, others, tabulate("ddim", at))
            numbers.append(apart(y, goal))
            spans = f"{min(ratios):.2f} to {max(ratios):.2f}"
            rows.append((name, str(steps), label, spans, f"{numbers[-1]:.4f}", f"{from_held_out(name, y):.4f}"))
    head = ("network", "N", "ratios", "their range", "distance to the fine run", "distance to held-out data")
    return Measured(number=numbers[-1] / numbers[-3], head=head, rows=tuple(rows))


def measure_shift_of_photos() -> Measured:
    denoise, count = load("photos").denoiser(torch.float32), JUDGED["photos"]
    levels = grid(VP, "trailing", 1000, betas="linear", beta_start=1e-4, beta_end=0.02)
    visited, settings = list(range(1000, -1, -100)), (0, 10, 50)
    rows, ratios = [], []
    for starts, x in zip(("first", "others"), noise("photos", 2 * count).split(count), strict=True):  # type: ignore[no-untyped-call]
        found = [time_shifted(denoise, x, levels, visited, window=window, cutoff=300) for window in settings]
        distances = [from_held_out("photos", images) for images in found]
        ratios += [distance / distances[0] for distance in distances[1:]]
        rows.append((f"energy distance to held-out crops, {starts}", *(f"{value:.3f}" for value in distances)))
        rows.append((f"variance of entries, {starts}", *(f"{float(images.var()):.3f}" for images in found)))
    rows.append((f"of the held-out crops: {float(photos().held_out.var()):.3f}", *("" for _ in settings)))
    head = (f"{count} photos each", "DDIM", *(f"w = {window}, t_c = 300" for window in settings[1:]))
    return Measured(number=max(ratios), head=head, rows=tuple(rows))


def gaussian_of_crops(images: Tensor) -> Denoiser:
    """The exact denoiser of a Gaussian with the mean and covariance of images [n, ...], in their principal axes."""
    flat = images.flatten(1)
    mean = flat.mean(0)
    sizes, axes = (part.double() for part in torch.linalg.eigh(torch.cov(flat.T)))

    def data(x: Tensor, at: Point) -> Tensor:
        kept = at.alpha * sizes / (at.alpha**2 * sizes + at.sigma**2)
        centred = (x.flatten(1) - at.alpha * mean) @ axes
        found: Tensor = mean + (centred * kept) @ axes.T
        return found.reshape(x.shape)

    return adapt(data, "data")


def measure_stitch_of_photos() -> Measured:
    denoise, x, at = load("photos").denoiser(torch.float32), noise("photos", FITTED["photos"]), uniform_time(50)
    small, table = gaussian_of_crops(photos().train[::4]), tabulate("ddim", at)
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
