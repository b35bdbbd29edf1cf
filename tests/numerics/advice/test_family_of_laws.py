"""The family of a recording: laws times a factor have its trajectories, and its errors, at other levels."""

from __future__ import annotations

import math

import pytest
import torch

import samplerproof as sp
from samplerproof.numerics.advice.advice import predicted_sizes
from samplerproof.numerics.advice.carry import isotropic
from samplerproof.numerics.advice.defects import data_rows
from samplerproof.numerics.advice.family_of_laws import OWN, SHIFTS, family, of_family, over_family
from samplerproof.numerics.advice.recording import record
from samplerproof.numerics.advice.tangents import tangents
from samplerproof.numerics.points import Point
from samplerproof.numerics.sample import sample
from samplerproof.numerics.schedules import Schedule, schedule

EDM, VP = schedule("edm"), schedule("vp-linear")
MEANS, STDS = torch.tensor([[-1.0, 0.5], [0.9, -0.2]], dtype=torch.float64), [0.3, 0.5]


def law(factor: float = 1.0) -> sp.GaussianMixture:
    """A mixture in the plane, times a factor."""
    return sp.GaussianMixture([0.4, 0.6], factor * MEANS, stds=[factor * std for std in STDS])


def ends(process: Schedule) -> tuple[Point, Point]:
    """The points where sigma/alpha is 20 and 0.05."""
    noisy, clean = (float(process.time(torch.tensor(-math.log(rho), dtype=torch.float64))) for rho in (20.0, 0.05))
    return process.point(noisy), process.point(clean)


@pytest.mark.parametrize("process", [EDM, VP], ids=["edm", "vp"])
def test_the_members_are_trajectories_of_the_law_times_a_factor(process: Schedule) -> None:
    """Assert it from a fine recording of that law, at levels inside of the recorded ones; of others it is not so."""
    begin, end = ends(process)
    start = process.prior_std(begin) * torch.tensor([[0.7, -0.2], [-0.5, 1.1]], dtype=torch.float64)
    recording = record(law(), process, begin, end, start, 120)
    shift = SHIFTS[-1]
    points = [at for at in recording.points if at.lam + shift < end.lam][::6]
    states, data = (part.unflatten(1, (len(SHIFTS), -1)) for part in family(recording, points))
    assert torch.allclose(states[:, OWN], recording.at(points)[0], rtol=0, atol=1e-9)
    factor = math.exp(shift)
    other = record(law(factor), process, points[0], points[-1], factor * states[0, -1], 240)
    there = other.at(points)
    for found, exact in zip((states, data), there, strict=True):
        assert torch.allclose(factor * found[:, -1], exact, rtol=0, atol=2e-4 * float(exact.abs().max()))
        assert not torch.allclose(factor * found[:, OWN], exact, rtol=0, atol=2e-3 * float(exact.abs().max()))


def test_an_error_is_predicted_on_a_member() -> None:
    """Assert it against runs on the law times the factor, from the start of that trajectory, beyond the recording."""
    begin, end = ends(EDM)
    start = torch.tensor([[15.0, -3.0], [-9.0, 20.0]], dtype=torch.float64)
    recording = record(law(), EDM, begin, end, start, 60)
    table = sp.tabulate("dpm-solver++-2m", sp.grid(EDM, "karras", 16, sigma_min=0.05, sigma_max=20.0))
    predicted = predicted_sizes([data_rows(table)], recording, tangents(law(), recording))[0]
    states = family(recording, table.points)[0].unflatten(1, (len(SHIFTS), -1))
    for n, shift in enumerate(SHIFTS):
        factor = math.exp(shift)
        first = factor * states[0, n]
        exact = record(law(factor), EDM, begin, end, first, 160).states[-1]
        size = (sample(law(factor), first, table) - exact).norm(dim=1) / 2**0.5 / factor
        assert float((predicted[n] / size).log().abs().max()) < 0.35, shift


def test_derivatives_are_those_of_the_members() -> None:
    """Assert J of a Gaussian law, alpha s^2/(alpha^2 s^2 + sigma^2) with s over the factor, on its own errors alone."""
    at = VP.point(0.3)
    (apply,) = of_family(isotropic(0.7), [at])
    errors = torch.randn(3, len(SHIFTS) * 2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = apply(errors).unflatten(1, (len(SHIFTS), -1))
    for n, shift in enumerate(SHIFTS):
        std = 0.7 * math.exp(shift)
        slope = at.alpha * std**2 / (at.alpha**2 * std**2 + at.sigma**2)
        assert torch.allclose(found[:, n], slope * errors.unflatten(1, (len(SHIFTS), -1))[:, n], rtol=1e-12)


def test_what_is_chance_does_not_count() -> None:
    """Assert the mean over the family where samples differ by chance, the recorded law's own where all agree, and a
    mean between them that is counted by hand; one sample decides by its numbers alone.
    """
    generator = torch.Generator().manual_seed(3)
    logs = torch.randn(40, len(SHIFTS), 1, generator=generator, dtype=torch.float64)
    own = logs[:, OWN, 0]
    alike = logs.expand(40, len(SHIFTS), 6)
    assert torch.allclose(over_family(alike.exp(), 2).log(), own)
    assert torch.allclose(over_family(logs.exp(), 16).log(), own)
    assert torch.allclose(over_family(logs.exp(), 15).log(), logs.mean(dim=(1, 2)))
    beside = torch.randn(40, 6, generator=generator, dtype=torch.float64)
    beside -= beside.mean(dim=1, keepdim=True)  # of mean 0: chance alone
    chance = torch.zeros(40, len(SHIFTS), 6, dtype=torch.float64)
    chance[:, OWN] = beside
    assert torch.allclose(over_family(chance.exp(), 2).log(), torch.zeros(40, dtype=torch.float64))
    both = chance + logs
    off = both[:, OWN] - both.mean(dim=1)
    share = 1 - off.var(dim=1).mean() / 6 / off.mean(dim=1).square().mean()
    assert 0.1 < share < 0.99
    expected = both.mean(dim=(1, 2)) + share * off.mean(dim=1)
    assert torch.allclose(over_family(both.exp(), 2).log(), expected)
