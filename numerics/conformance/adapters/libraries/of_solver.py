"""A sampler of a library as a function of levels: what the adapters share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from ....catalogue import resolve
from ....errors import InputError
from ....external_run import Draw
from ....grids import Grid
from ...forward_processes import on_process
from ...report import ANEW, TargetInfo
from ..callables import Denoise, Solver, on_levels, ratios, unjudged
from ..external_sampler import ExternalSampler
from ..in_float64 import entered, in_float64
from ..process_levels import GRIDS, ZERO, Levels, anew, exponential, karras, other_levels, own_levels, uneven


def external(
    target: str,
    solver: Solver,
    namespace: dict[str, Any],
    prediction: str = "data",
    reference: str | None = None,
    order: int | None = None,
    process: str = "ve",
    own: Levels | None = None,
    others: dict[str, Levels] | None = None,
) -> ExternalSampler:
    """The external sampler of solver(denoise, x, sigmas, draw), on the levels of a process.

    denoise: returns the prediction.  namespace: of the library's code.  reference: the record that it claims to be.
    order: the one that it advertises.  own, others: its levels where the usual ones do not suit it.
    """
    own = own or own_levels(process)
    others = dict(other_levels(process) if others is None else others)

    def levels(grid: Grid) -> list[float]:
        return ratios(grid, target) if process == "ve" else [p.sigma for p in on_process(grid, process)]

    info = TargetInfo(
        target,
        process,
        reference=reference,
        advertised_order=order,
        grids=tuple(others),
        zero=ZERO if ZERO in others else None,
    )
    return ExternalSampler(
        info,
        prediction,
        lambda steps, grid=None: on_levels(target, solver, (others[grid] if grid else own)(steps), process),
        lambda: in_float64(*entered(namespace)),
        lambda grid: on_levels(target, solver, levels(grid), process),
        lambda grid: unjudged(solver, levels(grid), process),
    )


def on_vp(inner: Solver) -> Solver:
    """A solver of a variance-preserving process, as one on alpha = 1 of the same sigma / alpha.

    Its states are those there, times alpha = 1 / sqrt(1 + (sigma / alpha)^2); data and noise predictions are the same.
    """

    def solver(denoise: Denoise, x: Tensor, sigmas: Tensor, draw: Draw) -> Tensor:
        def asked(state: Tensor, ratio: Any) -> Tensor:
            return denoise(state * (1 + ratio**2) ** 0.5, ratio)

        begun = x / (1 + sigmas[0] ** 2) ** 0.5
        return inner(asked, begun, sigmas, draw) * (1 + sigmas[-1] ** 2) ** 0.5

    return solver


def one_level(times: Any) -> Tensor:
    """The level of a call: libraries pass it once for every element of the batch."""
    first: Tensor = times.reshape(-1)[0]
    return first


def with_zero(steps: int, before: Callable[[int], Sequence[float]]) -> list[float]:
    """Levels of a sampler that appends a 0 itself."""
    return [*(before(steps - 1) if steps > 1 else before(1)[:1]), 0.0]


ENDING_AT_ZERO: dict[str, Levels] = {
    f"{name}, a 0 appended": lambda steps, made=made: with_zero(steps, made)  # type: ignore[misc]
    for name, made in GRIDS.items()
    if name != ZERO
}


# Levels of a variance-preserving process, as sigma / alpha.
ON_VP: dict[str, Levels] = {
    "levels from 14.6 to 0.03 equal in log sigma / alpha": exponential,
    "levels uneven in log sigma / alpha": partial(uneven, high=14.6, low=0.03),
    ANEW: partial(anew, high=(5.0, 14.0), low=(0.03, 0.1)),
}


def own_on_vp(steps: int) -> list[float]:
    """The levels on which a sampler of a variance-preserving process is judged, as sigma / alpha."""
    return karras(steps, 14.6, 0.03)


def record(name: str) -> str | None:
    """The record of that name; None if the catalogue has none."""
    base, mark, values = name.partition("?")
    try:
        resolve(name)
    except InputError:
        return None
    return f"{resolve(base).name}{mark}{values}"  # the values as they are: a float is a fraction of many digits
