"""The error of one run without a reference: a second table on the same outputs, and its difference at the end.

The second row of every step integrates the polynomials through all outputs of the run, later ones too, where the row of
the sampler had the earlier ones only. The difference of the two is a defect that needs no evaluation, and is carried to
the end as defects of a recording are (advice/carry.py), with the slope of a Gaussian law:

    e_i = sum_k S[i, k] e_k + sum_k O[i, k] J_k e_k + (S X + O - X) D,    X D = alpha int e^{mu - lambda} D(mu) dmu.

So the error at the end is one combination sum_k c_k D_k of the outputs, with sum c_k = 0. Where trajectories of the
model are recorded, their errors are known, and c is fitted to them: at few evaluations the polynomials are far from the
outputs, and the slope is not that of a Gaussian law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from .advice.carry import carry, slopes
from .advice.defects import data_rows
from .advice.recording import Recording, near_polynomials
from .content import digest
from .denoisers import Denoiser, convert
from .errors import InputError
from .points import Point
from .tableau import Tableau

NODES = 4  # outputs that a polynomial goes through
RIDGE = 1e-2  # of the fit, relative to the mean square of each difference of outputs
FLOOR = 0.1  # of the median of |e|^2, added to that of every trajectory: below it errors count less, as they are
FOLDS = 8
LEAST = 4  # trajectories
ABSCISSAE, SHARES = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True, eq=False)
class ErrorBar:
    """A second last row of one table, fitted to recorded trajectories: the error is sum_k c_k (D_{k+1} - D_k).

    table: the digest of the table.  weights: c of the differences of successive outputs.  factor: of the size of the
    sum, by which it is the size of the error: the median over the recorded trajectories, each left out of its own fit.
    within: the share of these on which the answer is right within a factor 1.5.
    """

    table: str
    weights: Tensor
    factor: float
    within: float


class Outputs:
    """A denoiser that keeps the data predictions it makes, on the CPU in float64."""

    def __init__(self, denoise: Denoiser) -> None:
        self.denoise, self.data = denoise, list[Tensor]()

    def __call__(self, x: Tensor, at: Point, prediction: str) -> Tensor:
        value = self.denoise(x, at, prediction)
        self.data.append(convert(x, value, at, prediction, "data").to("cpu", torch.float64, copy=True))
        return value


def check_embedded(table: Tableau, bar: object) -> None:
    """Raise InputError unless a table has an embedded one: no noise, three outputs; and unless a bar is its own."""
    rows = data_rows(table)  # which refuses noise and several outputs at a vector
    count = len({at.lam for at, asked in zip(table.points, table.evaluated, strict=True) if asked})
    if count < 3:
        raise InputError("error", f"{count} levels", f"at least 3 at which {table.method} asks the model")
    if not all(math.isfinite(at.lam) for at in rows.points):
        raise InputError("error", table.method, "a table between levels of finite lambda")
    if isinstance(bar, ErrorBar):
        if bar.table != digest(table):
            raise InputError("error", "the bar of another table", f"that of this one: calibrated(…, {table.method})")
    elif not isinstance(bar, bool):
        raise InputError("error", bar, "True, or what samplerproof.numerics.error_bars.calibrated returns")


def error_of(table: Tableau, data: list[Tensor], end: Tensor, bar: ErrorBar | bool) -> Tensor:
    """The size of the error of every sample [R], a root mean square over its numbers; data: the outputs of the run."""
    outputs = torch.stack(data).flatten(2)
    if isinstance(bar, ErrorBar):
        off = bar.factor * torch.einsum("k,krd->rd", bar.weights, outputs.diff(dim=0))
    else:
        off = embedded_difference(table, outputs)
    size: Tensor = off.norm(dim=1) / math.sqrt(off.shape[1])
    return size.to(end.device)


def embedded_difference(table: Tableau, outputs: Tensor) -> Tensor:
    """The difference from the second table at the end [R, d], with the slope of each sample's last output."""
    rows = data_rows(table)
    asked = [i for i in range(len(rows.points)) if table.evaluated[i]]
    by_level = {rows.points[i].lam: n for n, i in enumerate(asked)}  # the last one at a level
    nodes = torch.tensor(sorted(by_level), dtype=torch.float64)
    lam, alpha = (
        torch.tensor([getattr(at, name) for at in rows.points], dtype=torch.float64) for name in ("lam", "alpha")
    )
    count = min(NODES, len(nodes))
    there = near_polynomials(nodes, lam, count)[0]
    moved = (rows.states @ _integrals(nodes, lam, alpha, count) + rows.outputs @ there)[rows.given :]
    moved = moved - _integrals(nodes, lam, alpha, count)[rows.given :]
    data = outputs[[by_level[float(node)] for node in nodes]]
    std = outputs[-1].square().mean(dim=1).sqrt()
    derivatives = [partial(torch.mul, slopes(at, std)[:, None]) for at in rows.points]
    return carry(rows, torch.einsum("ik,krd->ird", moved, data), derivatives)


def _integrals(nodes: Tensor, lam: Tensor, alpha: Tensor, count: int) -> Tensor:
    """X: alpha int_{lam_0}^{lam_i} e^{mu - lam_i} L_k(mu) dmu of the polynomials of every node, [points, nodes]."""
    cuts = torch.unique(torch.cat([lam, nodes]))
    sums = [torch.zeros(len(nodes), dtype=torch.float64)]
    for a, b in pairwise(cuts):
        mu = (a + b) / 2 + (b - a) / 2 * torch.from_numpy(ABSCISSAE)
        share = torch.from_numpy(SHARES) * (b - a) / 2 * torch.exp(mu - b)
        sums.append(torch.exp(a - b) * sums[-1] + share @ near_polynomials(nodes, mu, count)[0])
    return torch.stack(sums)[torch.searchsorted(cuts, lam)] * alpha[:, None]


def calibrated(denoise: Denoiser, table: Tableau, recording: Recording) -> ErrorBar:
    """The error bar of a table on a model, from recorded trajectories: as many runs of the table, and a fit.

        sum_r |sum_k c_k (D_{k+1} - D_k)_r - e_r|^2 / (|e_r|^2 + FLOOR median |e|^2) + RIDGE sum_k s_k^2 c_k^2 -> min,

    s_k^2 the weighted sum of squares of the differences k.  Sixteen trajectories are enough where samples have few
    numbers, four where they are pictures.  Raises InputError on a table with noise, or other ends than the recording,
    and on fewer than LEAST trajectories.

    >>> import torch
    >>> import samplerproof as sp
    >>> from samplerproof.numerics.advice.recording import record
    >>> from samplerproof.numerics.error_bars import calibrated
    >>> mixture, edm = sp.GaussianMixture([0.35, 0.65], [-1.2, 0.9], stds=[0.5, 0.35]), sp.schedule("edm")
    >>> start = 8 * torch.randn(48, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> recording = record(mixture, edm, edm.point(8.0), edm.point(0.1), start[:32])
    >>> table = sp.tabulate("dpm-solver++-2m", sp.grid(edm, "karras", 10, sigma_min=0.1, sigma_max=8.0))
    >>> bar = calibrated(mixture, table, recording)
    >>> y, error = sp.sample(mixture, start[32:], table, error=bar)
    >>> y.shape, error.shape
    (torch.Size([16, 1]), torch.Size([16]))
    """
    from .sample import sample

    check_embedded(table, True)
    ends = [[table.points[n].lam, recording.points[n].lam] for n in (0, -1)]
    if table.given != 1 or not all(math.isclose(a, b, abs_tol=1e-6) for a, b in ends):
        raise InputError("table: lambda of its ends", [a for a, _ in ends], f"{[b for _, b in ends]}, as recorded")
    count = recording.states.shape[1]
    if count < LEAST:
        raise InputError("recording", f"{count} trajectories", f"at least {LEAST}")
    kept = Outputs(denoise)
    off = (sample(kept, recording.states[0], table) - recording.states[-1]).flatten(1)
    changes = torch.stack(kept.data).flatten(2).diff(dim=0)
    squares = off.square().sum(dim=1)
    share = 1 / (squares + FLOOR * squares.median())
    share = share / share.sum()
    predicted, fold = torch.empty_like(off), torch.arange(count) % min(count, FOLDS)
    for n in range(int(fold.max()) + 1):
        others = fold != n
        weights = _fitted(changes[:, others], off[others], share[others])
        predicted[~others] = torch.einsum("k,krd->rd", weights, changes[:, ~others])
    ratio = (off.norm(dim=1) / predicted.norm(dim=1)).log()
    within = float(((ratio - ratio.median()).abs() <= math.log(1.5)).double().mean())
    return ErrorBar(digest(table), _fitted(changes, off, share), math.exp(float(ratio.median())), within)


def _fitted(changes: Tensor, off: Tensor, share: Tensor) -> Tensor:
    """The weights [k] of the least squares of `calibrated`; changes [k, R, d], off [R, d], share [R]."""
    normal = torch.einsum("krd,lrd,r->kl", changes, changes, share)
    right = torch.einsum("krd,rd,r->k", changes, off, share)
    size = normal.diagonal().clamp(min=1e-300).rsqrt()
    scaled = normal * size[:, None] * size + RIDGE * torch.eye(len(size), dtype=torch.float64)
    found: Tensor = torch.linalg.solve(scaled, right * size) * size
    return found
