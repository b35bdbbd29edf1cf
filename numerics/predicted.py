"""Errors predicted before a run, without a fitted parameter: the leading term of e(N) ~ C / N^p in one dimension.

A step of size h makes the local error h^{p+1} delta(z, u), a polynomial in the derivatives of G that the order proof
gives (generated/defects.py). Along the exact flow it is carried to the end by dz_N/dz_n, so that on a grid with
u_n = u(n/N) the error is N^-p times the integral over i in [0, 1] of (du/di)^{p+1} delta dz_N/dz(i). Every step has
the method's full order if start values are exact; with a start-up of order q its first step adds one local error of
order q + 1, at the same rate if q + 1 = p and alone at a slower one if q + 1 < p.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from . import jets
from .catalogue import METHODS, resolve
from .errors import InputError
from .generated.defects import DEFECTS
from .generated.frames import FRAMES
from .grids import spacing
from .jets import Jet
from .metrics import nodes
from .records import Frame, Record
from .schedules import Columns, Schedule
from .targets.flow import exact_flow
from .targets.mixture import GaussianMixture


@dataclass(frozen=True)
class Prediction:
    """error(N) ~ constant / N^order, for total variation and for the root mean square trajectory error."""

    order: int
    tv: float
    trajectory: float


def predict(
    name: str,
    mixture: GaussianMixture,
    schedule: Schedule,
    kind: str,
    /,
    *,
    start: str = "exact",
    points: int = 2001,
    quadrature: int = 96,
    **parameters: float,
) -> Prediction:
    """The leading errors of a method on a kind of grid (see grids.spacing).

    mixture: one-dimensional.  start: "exact" start values or the record's "ramp".  points: nodes of the start law;
    quadrature: Gauss-Legendre nodes along the path.  Raises InputError in d > 1, for methods whose defects assume
    equal steps or live in the velocity frame, and for a ramp in another frame or of predictor-correctors.
    """
    record = resolve(name)
    if mixture.dim != 1:
        raise InputError("target", f"d = {mixture.dim}", "errors are predicted in one dimension")
    if record.name not in DEFECTS:
        raise InputError("method", name, f"no prediction; one of {', '.join(DEFECTS)}")
    starts = _starts(record) if start == "ramp" else []
    if any(first.frame != record.frame or first.kind == "predictor-corrector" for first in starts):
        raise InputError("method", name, "no prediction with its ramp, which is in another frame or corrected")
    frame, path = FRAMES[record.frame], spacing(schedule, kind, **parameters)
    order = record.order if start == "exact" else record.order_asymptotic
    source, end = (schedule.point(float(path(torch.tensor([v], dtype=torch.float64)))) for v in (0.0, 1.0))
    x = nodes((mixture, source), points)

    def local_error(method: str, q: int, i: float) -> Tensor:
        """(du/di)^{q+1} delta of a method of order q at the fraction i, carried back to the start sample: [n, 1]."""
        c, speed = _at(schedule, path, frame, i)
        here, slope = exact_flow(mixture, x, source, c.points()[0])
        m = torch.as_tensor(frame.functions(c.alpha, c.sigma)[0])
        derivatives = partial_derivatives(mixture, frame, here / m, getattr(c, frame.clock), q)
        return speed ** (q + 1) * DEFECTS[method](derivatives, c.alpha) * m / slope

    total = torch.zeros_like(x)
    if order == record.order:
        fractions, weights = np.polynomial.legendre.leggauss(quadrature)
        for i, weight in zip((fractions + 1) / 2, weights / 2, strict=True):
            total += float(weight) * local_error(record.name, order, float(i))
    for first in starts:
        if first.order + 1 == order:
            total += local_error(first.name, first.order, 0.0)
    if record.kind == "predictor-corrector":  # its last step is only predicted
        total += local_error(f"{record.name}-predictor", order - 1, 1.0)
    y, slope = exact_flow(mixture, x, source, end)
    error = total * slope

    density = mixture.log_density(x, source).exp()
    moved = error[:, 0] * mixture.log_density(y, end).exp()  # p_Y - p = -(error p)'
    return Prediction(
        order=order,
        tv=_variation(moved) / 2,
        trajectory=float(torch.trapezoid(error[:, 0].square() * density, x[:, 0]).sqrt()),
    )


def _variation(f: Tensor) -> float:
    """Total variation of a function that vanishes at both ends, from equidistant values, its extremes by parabolas."""
    rises = f.diff()
    at = torch.nonzero(rises[:-1] * rises[1:] < 0)[:, 0] + 1
    before, here, after = f[at - 1], f[at], f[at + 1]
    tops = here - (after - before).square() / (8 * (after - 2 * here + before))
    ends = f.new_zeros(1)
    return float(torch.cat([ends, tops, ends]).diff().abs().sum())


def _starts(record: Record) -> list[Record]:
    """The start-up methods of a record, the first step's last."""
    found = []
    while record.start is not None:
        record = METHODS[record.start]
        found.append(record)
    return found


def _at(schedule: Schedule, path: Callable[[Tensor], Tensor], frame: Frame, i: float) -> tuple[Columns, float]:
    """The columns at a fraction of the way, and du/di there."""
    fraction = torch.tensor([i], dtype=torch.float64, requires_grad=True)
    columns = schedule.columns(path(fraction))
    (speed,) = torch.autograd.grad(getattr(columns, frame.clock).sum(), fraction, retain_graph=True)
    detached = Columns(*(getattr(columns, f).detach() for f in Columns.__dataclass_fields__))
    return detached, float(speed)


def partial_derivatives(mixture: GaussianMixture, frame: Frame, z: Tensor, u: Tensor, degree: int) -> dict[str, Tensor]:
    """Derivatives of G in dz/du = G(z, u), up to a total degree, at z [n, 1] and u [1].

    With y = x/alpha and w = rho^2 every G is made of the score of x0 + rho eps: data e^u (y + w score) at
    y = e^{-u} z, w = e^{-2u}; noise e^{-2u} score; noise in rho -u score; variance -score/2.
    """
    zj, uj = jets.variables(z[:, 0], u.expand(len(z)))

    def times(a: Jet, b: Jet) -> Jet:
        return jets.multiply(a, b, degree)

    if frame.name in ("data", "noise"):
        w = jets.exp(jets.scale(uj, -2.0), degree)
        if frame.name == "noise":
            g = times(w, score_jet(mixture, zj, w, degree))
        else:
            y = times(zj, jets.exp(jets.scale(uj, -1.0), degree))
            posterior = jets.add(y, times(w, score_jet(mixture, y, w, degree)))
            g = times(jets.exp(uj, degree), posterior)
    elif frame.name == "noise-rho":
        g = jets.scale(times(uj, score_jet(mixture, zj, times(uj, uj), degree)), -1.0)
    else:
        g = jets.scale(score_jet(mixture, zj, uj, degree), -0.5)
    return {place: value[:, None] for place, value in jets.partials(g, degree).items()}


def score_jet(mixture: GaussianMixture, y: Jet, w: Jet, degree: int) -> Jet:
    """The score of x0 + sqrt(w) eps: -sum_k r_k (y - mu_k)/(s_k^2 + w), r_k by a softmax of log densities."""
    parts: list[tuple[Jet, Jet]] = []
    for weight, mean, variance in zip(mixture.weights, mixture.means[:, 0], mixture.variances[:, 0], strict=True):
        spread, away = jets.shift(w, variance), jets.shift(y, -mean)
        scaled = jets.multiply(away, jets.inverse(spread, degree), degree)
        quadratic = jets.scale(jets.multiply(away, scaled, degree), -0.5)
        logit = jets.shift(jets.add(quadratic, jets.scale(jets.log(spread, degree), -0.5)), weight.log())
        parts.append((logit, scaled))
    top = torch.stack([logit[0, 0] for logit, _ in parts]).amax(dim=0)
    masses = [jets.exp(jets.shift(logit, -top), degree) for logit, _ in parts]
    pulls = [jets.multiply(mass, scaled, degree) for mass, (_, scaled) in zip(masses, parts, strict=True)]
    share = jets.inverse(jets.add(*masses), degree)
    return jets.scale(jets.multiply(jets.add(*pulls), share, degree), -1.0)
