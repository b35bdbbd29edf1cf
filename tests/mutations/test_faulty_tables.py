"""Faults planted in tableaus, caught by read-back and by the 40-digit oracle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import mpmath as mp
import pytest
import torch
from fault_table import report
from shapes import by_shape
from tableau_oracle import oracle_rows, worst_against

from samplerproof.numerics.grids import Grid, grid
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.table_readback import read_rows
from samplerproof.numerics.tableau import Tableau, tabulate
from samplerproof.theory.method import Method
from samplerproof.theory.methods import METHODS, find


def tableau(name: str) -> tuple[Grid, Tableau]:
    on = grid(schedule("vp-linear", beta_min=0.1, beta_max=20.0), "uniform-t", 5, t_min=0.01, t_max=1.0)
    return on, tabulate(name, on)


def read_back(altered: Tableau, good: Tableau) -> bool:
    return not all(map(torch.equal, read_rows(altered), (good.states, good.outputs, good.noises)))


@pytest.mark.parametrize("method", by_shape(METHODS))
def test_a_coefficient_off_by_one_ulp_is_caught(method: Method) -> None:
    _, good = tableau(method.name)
    assert not read_back(good, good)
    caught: list[str | None] = []
    for table in ("states", "outputs", "noises"):
        numbers = getattr(good, table)
        for where in numbers.nonzero().tolist():
            altered = numbers.clone()
            altered[tuple(where)] = torch.nextafter(altered[tuple(where)], torch.tensor(torch.inf, dtype=torch.float64))
            caught.append("read-back" if read_back(replace(good, **{table: altered}), good) else None)
    report("coefficient off by one ulp", method.name, caught)


@cache
def oracle(name: str) -> list[Any]:
    """The coefficients of the good tableau at 40 digits."""
    on, good = tableau(name)
    with mp.workdps(40):
        return list(oracle_rows(find(name), on, good))


def off(altered: Tableau) -> float:
    """How far a tableau is from the 40 digits, in roundings."""
    return worst_against(oracle(altered.method), altered)


@pytest.mark.parametrize("method", by_shape(METHODS))
def test_a_coefficient_off_by_a_millionth_is_caught(method: Method) -> None:
    _, good = tableau(method.name)
    assert off(good) <= 8
    caught: list[str | None] = []
    for table in ("states", "outputs", "noises"):
        altered = getattr(good, table).clone()
        if altered.numel() and not altered.any():
            altered[-1, 0] = 1e-6
            caught.append("40-digit oracle" if off(replace(good, **{table: altered})) > 8 else None)
        elif altered.numel():
            row = int(altered.any(dim=1).nonzero()[-1])
            altered[row, int(altered[row].nonzero()[-1])] *= 1 + 1e-6
            caught.append("40-digit oracle" if off(replace(good, **{table: altered})) > 8 else None)
    report("coefficient off by 1e-6", method.name, caught)


def lags_exchanged(good: Tableau, table: str) -> Iterator[Tableau]:
    """In the last row that has some, two neighbouring coefficients change places; equal ones are no fault."""
    numbers = getattr(good, table)
    for row in reversed(range(len(numbers))):
        values = numbers[row].tolist()
        found = [k for k, (a, b) in enumerate(pairwise(values)) if abs(a - b) > 1e-9 * max(abs(a), abs(b))]
        for k in found:
            altered = numbers.clone()
            altered[row, [k, k + 1]] = numbers[row, [k + 1, k]]
            yield replace(good, **{table: altered})
        if found:
            return


@pytest.mark.parametrize("method", by_shape(METHODS))
def test_two_lags_exchanged_are_caught(method: Method) -> None:
    """Assert that a history read in another order is caught, by the place of a coefficient and not by its value."""
    _, good = tableau(method.name)
    for table in ("outputs", "states", "noises"):
        caught = ["40-digit oracle" if off(altered) > 1e6 else None for altered in lags_exchanged(good, table)]
        assert caught or getattr(good, table).shape[1] < 2
        report(f"two {table} exchanged", method.name, caught)
