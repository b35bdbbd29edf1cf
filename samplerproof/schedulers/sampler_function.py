"""Methods of the catalogue as functions of k-diffusion and ComfyUI."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..names.input_error import InputError
from ..numerics.catalogue import resolve
from ..numerics.conformance.forward_processes import grid_of, point
from ..numerics.denoisers import convert
from ..numerics.grid_kinds.falling import check_falling
from ..numerics.noise import NoiseSource, seeded
from ..numerics.sample import running
from ..numerics.tableau import Tableau
from .started_table import started_table

Sampler = Callable[..., Tensor]


def sampler(method: str, process: str | None = None) -> Sampler:
    """A method of the catalogue as sample(model, x, sigmas, extra_args=None, callback=None, disable=None).

    method: a name, as `samplerproof methods` lists them.  process: "ve" (x = x0 + sigma eps) or "flow" (x = (1 - sigma)
    x0 + sigma eps); None: "flow" where a model of ComfyUI is of one, else "ve".
    The function calls model(x, sigma [n], **extra_args) -> the data prediction, and after every evaluation
    callback({"x", "i", "sigma", "sigma_hat", "denoised"}), i the step. A stochastic method takes its noise from
    noise_sampler(sigma, sigma_next) where one is passed, else from the seed in extra_args, as ComfyUI passes it, else
    from torch's own generator. States are float32, or float64 where x is; the table of a list of levels is computed
    once, in float64. A run of no more steps than the history of a multistep method is its start-up.
    Raises InputError on an unknown method or process, and, when called, on levels that do not fall.

    >>> import torch
    >>> from samplerproof.schedulers import sampler
    >>> run = sampler("dpm-solver++-2m")
    >>> run(lambda x, sigma: x / (1 + sigma[:, None] ** 2), torch.ones(1, 1), torch.tensor([1.0, 0.5, 0.0]))
    tensor([[0.6000]])
    """
    record = resolve(method)
    if process not in (None, "ve", "flow"):
        raise InputError("process", process, '"ve", "flow" or None')

    @torch.no_grad()
    def sample(
        model: Any,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Mapping[str, Any] | None = None,
        callback: Callable[[dict[str, Any]], None] | None = None,
        disable: bool | None = None,
        noise_sampler: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Tensor:
        table = _table(method, process or ("flow" if _is_flow(model) else "ve"), tuple(sigmas.tolist()))
        arguments, ones = extra_args or {}, x.new_ones(x.shape[0])
        noise = _noise(table, sigmas, arguments.get("seed"), noise_sampler)
        run = running(x, table, noise, torch.float64 if x.dtype == torch.float64 else torch.float32, checked=False)
        d: Tensor | None = None
        while True:
            try:
                i, vector = run.send(d)
            except StopIteration as end:
                made: Tensor = end.value(len(table.points) - 1)
                return made.to(x.dtype, copy=True)
            at, seen, n = table.points[i], vector.to(x.dtype, copy=True), table.step[i]
            denoised = model(seen, at.sigma * ones, **arguments)
            if callback is not None:
                callback({"x": seen, "i": n, "sigma": sigmas[n], "sigma_hat": sigmas[n], "denoised": denoised})
            d = convert(vector, denoised.to(vector.dtype), at, "data", table.prediction_at(i))

    sample.__name__ = sample.__qualname__ = f"sample_{record.name.replace('-', '_').replace('+', 'p')}"
    return sample


@lru_cache(maxsize=8)
def _table(method: str, process: str, levels: tuple[float, ...]) -> Tableau:
    """The table of a method on levels of a process."""
    check_falling("sigmas", list(levels))
    return started_table(
        method, grid_of(process, [point(process, 1 - s if process == "flow" else 1.0, s) for s in levels])
    )


def _noise(
    table: Tableau, sigmas: Tensor, seed: int | None, own: Callable[[Tensor, Tensor], Tensor] | None
) -> NoiseSource:
    """The source of noise of a run; the stream of a seed is not the one that a start of this seed was drawn from."""
    steps = [step for step, drawn in zip(table.step, table.drawn, strict=True) if drawn]
    if own is not None:
        return lambda like, draw: own(sigmas[steps[draw] - 1], sigmas[steps[draw]]).to(like)
    return seeded(seed + 1) if seed is not None else lambda like, draw: torch.randn_like(like)


def _is_flow(model: Any) -> bool:
    """Whether a model of ComfyUI is of a flow: its sampling is of the class CONST there."""
    for _ in range(3):  # the model, its guider, and the network's own
        sampling = getattr(model, "model_sampling", None)
        if sampling is not None:
            return any(cls.__name__ == "CONST" for cls in type(sampling).__mro__)
        model = getattr(model, "inner_model", None)
    return False
