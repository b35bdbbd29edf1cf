"""Published figures and tables on exactly known targets, and the same numbers by the routes of this project."""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp
import torch

from ...numerics.denoisers import Denoiser, adapt
from ...numerics.errors import InputError
from ...numerics.grids import Grid
from ...numerics.points import Point
from ...numerics.sample import sample
from ...numerics.tableau import tabulate
from ...theory.scheme import Scheme, prove_scheme
from .gaussian_runs import RK4, row

LIST = Path(__file__).resolve().parents[1] / "tables" / "published_figures.toml"
DATA = Path(__file__).resolve().parents[2] / "_build" / "figures"
ABSENT, NOT_FINITE = ".", "-"  # in a row of theirs
AS_CODED = "as coded"  # behind a scheme whose steps are those of the code, not those of the text
EPS = 2.0**-52
LEAST = 1e-12  # what stands for the number 0
Figure = dict[str, Any]


@cache
def published() -> dict[str, dict[str, Figure]]:
    """kind -> name -> what others printed, and where."""
    listed = tomllib.loads(LIST.read_text(encoding="utf-8"))
    return {kind: {figure["name"]: figure for figure in figures} for kind, figures in listed.items()}


def agrees(theirs: str, ours: float | None) -> bool | None:
    """Whether a number of ours is theirs to less than one in the last digit printed; None where they print none.

    That is, theirs is ours rounded or cut. A number that is not finite is printed as a dash; all digits of a double
    count to 64 eps.
    """
    if theirs == ABSENT:
        return None
    if theirs == NOT_FINITE or ours is None:
        return theirs == NOT_FINITE and ours is None
    return abs(ours - float(theirs)) < max(last_digit(theirs) or LEAST, 64 * EPS * abs(ours))


def last_digit(printed: str) -> float:
    """The value of one unit in the last digit printed: 0.01 for 4.78, 1e-5 for 6.7E-04, 0 for the number 0."""
    digits, _, power = printed.lower().partition("e")
    if not digits.strip("0."):
        return 0.0
    return float(10.0 ** (int(power or 0) - len(digits.partition(".")[2])))


def compared(figure: Figure, rows: dict[str, Any]) -> list[tuple[str, str, float | None]]:
    """Every number: (row, theirs, ours).  rows: ours, in lists as theirs or single numbers."""
    found = []
    for name, ours in rows.items():
        printed = figure["rows"][name.removesuffix(f" {AS_CODED}")].split()
        found += [(name, *both) for both in zip(printed, ours if isinstance(ours, list) else [ours], strict=True)]
    return found


# --- on Gaussian data


def variances_of(figure: Figure, folder: Path = DATA) -> tuple[torch.Tensor, torch.Tensor]:
    """The variances of the data, each once, and how often they occur, float64.

    Raises InputError where the file is missing, or is another one than its authors'.
    """
    path = folder / figure["file"]
    if not path.is_file():
        raise InputError("data", str(path), f"{figure['path']} of {figure['repository']} at {figure['commit']}")
    if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != figure["sha256"]:
        raise InputError("data", f"{path.name} with SHA-256 {found[:16]}", f"the one with {figure['sha256'][:16]}")
    once, counts = np.unique(np.load(path).astype(np.float64).clip(min=0), return_counts=True)
    return torch.from_numpy(once), torch.from_numpy(counts)


def gaussian_rows(figure: Figure, variances: torch.Tensor, counts: torch.Tensor) -> dict[str, list[float | None]]:
    """Every row of a table on Gaussian data, with the steps that its text has, and with those of the code.

    per_step: evaluations of a scheme in a step. The text states evaluations; where the code of a scheme with more than
    one takes as many points as that, its row differs, and stands a second time with these.
    """
    rows: dict[str, list[float | None]] = {}
    for name, printed in figure["rows"].items():
        scheme, last = name.split()
        per_step = figure.get("per_step", {}).get(scheme, 1)
        points = [count // per_step for count in figure["points"]]
        rows[name] = row(scheme, float(last), points, variances, counts)
        if per_step > 1 and not all(
            agrees(*both) in (True, None) for both in zip(printed.split(), rows[name], strict=True)
        ):
            rows[f"{name} {AS_CODED}"] = row(scheme, float(last), figure["points"], variances, counts)
    return rows


# --- samplers of diffusers on a model that is known


def _alphas(first: float) -> list[float]:
    """The products of 1 - beta, beta linear up to 0.02 at the last of 1,000 levels."""
    return [float(product) for product in np.cumprod(1 - np.linspace(first, 0.02, 1000))]


def _sigmas(indices: Iterable[int], first: float) -> list[float]:
    """sigma/alpha at levels."""
    products = _alphas(first)
    return [math.sqrt(1 / products[k] - 1) for k in indices]


def loop(method: str, prediction: str, levels: Sequence[int], first: float = 1e-4, zero: bool = True) -> float:
    """The mean of |x| after a run over these levels, from x = 0, 1/768, …, 767/768; zero: and to sigma = 0."""
    sigmas = _sigmas(levels, first)
    index = dict(zip(sigmas, levels, strict=True))

    def model(x: torch.Tensor, at: Point) -> torch.Tensor:
        k = index[min(index, key=lambda s: abs(s - at.sigma))]
        return x / math.sqrt(1 + at.sigma**2) * k / (k + 1)

    denoise: Denoiser = adapt(model, prediction)
    start = torch.arange(768, dtype=torch.float64)[:, None] / 768 * math.sqrt(1 + sigmas[0] ** 2)
    table = tabulate(method, Grid.from_sigmas([*sigmas, 0.0] if zero else sigmas))
    end = sample(denoise, start, table)
    return float(end.abs().mean()) / math.sqrt(1 + table.points[-1].sigma ** 2)


def _loops() -> dict[str, float]:
    leading = range(900, -1, -100)
    spread = [*[int(k) for k in np.linspace(0, 999, 11).round()][:0:-1], 0]
    return {
        "DDIM, noise": loop("ddim", "noise", leading),
        "DDIM, v": loop("ddim", "v", leading),
        "DDIM, noise, beta from 0.01": loop("ddim", "noise", leading, first=0.01),
        "DPM-Solver++(2M), noise": loop("dpm-solver++-2m", "noise", spread, zero=False),
        "DPM-Solver++(2M), v": loop("dpm-solver++-2m", "v", spread, zero=False),
    }


def variance(start: int, end: int) -> float:
    """The variance of the noise that DDPM adds between two levels, from its table, where variance is preserved."""
    products = _alphas(1e-4)
    table = tabulate("ddpm", Grid.from_sigmas(_sigmas((start, end), 1e-4)))
    return float(table.noises.square().sum() * products[end])


def _variances() -> dict[str, float]:
    pairs = ((999, 998), (487, 486), (420, 400), (980, 960))
    return {f"{start} to {end}": variance(start, end) for start, end in pairs}


# --- error norms of Runge-Kutta methods


def ssp_104() -> Scheme:
    """Ketcheson's SSP(10,4): ten stages, 1/6 each; those after the fifth start from 2/5 of the first five."""
    sixth, fifteenth, zero = sp.Rational(1, 6), sp.Rational(1, 15), sp.S.Zero
    a = tuple(tuple(zero if j >= i else fifteenth if i >= 5 and j < 5 else sixth for j in range(10)) for i in range(10))
    return Scheme("SSP(10,4)", tuple(map(sum, a)), a, (sp.Rational(1, 10),) * 10)


def error_norm(scheme: Scheme) -> float:
    """The root of the sum of squares of the defects of the next order over the symmetries of their trees."""
    squares = (sp.Rational(d.coefficient / d.tree.sigma) ** 2 for d in prove_scheme(scheme).leading_defects)
    return math.sqrt(sum(squares))


def _error_norms() -> dict[str, float]:
    one, other = error_norm(RK4), error_norm(ssp_104())
    return {"RK4": one, "SSP(10,4)": other, "work of SSP(10,4) over RK4": 10 / 4 * (other / one) ** (1 / 5)}


NUMBERS: dict[str, Callable[[], dict[str, float]]] = {
    "diffusers-loops": _loops,
    "diffusers-variances": _variances,
    "nodepy-error-norms": _error_norms,
}
