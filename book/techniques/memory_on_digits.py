"""GMem's question on the digits: where the network is its memory, where it generalises, and what copies look like."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...numerics.checkpoints.checkpoint import unit_point
from ...numerics.checkpoints.load import load
from ...numerics.denoisers import Denoiser
from ...numerics.sample import sample
from ...numerics.stitching import stitched
from ...numerics.tableau import tabulate
from ...numerics.targets.from_data import bank
from ...numerics.training.data import digits
from ..studies.frechet import frechet, moments, reference
from . import on_digits
from .technique import Measured

LEVELS, NOISED = (-2.0, -1.0, 0.0, 1.0, 2.0), 128  # of lambda, for data of unit size, and digits at each
CUTS, STEPS, SAMPLES = (-2.0, -1.0, 0.0, 1.0), 20, 128


def memory_of(images: Tensor) -> Denoiser:
    """The exact denoiser of these images [n, ...] as a bank, for states of their shape."""
    stored = bank(images.flatten(1).double())
    return lambda x, at, prediction: stored(x.flatten(1), at, prediction).reshape(x.shape)


def nearest(x: Tensor, images: Tensor) -> float:
    """The mean distance of samples to the nearest of the images."""
    return float(torch.cdist(x.flatten(1).double(), images.flatten(1).double()).amin(dim=1).mean())


def in_pixels(lam: float) -> float:
    """The lambda of pixels at a lambda of data of unit size."""
    return lam - math.log(load("digits").unit)


def measure_levels() -> Measured:
    """Mean squares of the errors of memory and network, and of their difference, by lambda, for data of unit size."""
    unit, parts = load("digits").unit, digits()
    network, memory, stored = (
        load("digits").denoiser(torch.float32),
        memory_of(parts.train),
        bank(parts.train.flatten(1)),
    )
    rows, gaps = [], {}
    for lam in LEVELS:
        at, errors = unit_point(in_pixels(lam)), []
        for images in (parts.train, parts.held_out):
            data = images[:NOISED].double()
            noise = torch.randn(data.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
            x = at.alpha * data + at.sigma * noise
            answers = [model(x, at, "data") for model in (memory, network)]
            errors += [float((y - data).square().mean()) / unit**2 for y in answers]
        gaps[lam] = float((answers[0] - answers[1]).square().mean()) / unit**2
        shares = stored.responsibilities(x.flatten(1), at)
        used = float((-(shares * shares.clamp(min=1e-300).log()).sum(dim=1)).exp().mean())
        rows.append((f"{lam:g}", f"{used:.4g}", *(f"{error:.4f}" for error in errors), f"{gaps[lam]:.4f}"))
    head = ("lambda", "memories in use", *(f"{part}, {who}" for part in PARTS for who in ("memory", "network")), GAP)
    return Measured(number=gaps[-1.0], head=head, rows=tuple(rows))


PARTS, GAP = ("training digits", "held-out digits"), "memory and network, held out"


def measure_copies() -> Measured:
    """Runs of 2M with the memory in place of the network below a level, from common starts."""
    data, features, _ = reference()
    train, unit = digits().train, load("digits").unit
    network, memory = load("digits").denoiser(torch.float32), memory_of(train)
    at, x = on_digits.lambda_grid(STEPS), on_digits.starts(SAMPLES)
    goal, table = moments(features, data.held_out), tabulate("dpm-solver++-2m", at)
    own, gaps = sample(network, x, table), {}
    rows = [("held-out digits", "", "", "", f"{nearest(data.held_out, train) / unit:.2f}")]
    for cut in (-math.inf, *CUTS, math.inf):
        level = in_pixels(cut)
        images = sample(stitched([memory, network], [level]), x, table)
        saved = sum(point.lam < level for point in at.points[:-1])
        gaps[cut] = float((images - own).square().mean().sqrt()) / unit
        label = {-math.inf: "no memory", math.inf: "memory alone"}.get(cut, f"memory below lambda = {cut:g}")
        numbers = (f"{gaps[cut]:.3f}", f"{frechet(goal, moments(features, images)):.3f}")
        rows.append((label, f"{saved} of {STEPS}", *numbers, f"{nearest(images, train) / unit:.2f}"))
    head = ("", "calls saved", "distance to the network's samples", "Frechet distance", "to the nearest training digit")
    return Measured(number=gaps[-1.0], head=head, rows=tuple(rows))
