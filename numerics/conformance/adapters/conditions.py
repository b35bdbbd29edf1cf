"""The conditions that a sampler with guidance inside passes to its model: one by one, or several in one batch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...errors import SamplingError
from ...external_run import of_another_run
from ...guided_tables import CONDITIONAL, UNCONDITIONAL

PAIRS = (  # names of two parameters that take the conditions
    ("cond", "uncond"),
    ("conditional", "unconditional"),
    ("positive", "negative"),
    ("prompt_embeds", "negative_prompt_embeds"),
)
SCALES = ("cond_scale", "guidance_scale", "scale")  # names of a weight that a call of the model may have
PART = {2: "{} half", 3: "{} third"}  # of a batch whose conditions are not passed on
ORDER = ("first", "second", "third")
LONG = 20  # characters of a text that names its condition

Ask = Callable[[Tensor, Any, str], Tensor]  # (x, sigma, channel) -> x0hat: one output at one state


def parameters_of(names: Sequence[str]) -> tuple[str, str] | None:
    """The parameters of a function that take the two conditions; None where it has no such pair."""
    return next((pair for pair in PAIRS if {*pair} <= {*names}), None)


def conditions(call: Callable[..., Any], x: Tensor) -> dict[str, Tensor]:
    """The two conditions of a function as keywords, tensors [batch of x, 1, 1]: 1 with and 0 without a prompt."""
    pair = parameters_of([*inspect.signature(call).parameters])
    shape = (len(x), 1, 1)
    return {} if pair is None else {pair[0]: x.new_ones(shape), pair[1]: x.new_zeros(shape)}


def with_conditions(ask: Ask, like: Tensor) -> Callable[..., Tensor]:
    """denoise(x, sigma, *conditions, …) of a model that is asked for one output at one state.

    x: a state, or two or three copies of it in one batch, one for every condition; the outputs are batched alike.
    A condition is passed by position or by any keyword: one of `conditions`, a batch of them, a text, or None. With
    both by keyword and a `cond_scale` w, the answer is uncond + w (cond - uncond), as k-diffusion's CFGDenoiser.
    Raises SamplingError on other shapes and conditions.
    """

    def denoise(x: Any, sigma: Any, *by_order: Any, **named: Any) -> Tensor:
        weights = [named.pop(name) for name in SCALES if name in named]
        given = [*by_order, *named.values()]
        copies = _copies(x, like)
        if len(given) == 2 and len(weights) == 1 and copies == 1:
            with_, without = (ask(x, sigma, name) for name in _in_order([_names(c, 1)[0] for c in given], named))
            guided: Tensor = without + weights[0] * (with_ - without)
            return guided
        if len(given) > 1 or weights:
            raise SamplingError(f"the model takes one condition, or cond, uncond and cond_scale; it got {len(given)}")
        names = _names(given[0], copies) if given else _unnamed(copies)
        parts = x.chunk(copies) if copies > 1 else [x]
        found = [ask(part, sigma, name) for part, name in zip(parts, names, strict=True)]
        return torch.cat(found) if copies > 1 else found[0]

    return denoise


def _copies(x: Any, like: Tensor) -> int:
    """How many copies of a state x has in its batch; 1 for all that is no such batch, whose shape is checked later."""
    if not isinstance(x, Tensor) or x.ndim != like.ndim or x.shape[1:] != like.shape[1:] or not x.ndim:
        return 1
    copies, rest = divmod(len(x), len(like))
    if rest or copies not in PART:
        return 1
    first, *others = x.chunk(copies)
    if not all(torch.allclose(first, other, rtol=0, atol=0, equal_nan=True) for other in others):
        hint = of_another_run(x, like)
        raise SamplingError(f"the model is evaluated at a batch of {copies} states, which are not copies of one{hint}")
    return copies


def _unnamed(copies: int) -> list[str]:
    return [""] if copies == 1 else [PART[copies].format(ORDER[k]) for k in range(copies)]


def _names(condition: Any, copies: int) -> list[str]:
    """The channel of every copy of a state."""
    if isinstance(condition, Tensor):
        if condition.ndim and len(condition) % copies == 0:
            parts = condition.detach().reshape(copies, -1)
            if all(bool((part == part[0]).all()) and float(part[0]) in (0.0, 1.0) for part in parts):
                return [CONDITIONAL if float(part[0]) else UNCONDITIONAL for part in parts]
        raise SamplingError("the condition of the model is not one of those given, nor a batch of them")
    if isinstance(condition, list | tuple) and len(condition) == copies:
        return [_names(part, 1)[0] for part in condition]
    if copies == 1 and condition is None:
        return [UNCONDITIONAL]
    if copies == 1 and isinstance(condition, str):
        return [" ".join(condition.split())[:LONG] or UNCONDITIONAL]
    raise SamplingError(f"the condition of the model is {type(condition).__name__}; pass on cond and uncond as given")


def _in_order(names: Sequence[str], named: Mapping[str, Any]) -> list[str]:
    """Two channels, that with the condition first: by their keywords, else by their order."""
    pair = parameters_of([*named])
    keys = [*named]
    return [names[keys.index(key)] for key in pair] if pair and len(keys) == len(names) else list(names)
