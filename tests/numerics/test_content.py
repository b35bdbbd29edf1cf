"""Records, schedules, grids and tableaux: what they print, when they are equal, and what their hashes are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from samplerproof.numerics.catalogue import METHODS, resolve
from samplerproof.numerics.content import digest
from samplerproof.numerics.errors import InputError
from samplerproof.numerics.grids import Grid, grid, li_grid
from samplerproof.numerics.schedules import schedule
from samplerproof.numerics.tableau import Tableau, tabulate
from samplerproof.numerics.text_table import aligned, described

VP = schedule("vp-linear")
GRID = grid(VP, "uniform-lambda", 6, t_min=1e-3, t_max=1.0)


def copied(tableau: Tableau, **changes: object) -> Tableau:
    """The same content in other tensors, with changes."""
    fresh = {name: getattr(tableau, name).clone() for name in ("states", "outputs", "noises")}
    return replace(tableau, **{**fresh, **changes})  # type: ignore[arg-type]


def moved(values: torch.Tensor, by: float) -> torch.Tensor:
    """The values with the first that is not zero multiplied by 1 + by."""
    values = values.clone()
    row, column = values.nonzero()[0].tolist()
    values[row, column] *= 1 + by
    return values


@pytest.mark.parametrize("name", ["ddim", "dpm-solver++-2m", "unipc-3", "sa-solver-2", "bdia-ddim", "seeds-2"])
def test_a_tableau_is_compared_by_content(name: str) -> None:
    """Assert that == sees one ulp, isclose only what exceeds its tolerance, and that equal tables have equal hashes."""
    tableau = tabulate(name, GRID)
    same = copied(tableau)
    assert tableau == same
    assert hash(tableau) == hash(same)
    assert len({tableau, same}) == 1
    assert tableau.isclose(same, rtol=0, atol=0)
    for part in ("states", "outputs", *(["noises"] if tableau.noises.any() else [])):
        off = copied(tableau, **{part: moved(getattr(tableau, part), 2.0**-52)})
        assert tableau != off
        assert hash(tableau) != hash(off)
        assert tableau.isclose(off)
        assert not tableau.isclose(copied(tableau, **{part: moved(getattr(tableau, part), 1e-6)}))


def test_a_tableau_is_another_one_at_another_point_or_prediction() -> None:
    """Assert that every field counts but the label, and that a label does not."""
    tableau = tabulate("dpm-solver++-2m", GRID)
    point = tableau.points[1]._replace(alpha=2.0)
    changes: dict[str, object] = {
        "prediction": "noise",
        "points": (tableau.points[0], point, *tableau.points[2:]),
        "step": tuple(n + 1 for n in tableau.step),
        "evaluated": tuple(not made for made in tableau.evaluated),
        "given": 2,
        "lost": frozenset({0}),
    }
    for field, value in changes.items():
        assert tableau != copied(tableau, **{field: value}), field
        assert not tableau.isclose(copied(tableau, **{field: value})), field
    assert tableau == copied(tableau, method="mine")
    assert hash(tableau) == hash(copied(tableau, method="mine"))


def test_comparison_is_symmetric_and_no_exception_leaves_it() -> None:
    """Assert that other types and other shapes are unequal, NaN is NaN, and minus zero is zero."""
    short, long = tabulate("ddim", GRID), tabulate("ddim", grid(VP, "uniform-lambda", 7, t_min=1e-3, t_max=1.0))
    assert short != long
    assert long != short
    assert not short.isclose(long)
    assert (short == "ddim") is False
    assert (short == 3) is False
    assert short != GRID
    assert not GRID.isclose(short)  # type: ignore[arg-type]
    one, other = li_grid(20, 2.0, 4.0), li_grid(20, 2.0, 4.0)  # without derivatives: NaN
    assert one == other
    assert hash(one) == hash(other)
    assert one.isclose(other)
    tableau = tabulate("dpm-solver++-2m", GRID)
    zeros = copied(tableau, outputs=torch.where(tableau.outputs == 0, -0.0, tableau.outputs))
    assert tableau == zeros
    assert hash(tableau) == hash(zeros)


def test_lags_of_zeros_do_not_matter_to_isclose() -> None:
    """Assert that a table with a lag more, all zeros, is close, and one with a coefficient there is not."""
    tableau = tabulate("ddim", GRID)
    wider = torch.nn.functional.pad(tableau.outputs, (0, 2))
    assert tableau.isclose(copied(tableau, outputs=wider))
    assert copied(tableau, outputs=wider).isclose(tableau)
    wider[3, 2] = 1e-3
    assert not tableau.isclose(copied(tableau, outputs=wider))
    assert not copied(tableau, outputs=wider).isclose(tableau)


def test_grids_and_schedules_are_compared_by_content() -> None:
    """Assert that a grid differs from one whose schedule or points differ, and a schedule by its parameters."""
    assert grid(VP, "uniform-lambda", 6, t_min=1e-3, t_max=1.0) == GRID
    assert hash(grid(schedule("vp-linear", beta_min=0.1), "uniform-lambda", 6, t_min=1e-3, t_max=1.0)) == hash(GRID)
    near = schedule("vp-linear", beta_min=0.1 + 1e-12)
    assert near != VP
    assert near.isclose(VP)
    assert not schedule("vp-linear", beta_min=0.2).isclose(VP)
    assert not schedule("cosine").isclose(VP)
    assert grid(near, "uniform-lambda", 6, t_min=1e-3, t_max=1.0) != GRID
    assert grid(near, "uniform-lambda", 6, t_min=1e-3, t_max=1.0).isclose(GRID, atol=1e-9)
    assert grid(VP, "uniform-lambda", 6, t_min=1.001e-3, t_max=1.0) != GRID
    assert not grid(VP, "uniform-lambda", 6, t_min=1.001e-3, t_max=1.0).isclose(GRID)
    assert resolve("unip-2") == resolve("dpm-solver++-2m")
    assert len({VP, schedule("vp-linear"), schedule("edm")}) == 2


def test_levels_make_a_grid_that_may_end_at_zero() -> None:
    """Assert that levels are kept as given, and levels that do not fall are refused by place and value."""
    levels = [80.0, 3.0, 0.25, 0.0]
    made = Grid.from_sigmas(levels)
    assert made == Grid.from_sigmas(torch.tensor(levels, dtype=torch.float64))
    assert [p.sigma for p in made.points] == levels
    assert {p.alpha for p in made.points} == {1.0}
    assert float(tabulate("dpm-solver++-2m", made).outputs[-1, 0]) == 1.0
    for bad, line in (
        ([1.0, 2.0], "sigmas[1]: got 2.0; a finite number >= 0, below the level before, 1.0"),
        ([1.0, 1.0], "sigmas[1]: got 1.0; a finite number >= 0, below the level before, 1.0"),
        ([1.0, -1.0], "sigmas[1]: got -1.0; a finite number >= 0, below the level before, 1.0"),
        ([float("inf"), 1.0], "sigmas[0]: got inf; a finite number >= 0, below the level before"),
        ([1.0, float("nan")], "sigmas[1]: got nan; a finite number >= 0, below the level before, 1.0"),
        ([1.0], "sigmas: got [1.0]; at least two levels"),
    ):
        with pytest.raises(InputError) as fault:
            Grid.from_sigmas(bad)
        assert str(fault.value) == line


def test_a_tableau_prints_as_a_table() -> None:
    """Assert that a row has its step, level and coefficients by lag, zeros are blank, and the middle is cut."""
    made = tabulate("dpm-solver++-2m", Grid.from_sigmas([10.0, 1.0, 0.1, 0.0]))
    assert str(made).splitlines() == [
        "dpm-solver++-2m: 3 steps, 3 evaluations, data prediction",
        "step  sigma  v[-1]  d[-1]  d[-2]",
        "   1      1    0.1    0.9",
        "   2    0.1    0.1   1.35  -0.45",
        "   3      0             1",
    ]
    assert repr(made) == "Tableau(dpm-solver++-2m: 3 steps, 3 evaluations, data prediction)"
    long = str(tabulate("sa-solver-2", grid(VP, "uniform-t", 1000, t_min=1e-3, t_max=1.0))).splitlines()
    assert len(long) == 2 + 5 + 1 + 3
    assert long[1].split() == ["step", "lambda", "v[-1]", "d[-1]", "d[-2]", "z[0]"]
    assert long[7].split() == ["..."]
    assert long[-1].split()[0] == "1000"


def test_a_grid_and_a_schedule_print_their_numbers() -> None:
    """Assert that a grid prints a line a point below its ends, and a schedule its parameters and start law."""
    lines = str(GRID).splitlines()
    assert lines[0] == "6 steps, vp-linear, lambda -5.02498 to 4.55771"
    assert lines[1].split() == ["n", "t", "alpha", "sigma", "lambda"]
    assert len(lines) == 2 + 7
    assert repr(GRID) == "Grid(6 steps, vp-linear, lambda -5.02498 to 4.55771)"
    assert repr(li_grid(20, 2.0, 4.0)).startswith("Grid(20 steps, discrete process, lambda ")
    assert str(VP).splitlines() == [
        "vp-linear",
        "  parameters  beta_min = 0.1, beta_max = 20",
        "  times       0 <= t",
        "  start law   N(0, 1)",
    ]
    assert repr(schedule("edm")) == "schedule('edm')"
    assert "N(0, sigma^2)" in str(schedule("edm"))


@pytest.mark.parametrize("name", METHODS)
def test_a_record_prints_its_rows(name: str) -> None:
    """Assert that a record prints a line for each row, and its repr is its name."""
    record = METHODS[name]
    lines = str(record).splitlines()
    assert lines[0] == name
    assert len([line for line in lines if " = z[n]" in line or " = c" in line]) == len(record.rows)
    assert all(f"  {row.weights}(" in str(record) for row in record.rows)
    assert repr(record) == f"Record({name!r})"


def test_text_is_aligned() -> None:
    """Assert that columns line up, right or left, and facts of several lines stay below each other."""
    assert aligned(("a", "bb"), [["1", "x"], ["23", "y"]]) == " a  bb\n 1   x\n23   y"
    assert aligned(("a", "bb"), [["1", "x"], ["23", "y"]], left=1) == "a   bb\n1    x\n23   y"
    assert described("t", [("one", "1\n2"), ("three", "3")]) == "t\n  one    1\n         2\n  three  3"


def test_a_digest_is_of_the_content_alone() -> None:
    """Assert that neither the order of a mapping nor the label of a table changes it, and that one coefficient does."""
    table = tabulate("ddim", Grid.from_sigmas([2.0, 1.0, 0.5]))
    assert digest({"a": 1.0, "b": table}) == digest({"b": replace(table, method="x"), "a": 1.0})
    assert digest(table) != digest(replace(table, states=table.states * (1 + 1e-15)))
