"""EDICT: two coupled chains of DDIM, each stepped with the other's output, and mixed; inverted exactly."""

from __future__ import annotations

import torch

from ..errors import InputError, number, of_type
from ..grids import Grid
from ..tableau import Tableau


def edict(grid: Grid, p: float = 0.93) -> Tableau:
    """The table of EDICT on a grid: two given vectors, both the start, and four rows a step, of 2 N evaluations.

    With DDIM's step x' = a x + b eps, a = alpha'/alpha and b = sigma' - a sigma, from the noisier level s:

        u <- a u + b eps(v, s),  v <- a v + b eps(u, s),  then u <- p u + (1 - p) v,  v <- (1 - p) u + p v;

    u and v swap their roles in the two steps, not in the mixing, after every step. The second output is made at the new
    u but at the old level.  Raises InputError unless 0 < p <= 1 (at p = 0 the mixing has no inverse), and where the
    grid starts at alpha = 0.  Wallace et al. 2023.

    >>> import samplerproof as sp
    >>> table = sp.techniques.edict(sp.Grid.from_sigmas([3.0, 1.0, 0.3]))
    >>> table.nfe, table.given
    (4, 2)
    """
    of_type("grid", grid, Grid, "a grid, as sp.grid or sp.Grid.from_sigmas makes it")
    number("p", p, "a number in (0, 1]")
    if not 0 < p <= 1:
        raise InputError("p", p, "a number in (0, 1]: at p = 0 the mixing has no inverse")
    if grid.points[0].alpha == 0:
        raise InputError("grid", "alpha = 0 at its start", "a start where alpha is not 0")
    states, outputs = torch.zeros(2, 4 * grid.steps, 4, dtype=torch.float64)
    points, step = [grid.points[0]] * 2, [0, 0]
    for n, (old, new) in enumerate(zip(grid.points, grid.points[1:], strict=False)):
        a = new.alpha / old.alpha
        b = new.sigma - a * old.sigma
        # Vectors of a step: 0 and 1 are u and v before it, 2 and 3 the two stepped, 4 and 5 u and v mixed.
        first, second = (0, 1) if n % 2 == 0 else (1, 0)  # the chain that is stepped first, with the other's output
        stepped = {first: 2, second: 3}
        lines = [
            ({first: a}, {second: b}),
            ({second: a}, {2: b}),
            ({stepped[0]: p, stepped[1]: 1 - p}, {}),
            ({4: 1 - p, stepped[1]: p}, {}),
        ]
        for k, (carried, read) in enumerate(lines):
            for into, of in ((states, carried), (outputs, read)):
                for j, c in of.items():
                    lag = 1 + k - j  # of vector j behind vector 2 + k, counted from 0
                    into[4 * n + k, lag] = c
        points += [old, old, new, new]
        step += [n + 1] * 4
    return Tableau(
        method=f"edict?p={p:g}",
        prediction="noise",
        points=tuple(points),
        step=tuple(step),
        evaluated=tuple(_read(outputs, len(points))),
        given=2,
        states=states,
        outputs=outputs,
        noises=torch.zeros(4 * grid.steps, 0, dtype=torch.float64),
    )


def _read(outputs: torch.Tensor, count: int) -> list[bool]:
    """For every vector whether a row reads its output; given two."""
    read = {2 + row - 1 - lag for row, lag in outputs.nonzero().tolist()}
    return [i in read for i in range(count)]
