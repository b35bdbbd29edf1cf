"""What a scheduler's configuration says of the network that was trained with it: its noise levels, and what it gives.

Level k of N has alpha^2 = alpha_bar[k], and the network is told k. The library multiplies alpha_bar out in float32,
which leaves sigma of the first levels off by 1e-4 of itself; here it is float64, from the same betas. What a scheduler
says of sampling, its spacing of timesteps, its clipping, is no concern of the network, and is not read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from ..schedules import schedule
from .checkpoint import Native
from .level_of_lambda import Span, continuous, discrete

GIVES = {"epsilon": "noise", "sample": "data", "v_prediction": "v"}
BETAS = ("linear", "scaled_linear", "sigmoid", "squaredcos_cap_v2")
NEAR = 1e-4  # relative: what separates float32 sums of N terms from ours, and no more
LEAST = 1e-6  # alpha_bar of a level that knows of the data


def understood(scheduler: Any) -> tuple[str, Native, Span]:
    """What the network gives, and its clock, of a scheduler of diffusers.  Raises InputError on one not understood."""
    name, config = type(scheduler).__name__, dict(scheduler.config)
    count = int(config.get("num_train_timesteps", 0))
    prediction = config.get("prediction_type")
    if name.startswith("FlowMatch") or (prediction == "flow_prediction" and config.get("use_flow_sigmas")):
        # x = (1 - s) x0 + s eps, told N s; a shift of s in sampling moves the points, not the network
        native, span = continuous(schedule("flow"), 1 / count, 1 - 1 / count, time_scale=float(count))
        return "flow", native, span
    theirs = getattr(scheduler, "alphas_cumprod", None)
    if theirs is None:
        raise InputError("scheduler", name, "one with betas, such as DDPMScheduler, or of flow matching")
    if prediction not in GIVES:
        raise InputError("scheduler: prediction_type", prediction, f"one of {', '.join(GIVES)}, or flow matching")
    ours = alpha_bar(config)
    if bool(config.get("rescale_betas_zero_snr")):
        ours = _without_signal_at_the_end(ours)
        ours, theirs = ours[:-1], theirs[:-1]  # the last level is noise alone: nothing is asked there
    if len(ours) != len(theirs) or not np.allclose(ours, np.asarray(theirs, dtype=np.float64), rtol=NEAR, atol=1e-9):
        raise InputError("scheduler", name, "noise levels that follow from its betas")
    # A cosine's last levels are all but noise; their lambda runs off.
    native, span = discrete([float(value) for value in ours[ours > LEAST]])
    return GIVES[prediction], native, span


def alpha_bar(config: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """alpha^2 of every level [N], float64, from the betas of a configuration.  Raises InputError on betas unknown."""
    count, kind = int(config["num_train_timesteps"]), config.get("beta_schedule")
    start, end = float(config.get("beta_start", 0.0)), float(config.get("beta_end", 0.0))
    if config.get("trained_betas") is not None:
        betas = np.asarray(config["trained_betas"], dtype=np.float64)
    elif kind == "linear":
        betas = np.linspace(start, end, count)
    elif kind == "scaled_linear":
        betas = np.linspace(start**0.5, end**0.5, count) ** 2
    elif kind == "sigmoid":
        betas = (end - start) / (1 + np.exp(-np.linspace(-6, 6, count))) + start
    elif kind == "squaredcos_cap_v2":
        kept = np.cos((np.arange(count + 1) / count + 0.008) / 1.008 * np.pi / 2) ** 2
        betas = np.minimum(1 - kept[1:] / kept[:-1], 0.999)
    else:
        raise InputError("scheduler: beta_schedule", kind, f"one of {', '.join(BETAS)}, or trained_betas")
    return np.asarray(np.cumprod(1 - betas))


def _without_signal_at_the_end(bar: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The levels moved so that the last has alpha = 0 and the first stays (Lin et al. 2024, algorithm 1)."""
    root = np.sqrt(bar)
    moved = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return np.asarray(moved**2)
