"""The grid whose variational bound is least for Gaussian data."""

from __future__ import annotations

import math
from fractions import Fraction

from .grid_kind import RATIO, SIGMA_MAX, SIGMA_MIN, SIGMAS, GridKind, Levels, Values, positive, spaced, zero


def _elbo(steps: int, v: Values) -> Levels:
    low, high = v["sigma_min"], v["sigma_max"]
    first, last = (math.log1p((v["std"] / sigma) ** 2) for sigma in (high, low))

    def level(i: float) -> float:
        if i in (0, 1):
            return float(low if i else high)
        return float(v["std"] / math.sqrt(math.expm1(first + i * (last - first))))

    return Levels(RATIO, spaced(level, steps, v["zero"]))


ELBO_KINDS = (
    GridKind(
        "elbo",
        r"$\log(1 + s^2/\sigma^2)$ for data of standard deviation s = `std`, equally spaced: among all grids between "
        "the same ends it has the least variational bound, for every N, if the data are Gaussian (theorem "
        "`elbo-gaussian-grid`).",
        r"\log\Bigl(1 + \frac{s^2}{\sigma_n^2}\Bigr) = "
        r"\Bigl(1 - \frac nN\Bigr) \log\Bigl(1 + \frac{s^2}{\sigma_{\max}^2}\Bigr) + "
        r"\frac nN \log\Bigl(1 + \frac{s^2}{\sigma_{\min}^2}\Bigr)",
        (SIGMA_MIN, SIGMA_MAX, positive("std", Fraction(1, 2)), zero(0)),
        SIGMAS,
        _elbo,
        cite="watson2021efficiently",
        source="the bound of the paper; its minimum for Gaussian data is derived here",
    ),
)
