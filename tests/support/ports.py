"""A port of the sampling loop that shares no code with it: plain numpy, in any precision, as a recorded run."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from samplerproof.numerics.tableau import Tableau


def number(value: Any) -> float:
    """A number of a file, decimal or hexadecimal."""
    return float.fromhex(value) if isinstance(value, str) else float(value)


def ported(tableau: Tableau, data: dict[str, Any], dtype: str) -> dict[str, Any]:
    """The recorded run `data` with inputs and end as this table makes them in another precision."""

    def vector(values: list[Any]) -> Any:
        return np.array([number(value) for value in values]).astype(dtype)

    outputs, noises = [vector(e["output"]) for e in data["evaluations"]], iter(map(vector, data["noises"]))
    drawn = {i: next(noises) for i, used in enumerate(tableau.drawn) if used}
    states, weights, strengths = (
        np.array(m.tolist()).astype(dtype) for m in (tableau.states, tableau.outputs, tableau.noises)
    )
    v, made, inputs = [vector(data["start"])], {}, []
    for i in range(len(tableau.points)):
        if i > 0:
            new = np.zeros_like(v[0])
            for k, c in enumerate(states[i - 1]):
                new = new + c * v[i - 1 - k] if c else new
            for j, c in enumerate(weights[i - 1]):
                new = new + c * made[i - 1 - j] if c else new
            for lag, c in enumerate(strengths[i - 1] if strengths.size else []):
                new = new + c * drawn[i - lag] if c else new
            v.append(new)
        if tableau.evaluated[i]:
            made[i] = outputs[len(inputs)]
            inputs.append(v[i])
    run = copy.deepcopy(data)
    for entry, x in zip(run["evaluations"], inputs, strict=True):
        entry["input"] = [float(value) for value in x]
    run["end"] = [float(value) for value in v[-1]]
    return run
