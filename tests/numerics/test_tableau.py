"""The Tableau against the theory at 40 digits, and as the loop applies it, bit for bit."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import mpmath as mp
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from shapes import by_shape
from strategies import rough_grids
from tableau_oracle import EPS, at_40_digits, worst

from samplerproof.numerics.catalogue import METHODS, resolve
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.generated.frame_functions import FRAMES
from samplerproof.numerics.grids import Grid, grid, li_grid
from samplerproof.numerics.records import Record
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.table_file import write_table
from samplerproof.numerics.table_readback import read_rows
from samplerproof.numerics.tableau import tabulate, tabulate_all
from samplerproof.theory.methods import find
from samplerproof.theory.phi_functions import phi

VP = schedule("vp-linear", beta_min=0.1, beta_max=20.0)


SMOOTH = [name for name, m in METHODS.items() if FRAMES[m.frame].smooth]


# Other values than the defaults; a start-up takes them too.
CHOSEN = [
    *("ddim-eta?eta=1/3", "sa-solver-1?tau=1/2", "sa-solver-3?tau=1/2", "sa-solver-p2c2?tau=1/2"),
    *("sde-dpm-solver-2m?tau=3/2", "sde-dpm-solver++-3m-published?tau=1/4", "sde-dpm-solver++-2s?r=1/3&tau=1/2"),
    *("dpmpp-sde?r=1/3", "seeds-2?c2=2/3", "edm-churn?churn=10", "edm-churn?churn=1/10"),
]


@pytest.mark.parametrize("name", by_shape([*(name for name in METHODS if name not in SMOOTH), *CHOSEN]))
@given(g=rough_grids())
def test_coefficients_against_40_digits(name: str, g: Grid) -> None:
    """8 eps times the sum of absolute terms, on rough grids with steps down to 1e-7."""
    assert worst(tabulate(name, g), find(name), g) <= 8


@pytest.mark.parametrize("name", by_shape(SMOOTH))
@settings(max_examples=3)  # each takes a second
@given(g=rough_grids(most=5))
def test_weights_by_quadrature_against_40_digits(name: str, g: Grid) -> None:
    """1e-13 of the sum of absolute terms."""
    assert worst(tabulate(name, g), find(name), g) * EPS <= 1e-13


@pytest.mark.parametrize("name", by_shape([*METHODS, *CHOSEN]))
@given(g=rough_grids())
def test_a_table_that_is_run_returns_itself_bit_for_bit(name: str, g: Grid) -> None:
    """With its start-up, and from exact start values where it has a past: without one these tables are the same."""
    for start in ("ramp", "exact") if resolve(name).history else ("ramp",):
        tableau = tabulate(name, g, start)
        states, outputs, noises = read_rows(tableau)
        assert torch.equal(states, tableau.states)
        assert torch.equal(outputs, tableau.outputs)
        assert torch.equal(noises, tableau.noises)


def test_without_a_past_both_starts_are_the_same_table() -> None:
    g = grid(VP, "uniform-t", 4, t_min=0.01, t_max=1.0)
    assert all(tabulate(n, g) == tabulate(n, g, "exact") for n, record in METHODS.items() if not record.history)
    assert tabulate("exp-adams-2", g) != tabulate("exp-adams-2", g, "exact")


@pytest.mark.check
def test_read_back_sees_a_change_of_one_ulp() -> None:
    tableau = tabulate("exp-adams-3", grid(VP, "uniform-t", 6, t_min=0.01, t_max=1.0))
    altered = tableau.outputs.clone()
    altered[4, 1] = torch.nextafter(altered[4, 1], torch.tensor(1.0, dtype=torch.float64))
    read = read_rows(replace(tableau, outputs=altered))[1]
    assert not torch.equal(read, tableau.outputs)
    assert torch.equal(read, altered)


@pytest.mark.check
def test_read_back_sees_a_noise_off_by_one_ulp() -> None:
    tableau = tabulate("seeds-3", grid(VP, "uniform-t", 6, t_min=0.01, t_max=1.0))
    for where in tableau.noises.nonzero().tolist():
        altered = tableau.noises.clone()
        altered[tuple(where)] = torch.nextafter(altered[tuple(where)], torch.tensor(9.0, dtype=torch.float64))
        read = read_rows(replace(tableau, noises=altered))[2]
        assert torch.equal(read, altered)
        assert not torch.equal(read, tableau.noises)


def place(record: Record, row: int) -> Fraction | int:
    """The fraction of the step at which a row ends."""
    to = record.rows[row].to
    return record.numbers[to] if isinstance(to, str) else to


INSIDE = [n for n, m in METHODS.items() if any(r.to not in (1, -1, "middle", "noised_place") for r in m.rows)]


@pytest.mark.parametrize("name", [*INSIDE, "dpm-solver-2s?r=1/3", "dpm-solver++-3s?r1=0.9", "seeds-2?c2=0.9"])
@given(g=rough_grids(shortest=1e-3))
def test_stages_live_at_their_fraction_of_the_step(name: str, g: Grid) -> None:
    record = resolve(name)
    clock = getattr(g.columns, FRAMES[record.frame].clock).tolist()
    value = {"lam": lambda p: math.log(p.alpha / p.sigma), "rho": lambda p: p.sigma / p.alpha, "t": lambda p: p.t}
    read = value[FRAMES[record.frame].clock]
    for i, point in enumerate(tabulate(name, g).points[1:]):
        n, row = divmod(i, len(record.rows))
        u = clock[n] + float(place(record, row)) * (clock[n + 1] - clock[n])
        assert read(point) == pytest.approx(u, rel=1e-11, abs=1e-11)


def test_stages_between_the_levels_of_a_discrete_process_are_refused() -> None:
    with pytest.raises(InputError, match="no points between its levels"):
        tabulate("dpm-solver++-2s", li_grid(79, 1.0, 7.0))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda g: tabulate("dpm-solver++-2n", g), "dpm-solver++-2m"),
        (lambda g: tabulate("exp-adams-4", g), "history of 3 steps"),
        (lambda g: tabulate("ddim", g, "ideal"), 'one of "ramp", "exact"'),
        (lambda g: tabulate("ddim?eta=1", g), "takes no parameters"),
    ],
)
def test_bad_input_is_one_line(call: object, says: str) -> None:
    g = grid(VP, "uniform-t", 3, t_min=0.01, t_max=1.0)
    with pytest.raises(InputError) as refused:
        call(g)  # type: ignore[operator]
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_every_alias_is_the_same_table() -> None:
    g = grid(VP, "karras", 8, sigma_min=0.01, sigma_max=80.0, rho=7.0)
    for record in METHODS.values():
        for alias in record.aliases:
            for part in ("states", "outputs", "noises"):
                assert torch.equal(getattr(tabulate(alias, g), part), getattr(tabulate(record.name, g), part))


def test_phi_atoms_of_the_theory_are_the_ones_the_oracle_evaluates() -> None:
    with mp.workdps(40):
        assert abs(at_40_digits(phi(2, -sp.Symbol("h")), {"h": mp.mpf(1)})[0] - mp.e**-1) < mp.mpf(10) ** -38


def test_tables_on_several_grids_are_those_on_each() -> None:
    """Assert tabulate_all against tabulate on grids of two lengths, to sigma = 0, and where there is no table."""
    edm = schedule("edm")
    grids = [grid(edm, "karras", n, sigma_min=0.1, sigma_max=9.0, rho=rho) for n in (5, 6) for rho in (3, 7)]
    grids += [grid(edm, "karras", 5, sigma_min=0.1, sigma_max=9.0, zero=1), Grid.from_sigmas([3.0, 1.0])]
    for name in ("unipc-3", "pndm", "dpm-solver-3s", "deis-tab2"):
        *made, last = tabulate_all(name, grids)
        for table, on in zip(made, grids, strict=False):
            assert not isinstance(table, InputError)
            assert table.isclose(tabulate(name, on), rtol=1e-13, atol=1e-13)
        assert isinstance(last, InputError) == (METHODS[name].history > 0)


def test_a_table_of_a_file_is_that_of_its_grid_alone(tmp_path: Path) -> None:
    """Assert the table with the grid of its ends and without, a refusal of other ends, and of what is no grid."""
    edm = schedule("edm")
    here, there = (grid(edm, "karras", 5, sigma_min=0.1, sigma_max=most, rho=7) for most in (9.0, 8.0))
    table, file = tabulate("unipc-2", here), tmp_path / "mine.json"
    write_table(table, file)
    assert tabulate(str(file)) == tabulate(str(file), here) == table
    with pytest.raises(
        InputError, match=r"got 'a table that begins at alpha, sigma \(1\.0, 9\.0.*\(1\.0, 8\.0.* as the grid$"
    ):
        tabulate(str(file), there)
    with pytest.raises(InputError, match=r"^grid: got None; a grid, as sp\.grid"):
        tabulate("unipc-2")
