"""Techniques tried on the project's networks: figures of small networks, without a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
from ...numerics.points import Point
from ...numerics.sample import sample
from ...numerics.schedules import schedule
from ...numerics.stitching import stitched
from ...numerics.tableau import Tableau, tabulate
from ...numerics.targets.mixture import GaussianMixture
from ...numerics.training.data import digits
from ..studies.frechet import frechet, moments, reference
from . import adversarial_rings, memory_on_digits, on_rings
from .technique import Measured

VP = schedule("vp-linear")
NETWORKS = {"digits": 32, "photos": 8}  # samples that numbers are fitted to, and as many others that are measured
FINE = 80  # steps of the reference


@dataclass(frozen=True)
class Trial:
    """A technique on networks.  technique: the name of its page.  text: what the figures show, and their limits."""

    technique: str
    text: str
    measure: Callable[[], Measured]


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


TRIALS = {
    "bdia": Trial(
        "bdia",
        "From exact scores to a network nothing changes in the inversion: it is at rounding in float64 for gamma = 1, "
        "and gamma = 1/2 loses most digits of float32 in 20 steps. As a sampler of 10 steps gamma = 1/2 is the best "
        "of three on the digits and gamma = 1 on the photos: no share is best for both. 16 digits, 4 photos; "
        "distances per entry, to exponential Adams 3 of 80 steps.",
        measure_bdia,
    ),
    "aidi": Trial(
        "aidi",
        "Evaluations for the worst step of an inverse of DDIM to 1e-10 in float64, of 8 digits and of one photo. "
        "Anderson's method needs more of them than in one dimension, and converges also where plain iteration does "
        "not in 40 evaluations.",
        measure_aidi,
    ),
    "d-ode": Trial(
        "d-ode",
        "Numbers fitted to a batch of 32 digits, or 8 photos, and the distance of as many other samples to "
        "exponential Adams 3 of 80 steps, per entry. They carry over to other starts, and D-DDIM is about as near as "
        "2M, which fits nothing.",
        measure_d_ode,
    ),
    "t-stitch": Trial(
        "t-stitch",
        "The network of the digits as the large model, and as the small one the exact denoiser of a Gaussian with the "
        "mean and covariance of the training digits, which needs no training: distance of 64 samples to the run of "
        "the network alone, per entry, 50 steps of DDIM uniform in lambda from -3 to 3.7. The early steps are the "
        "cheap ones, but on this grid 40 % of them are not free: they reach lambda = -0.3.",
        measure_stitch,
    ),
    "time-shift": Trial(
        "time-shift",
        "256 digits of the network by 10 steps of DDIM over a thousand levels, without and with the rule: the Frechet "
        "distance in the features of a small classifier, and the variance of all entries. Entries of an image are not "
        "independent, and 64 are few for a variance: on this network the rule does not help.",
        measure_time_shift,
    ),
    "t-stitch-pair": Trial(
        "t-stitch",
        "Two networks of two rings, of 42,690 and of 7,938 weights, trained alike; 500 samples, 50 steps of DDIM equal "
        "in t from 1. The small one in the first 40 % of the steps moves the samples by a thirtieth of what it does in "
        "the last 40 %: those that form the image. To first order the displacement is the sum over the steps of the "
        "difference of both models, carried to the end by the large one: computed without a stitched run, and within "
        "4 % of what is measured.",
        on_rings.measure_pair,
    ),
    "reface-on-rings": Trial(
        "reface",
        "The kept network of two rings, with 200 updates of its own loss and of 10 (|x| - 0.9)^2 at the end of S steps "
        "of DDIM from noise, and what it does then in S steps and in 8; one seed. With one step the network learns to "
        "send all noise to one point, and its loss in 8 steps is as before. With four steps it carries over to 8, and "
        "the angles stay spread. The loss of v rises in every case.",
        on_rings.measure_steps_in_training,
    ),
    "emdm-on-rings": Trial(
        "emdm",
        "Generators on two rings, four steps equal in t, 2,000 updates of 256 against a discriminator with a penalty "
        "on its slope, three seeds, 4,000 samples; W1 of the radius, whose median is not small. Two of three seeds are "
        "nearer to the law than the chain with the mean of a trained network, and none makes the rings: six in ten "
        "samples are off both. The losses are log 2 and 2 log 2 all the same: they prove nothing. In this short "
        "training the claim is not reproduced.",
        adversarial_rings.measure_generators,
    ),
    "gmem-by-level": Trial(
        "gmem",
        "Where a network is its memory. The memory is the bank of the 1,500 training digits, the network the kept "
        "U-Net; mean squares of errors per pixel on 128 noised digits of either part, lambda and errors for data of "
        "unit size. Up to lambda = -1 the network is nearly the memory. From 0 on it generalises: on digits that it "
        "was not trained on its error is below that of the memory, which returns its nearest digit.",
        memory_on_digits.measure_levels,
    ),
    "gmem-copies": Trial(
        "gmem",
        "The memory in place of the network below a level, in 20 steps of 2M, 128 samples: below lambda = -1 a third "
        "of the calls is saved, and the samples are those of the network up to 0.075. Higher up they come near to "
        "training digits, and with the memory alone they are copies, as the last column shows; there the Frechet "
        "distance, in 16 features of a small classifier from the held-out digits, is least: it does not show copying.",
        memory_on_digits.measure_copies,
    ),
}
