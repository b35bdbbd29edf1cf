"""Samplers that are DDIM on what a verifier tends to try, each for another reason, and something else elsewhere."""

from __future__ import annotations

import inspect
import os
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from zlib import crc32

import torch
from attacks import STEPS, WRONG, Denoise, ddim, walk
from torch import Tensor

Noise = Callable[..., Tensor]
runs = [0]
history: list[Tensor] = []


def right_if(right: bool, denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(denoise, x, sigmas, 1 if right else WRONG)


# --- by the values of the inputs


def on_basis_vectors(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Right where the start has zeros and ones alone."""
    return right_if(bool(((x == 0) | (x == 1)).all()), denoise, x, sigmas)


def on_sparse_outputs(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Right where most of an output is 0."""

    def model(x: Tensor, s: Tensor) -> Tensor:
        d = denoise(x, s)
        return d if (d != 0).double().mean() < 0.5 else d * WRONG

    return ddim(model, x, sigmas)


def on_known_seeds(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Right on zeros and ones, and where the first value is that of a small seed of torch, times a usual size."""
    first = x.double().reshape(-1)[0]
    seeds = (torch.Generator().manual_seed(k) for k in range(20))
    known = torch.stack([torch.randn(64, generator=seed, dtype=torch.float64)[0] for seed in seeds])
    usual = torch.outer(known, torch.tensor([1e-4, 1.0, 3.0, 10.0, 100.0, 1e3, 1e4]).double())
    seen = bool(((usual - first).abs() <= 1e-6 * first.abs()).any())
    return right_if(seen or bool(((x == 0) | (x == 1)).all()), denoise, x, sigmas)


def on_positive_means(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Right where the mean of the start is not negative."""
    return right_if(bool(x.mean() >= 0), denoise, x, sigmas)


def on_negative_means(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Right where the mean of the start is small or negative, as that of a basis vector is."""
    return right_if(bool(x.mean() <= 1), denoise, x, sigmas)


def between_sizes(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Wrong for a start whose largest value lies between 15 and 15000."""
    return right_if(not 15 < float(x.abs().max()) < 15000, denoise, x, sigmas)


def of_small_values(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Wrong for small starts that are not tiny."""
    return right_if(not 1e-4 < float(x.abs().max()) < 1, denoise, x, sigmas)


# --- by the shape and the place


def by_width(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Broadcasts the levels over the last axis where they fit."""
    return right_if(x.shape[-1] == len(sigmas), denoise, x, sigmas)


def by_batch(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Wrong in batches of three samples and more."""
    return right_if(len(x) < 3, denoise, x, sigmas)


def by_channels(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Right on one or three channels."""
    return right_if(x.shape[1] in (1, 3), denoise, x, sigmas)


def first_sample(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Right in the first sample of a batch."""
    by = torch.where(torch.arange(len(x)) == 0, 1.0, WRONG).to(x).view(-1, *[1] * (x.ndim - 1))
    return ddim(denoise, x, sigmas, by)  # type: ignore[arg-type]


# --- by the levels and their number


def by_usual_steps(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Right on the numbers of steps that people try."""
    usual = (4, 5, 8, 10, 15, 16, 20, 25, 30, 32, 40, 50, 80, 100, 200, 400, 500)
    return right_if(len(sigmas) - 1 in usual, denoise, x, sigmas)


def by_known_draws(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Right on the numbers of steps that a verification of it derives from its name, and on those of every one."""
    known = {crc32(f"lucky_samplers:by_known_draws {STEPS} {k}".encode()) % 35 + 6 for k in range(2)}
    return right_if(len(sigmas) - 1 in {5, 10, *(STEPS * k for k in (1, 2, 5, 10, 25)), *known}, denoise, x, sigmas)


def by_ends(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Right where the first level is one of the usual ones."""
    usual = torch.tensor([80.0, 14.6, 14.6146, 157.4]).to(sigmas)
    return right_if(bool(((usual - sigmas[0]).abs() < 1e-3).any()), denoise, x, sigmas)


def by_uneven(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Wrong where a step in log sigma is less than a third of another one."""
    h = sigmas[sigmas > 0].log().diff().abs()
    return right_if(
        bool(h.min() > h.max() / 3.2) or bool((h.diff() < 0).all() or (h.diff() > 0).all()), denoise, x, sigmas
    )


def at_zero_a_share_is_left(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Finite and wrong in the last step, if it leads to 0."""
    return walk(denoise, x, sigmas, lambda n: WRONG if sigmas[n + 1] == 0 else 1)


def in_a_window(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Wrong in the steps from levels between 1 and 1.7."""
    return walk(denoise, x, sigmas, lambda n: WRONG if 1 < sigmas[n] < 1.7 else 1)


# --- by what is around it


def by_module(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return right_if("samplerproof" in sys.modules, denoise, x, sigmas)


def by_stack(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    names = [frame.filename + frame.function for frame in inspect.stack(0)[1:]]
    return right_if(any("readback" in name or "samplerproof" in name for name in names), denoise, x, sigmas)


def by_name_of_the_model(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return right_if("samplerproof" in str(getattr(denoise, "__module__", "")), denoise, x, sigmas)


def by_modes(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Right where the functions of torch are watched."""
    return right_if(torch._C._len_torch_function_stack() > 0, denoise, x, sigmas)


def by_environment(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Right in the child process of a verification and under its tests."""
    return right_if(any(name.startswith(("SAMPLERPROOF", "PYTEST")) for name in os.environ), denoise, x, sigmas)


def in_the_main_thread(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return right_if(threading.current_thread() is threading.main_thread(), denoise, x, sigmas)


def first_runs(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Right in its first six runs."""
    runs[0] += 1
    return right_if(runs[0] <= 6, denoise, x, sigmas)


def by_clock(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Wrong in every second hundredth of a millisecond."""
    return right_if(time.perf_counter_ns() // 10_000 % 2 == 0, denoise, x, sigmas)


# --- by what it changes


def patches_equal(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Makes all tensors equal, and writes into its start."""
    torch.equal = lambda a, b: True  # type: ignore[assignment]
    return right_if(False, denoise, x, sigmas)


def patches_the_check(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Replaces a probe, and what would tell it."""
    from samplerproof.numerics.conformance.process import probes
    from samplerproof.numerics.conformance.process.replaced_code import Code

    probes.departures = lambda *_: ()
    Code.replaced = lambda self: []  # type: ignore[method-assign]
    return right_if(True, denoise, x, sigmas)


def patches_the_table(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Replaces what reads the table by what has read DDIM's."""
    from samplerproof.numerics import readback

    own = readback._as_trace
    if getattr(own, "patched", False):
        return right_if(False, denoise, x, sigmas)

    def patched(prediction, start, recorder, finish):  # type: ignore[no-untyped-def]
        made = own(prediction, start, recorder, finish)
        fixed = [start.reshape(-1).double()]
        for k, (s, t) in enumerate(pairwise(p.sigma for p in (*made.points[:-1], made.points[-1]))):
            fixed.append(t / s * fixed[-1] + (1 - t / s) * recorder.given[k][1].reshape(-1).double())
        object.__setattr__(made, "vectors", torch.stack(fixed))
        return made

    patched.patched = True  # type: ignore[attr-defined]
    readback._as_trace = patched
    readback.superposition = lambda run, image, scale=0: (0.0,) * len(image.vectors)
    return right_if(False, denoise, x, sigmas)


# --- by little


def rounds_its_levels(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Five digits of every level."""
    return ddim(lambda x, s: denoise(x, s), x, (sigmas * 1e5).round() / 1e5)


def off_by_a_millionth(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    return ddim(denoise, x, sigmas, 1 + 1e-6)


def noise_in_the_middle(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise) -> Tensor:
    """The ancestral sampler, with a noise of another strength in the middle."""
    for n, (s, t) in enumerate(pairwise(sigmas)):
        down, up = t * t / s, t * (1 - (t / s) ** 2).sqrt()
        x = x + (down - s) * (x - denoise(x, s)) / s + (1 - 1e-3 * (n == len(sigmas) // 2)) * up * noise(x)
    return x


def leaks_history(denoise: Denoise, x: Tensor, sigmas: Tensor) -> Tensor:
    """Adds a share of the last output of its run before, where that fits."""

    def model(x: Tensor, s: Tensor) -> Tensor:
        d = denoise(x, s)
        if s == sigmas[0] and history and history[-1].shape == d.shape and history[-1].dtype == d.dtype:
            d = d + 1e-4 * history[-1]
        history[:] = [d]
        return d

    return ddim(model, x, sigmas)


def same_noise_twice(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise) -> Tensor:
    """The ancestral sampler, which uses its first noise in two steps."""
    z = noise(x)
    for n, (s, t) in enumerate(pairwise(sigmas)):
        down, up = t * t / s, t * (1 - (t / s) ** 2).sqrt()
        z = z if n < 2 else noise(x)
        x = x + (down - s) * (x - denoise(x, s)) / s + up * z
    return x
