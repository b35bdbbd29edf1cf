"""Several steps of a sampler as one: the table that an ideal student of progressive distillation computes."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..errors import InputError, of_type, whole
from ..tableau import Tableau


def merged(tableau: Tableau, every: int) -> Tableau:
    """The table in which `every` steps of a table are one step: its row reads the state at its start alone.

    tableau: of a sampler of one row a step that reads one state and one output, such as "ddim".  The vectors in between
    stay, as stages, so that the same outputs are made and the last vector is the same but for rounding.  The row of a
    merged step is x' = a x + sum_j w_j d_j; for DDIM, w_j/sum w is the convex mean of the data predictions that a
    student must predict.
    Raises InputError on a table with other rows, and where `every` does not divide the number of rows.
    Salimans and Ho 2022 (arXiv 2202.00512), appendix G.
    """
    of_type("tableau", tableau, Tableau, "a table, as sp.tabulate(name, grid) makes it")
    rows = len(tableau.states)
    if tableau.states.shape[1] > 1 or tableau.outputs.shape[1] > 1 or tableau.noises.shape[1] or tableau.channels:
        raise InputError("tableau", tableau.method, "a table of one row a step, which reads one state and one output")
    if whole("every", every) < 1 or rows % every:
        raise InputError("every", every, f"a number that divides {rows}, the steps of the table")
    states = torch.zeros(rows, every, dtype=torch.float64)
    outputs = torch.zeros(rows, every, dtype=torch.float64)
    for first in range(0, rows, every):
        # v at the start, carried along: v_i = gain v_first + sum_j made[j] d_{first+j}.
        gain, made = 1.0, torch.zeros(every, dtype=torch.float64)
        for k in range(every):
            carry, weight = float(tableau.states[first + k, 0]), float(tableau.outputs[first + k, 0])
            gain, made = carry * gain, carry * made
            made[k] = weight
            states[first + k, k] = gain
            outputs[first + k, : k + 1] = made[: k + 1].flip(0)
    return replace(tableau, method=f"{tableau.method}, {every} steps merged", states=states, outputs=outputs)
