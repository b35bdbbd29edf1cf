"""Noise levels and prediction of a network, from the configuration of the scheduler it was trained with.

Level k of N has alpha^2 = alpha_bar[k], and the network takes k. The library computes alpha_bar in float32, with a
relative error of 1e-4 in sigma of the first levels; here it is computed in float64 from the same betas. Options of
sampling, such as the spacing of timesteps and clipping, do not concern the network and are not read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from ..schedules import schedule
from .checkpoint import Native
from .level_of_lambda import Span, continuous, discrete

PREDICTION_TYPES = {"epsilon": "noise", "sample": "data", "v_prediction": "v"}
BETAS = ("linear", "scaled_linear", "sigmoid", "squaredcos_cap_v2")
NEAR = 1e-4  # relative difference of the float32 products of N factors
LEAST = 1e-6  # alpha_bar of a level that still has signal


def read_scheduler(scheduler: Any) -> tuple[str, Native, Span]:
    """Prediction, native points and lambda span of the network of a diffusers scheduler.  Raises InputError."""
    name, config = type(scheduler).__name__, dict(scheduler.config)
    count = int(config.get("num_train_timesteps", 0))
    prediction = config.get("prediction_type")
    if name.startswith("FlowMatch") or (prediction == "flow_prediction" and config.get("use_flow_sigmas")):
        # x = (1 - s) x0 + s eps, and the network takes N s; a shift of s in sampling moves the points, not the network
        native, span = continuous(schedule("flow"), 1 / count, 1 - 1 / count, time_scale=float(count))
        return "flow", native, span
    library = getattr(scheduler, "alphas_cumprod", None)
    if library is None:
        raise InputError("scheduler", name, "one with betas, such as DDPMScheduler, or of flow matching")
    if prediction not in PREDICTION_TYPES:
        raise InputError(
            "scheduler: prediction_type", prediction, f"one of {', '.join(PREDICTION_TYPES)}, or flow matching"
        )
    ours = alpha_bar(config)
    if bool(config.get("rescale_betas_zero_snr")):
        ours = _without_signal_at_the_end(ours)
        ours, library = ours[:-1], library[:-1]  # the last level is noise alone: the network is not evaluated there
    if len(ours) != len(library) or not np.allclose(ours, np.asarray(library, dtype=np.float64), rtol=NEAR, atol=1e-9):
        raise InputError("scheduler", name, "noise levels that follow from its betas")
    # The last levels of a cosine schedule are nearly all noise; their lambda diverges.
    native, span = discrete([float(value) for value in ours[ours > LEAST]])
    return PREDICTION_TYPES[prediction], native, span


def alpha_bar(config: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """alpha^2 of every level [N], float64, from the betas of a configuration.  Raises InputError on unknown betas."""
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
        survival = np.cos((np.arange(count + 1) / count + 0.008) / 1.008 * np.pi / 2) ** 2
        betas = np.minimum(1 - survival[1:] / survival[:-1], 0.999)
    else:
        raise InputError("scheduler: beta_schedule", kind, f"one of {', '.join(BETAS)}, or trained_betas")
    return np.asarray(np.cumprod(1 - betas))


def _without_signal_at_the_end(bar: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The levels rescaled so that the last has alpha = 0 and the first is unchanged (Lin et al. 2024, algorithm 1)."""
    root = np.sqrt(bar)
    moved = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return np.asarray(moved**2)
