"""The schedulers of consistency models in diffusers: boundary conditions of their functions, gamma of their steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from . import diffusers_layouts as layouts
from .diffusers_layouts import Layout

TCD_ETA = 0.3  # the default of its `step`


def gammas(scheduler: Any, layout: Layout, arguments: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """gamma of every step: it leads to the timestep (1 - eta) t', rounded down, and from there back to t'."""
    eta = arguments.get("eta", TCD_ETA)
    following = torch.tensor([*map(int, layout.calls[1:]), 0])
    below = torch.floor((1 - eta) * following).long()
    there, here = (scheduler.alphas_cumprod[t].double() for t in (below, following))
    return {"gamma": tuple((1 - ((1 / there - 1) / (1 / here - 1)).sqrt()).tolist())}


def trajectory(options: Mapping[str, Any]) -> tuple[str, int | None]:
    """The record, DDIM's without noise, and the order that the name promises: TCD's is none."""
    return ("trajectory-consistency", None) if options.get("eta", TCD_ETA) else ("ddim", 1)


def before_boundary_condition(scheduler: Any, x: Tensor, output: Tensor, i: int) -> Tensor:
    """The output with whose data prediction F the class has the given one, as c_skip x + c_out F.

    c_skip and c_out belong to the function that a consistency model learns, not to the sampler. The data prediction is
    kept x + taken output, by the type of the output.
    """
    timestep = scheduler.timesteps[layouts.begin(scheduler) + i]
    c_skip, c_out = scheduler.get_scalings_for_boundary_condition_discrete(timestep.double())
    squared = scheduler.alphas_cumprod[timestep].double()
    alpha, sigma = squared.sqrt(), (1 - squared).sqrt()
    kept, taken = {
        "epsilon": (1 / alpha, -sigma / alpha),
        "v_prediction": (alpha, -sigma),
        "sample": (torch.zeros(()), torch.ones(())),
    }[scheduler.config.prediction_type]
    before: Tensor = output / c_out + ((kept - c_skip) / c_out - kept) / taken * x
    return before.to(output.dtype)


def raw_of_boundary_condition(scheduler: Any, x: Tensor, data: Tensor, i: int) -> Tensor:
    """The raw output F with c_skip x + c_out F = data prediction, from `get_scalings_for_boundary_condition`."""
    c_skip, c_out = scheduler.get_scalings_for_boundary_condition(scheduler.sigmas[layouts.begin(scheduler) + i])
    raw: Tensor = (data - c_skip * x) / c_out
    return raw
