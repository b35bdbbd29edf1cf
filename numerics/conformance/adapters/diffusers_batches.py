"""The batched step of the parallel schedulers of diffusers, compared with their step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...external_run import Remark

ROUNDED = 1e-4  # of the largest value: float32, with the cancellation of 1 - alpha^2


def batch_remarks(scheduler: Any, calls: Sequence[Any], arguments: dict[str, Any], like: Tensor) -> tuple[Remark, ...]:
    """An error where `batch_step_no_noise` on all timesteps at once is another step than `step` without noise.

    scheduler: set to its timesteps; calls: those.  Empty where it has no batched step, or it raises.
    """
    if not hasattr(scheduler, "batch_step_no_noise"):
        return ()
    generator = torch.Generator().manual_seed(0)
    states, outputs = (torch.randn(len(calls), 3, 2, 2, generator=generator, dtype=like.dtype) for _ in range(2))
    times = torch.stack([torch.as_tensor(t) for t in calls])
    try:
        together = scheduler.batch_step_no_noise(outputs, times, states, **arguments)
    except Exception as fault:
        text = f"batch_step_no_noise raises {type(fault).__name__}: {' '.join(str(fault).split())}"
        return (Remark("batch", text[:200], "error"),)
    worst, at = 0.0, 0
    for n, t in enumerate(calls):
        single = scheduler.step(outputs[n : n + 1], t, states[n : n + 1], **arguments)[0][0]
        gap = float((single - together[n]).abs().max() / single.abs().max())
        worst, at = max((worst, at), (gap, n))
    if worst <= ROUNDED:
        return ()
    detail = f"step {at + 1}: batch_step_no_noise is off by {worst:.1e} of the largest value from step without noise"
    return (Remark("batch", detail, "error"),)
