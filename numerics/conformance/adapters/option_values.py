"""The documented values of options: the settings of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .target import typed

# Values that the libraries document beside true and false, for an option whose default is among them.
CHOICES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("algorithm_type", ("dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++")),
    ("algorithm_type", ("data_prediction", "noise_prediction")),
    ("beta_schedule", ("linear", "scaled_linear", "squaredcos_cap_v2")),
    ("corrector_order", (0, 1, 2, 3)),
    ("eta", (0.0, 0.5, 1.0)),
    ("final_sigmas_type", ("zero", "sigma_min")),
    ("interpolation_type", ("linear", "log_linear")),
    ("order", (1, 2, 3, 4)),
    ("prediction_type", ("epsilon", "sample", "v_prediction")),
    ("predictor_order", (1, 2, 3)),
    ("sigma_schedule", ("karras", "exponential")),
    ("solver_order", (1, 2, 3)),
    ("solver_type", ("midpoint", "heun")),
    ("solver_type", ("bh1", "bh2")),
    ("steps_offset", (0, 1)),
    ("timestep_spacing", ("linspace", "leading", "trailing")),
    ("timestep_type", ("discrete", "continuous")),
    ("variance_type", ("fixed_small", "fixed_small_log", "fixed_large")),
)


def variants(library: str, name: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[str, ...]:
    """The target with each option that is not given at each of its other documented values, one at a time."""
    result = []
    for key, default in defaults.items():
        if key in given:
            continue
        others = [not default] if isinstance(default, bool) else _others(key, default)
        result += [typed(library, name, {**given, key: value}) for value in others]
    return tuple(result)


def _others(key: str, default: Any) -> list[Any]:
    """The other documented values. Types are compared too: integer options must not match floats."""
    same = type(default)
    values = [v for name, documented in CHOICES if name == key for v in documented if default in documented]
    return [value for value in values if value != default and type(value) is same]
