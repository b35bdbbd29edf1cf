"""Why a sampler's error is what it is: the signed contributions of its rows, on mixtures, where all of it is known.

The error of a sample is, to first order, the sum over rows of G_i delta_i: the defect of a row on the exact path,
passed on by the sampler's own recursion, G the last block row of (1 - S - O J)^-1, with J the Jacobian of the data
prediction.
`first_order` is |sum G_i delta_i|, `sizes` is sum |G_i delta_i|; their ratio, `left`, is what cancellation leaves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...numerics.advice.defects import data_rows, row_defects
from ...numerics.advice.recording import Recording, record
from ...numerics.grids import Grid, grid
from ...numerics.sample import sample
from ...numerics.schedules import schedule
from ...numerics.tableau import Tableau, tabulate
from ...numerics.targets.mixture import GaussianMixture

LEADERS = ("ipndm-3", "ipndm-4")
METHODS = (
    *LEADERS,
    "exp-adams-noise-3",
    "exp-adams-noise-4",
    "deis-tab2",
    "deis-tab3",
    "exp-adams-3",
    "dpm-solver++-2m",
)
SHORT_RUNS = (5, 8, 10)
GRIDS: dict[str, dict[str, float]] = {
    "uniform-lambda": {"t_min": 0.0292, "t_max": 14.615},
    "karras rho=3": {"sigma_min": 0.0292, "sigma_max": 14.615, "rho": 3.0},
    "karras rho=7": {"sigma_min": 0.0292, "sigma_max": 14.615, "rho": 7.0},
}
STARTS = 24
FINE = 200  # steps of the recordings
SEEDS = (0, 1, 2, 3)
KEYS = ("dim", "grid", "nfe", "start", "method")


class Parts(NamedTuple):
    """Root mean squares over samples: the error, its first order, the sizes of its parts, what is left."""

    measured: float
    first_order: float
    sizes: float
    left: float


def random_mixture(dim: int, seed: int) -> GaussianMixture:
    """Five components, their means and standard deviations random, the standard deviation of the whole about one."""
    generator = torch.Generator().manual_seed(1000 * dim + seed)
    means = torch.randn(5, dim, generator=generator, dtype=torch.float64)
    weights = torch.rand(5, generator=generator, dtype=torch.float64) + 0.2
    stds = 0.1 + 0.3 * torch.rand(5, generator=generator, dtype=torch.float64)
    return GaussianMixture((weights / weights.sum()).tolist(), means.tolist(), stds=stds.tolist())


def passed_on(mixture: GaussianMixture, table: Tableau, recording: Recording) -> tuple[Tensor, Tensor]:
    """G_i delta_i of every row [rows, R, d], and the defects themselves."""
    rows = data_rows(table)
    states, data = recording.at(table.points)
    count, samples, dim = states.shape
    # J[k, r]: derivatives of the data prediction at the vectors.
    unit = torch.eye(dim, dtype=torch.float64)
    jacobian = torch.stack(
        [
            torch.stack([mixture.tangent(x, axis.expand_as(x), at, "data")[1] for axis in unit], dim=-1)
            for x, at in zip(states, table.points, strict=True)
        ]
    )
    # The recursion as one triangular system a sample: [R, count d, count d].
    carry = torch.einsum("ik,ab->iakb", rows.states, unit).expand(samples, count, dim, count, dim)
    fed = torch.einsum("ik,krab->riakb", rows.outputs, jacobian)
    system = torch.eye(count * dim, dtype=torch.float64) - (carry + fed).reshape(samples, count * dim, count * dim)
    last = torch.zeros(count * dim, dim, dtype=torch.float64)
    last[-dim:] = unit
    gain = torch.linalg.solve(system.mT, last.expand(samples, -1, -1)).mT.reshape(samples, dim, count, dim)
    moved = row_defects(rows, states, data)
    return torch.einsum("raib,irb->ira", gain[:, :, rows.given :], moved), moved


def parts(mixture: GaussianMixture, table: Tableau, recording: Recording) -> Parts:
    """The decomposition of a sampler's error on recorded trajectories."""
    given = recording.at(table.points[: table.given])[0]
    off = sample(mixture, list(given), table) - recording.states[-1]
    passed, _ = passed_on(mixture, table, recording)
    total, sizes = passed.sum(0), passed.norm(dim=-1).sum(0)
    return Parts(_rms(off), _rms(total), math.sqrt(float(sizes.square().mean())), _rms(total) / _size(sizes))


def grids(steps: int) -> dict[str, Grid]:
    """The levels of the study, by name: those of Stable Diffusion's range, on EDM's schedule."""
    edm = schedule("edm")
    return {name: grid(edm, name.split()[0], steps, **numbers) for name, numbers in GRIDS.items()}


def signed_errors(dims: Sequence[int] = (1, 2), seeds: Sequence[int] = SEEDS) -> list[dict[str, Any]]:
    """Rows {"dim", "seed", "grid", "nfe", "start", "method"} with the Parts of each."""
    edm, found = schedule("edm"), []
    for dim in dims:
        for seed in seeds:
            mixture = random_mixture(dim, seed)
            generator = torch.Generator().manual_seed(seed)
            begin, end = edm.point(14.615), edm.point(0.0292)
            start = mixture.sample(STARTS, begin, generator)
            recording = record(mixture, edm, begin, end, start, FINE)
            for nfe in SHORT_RUNS:
                for name, way in grids(nfe).items():
                    for at in ("ramp", "exact"):
                        for method in METHODS:
                            of = parts(mixture, tabulate(method, way, at), recording)
                            row = {"dim": dim, "seed": seed, "grid": name, "nfe": nfe, "start": at, "method": method}
                            found.append({**row, **of._asdict()})
    return found


def averaged(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The geometric mean over mixtures of each of the Parts."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in KEYS), []).append(row)
    return [
        dict(zip(KEYS, key, strict=True))
        | {part: math.exp(math.fsum(math.log(row[part]) for row in of) / len(of)) for part in Parts._fields}
        for key, of in groups.items()
    ]


def _rms(off: Tensor) -> float:
    return math.sqrt(float(off.square().sum(-1).mean()))


def _size(sizes: Tensor) -> float:
    return math.sqrt(float(sizes.square().mean()))
