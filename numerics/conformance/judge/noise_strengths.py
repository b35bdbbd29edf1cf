"""Steps of DDIM's family whose noise differs from step to step, as consistency models take."""

from __future__ import annotations

import math

from ...denoisers import parts
from ...readback import Trace

NEAR = 1e-4  # of a row: consistency models keep a small share of the state, to be the identity without noise


def strengths(found: Trace) -> tuple[tuple[float, ...], float] | None:
    """(eta of every step, their largest error) where each step uses its own output and new noise only; None elsewhere,
    and where no step adds noise.

    Such a step is x_t = alpha_t x0hat + sqrt(sigma_t^2 - n^2) epshat + n z, n = eta sigma_t sqrt(1 - rho_t^2/rho_s^2)
    (Song et al. 2021, eq. 12 and 16); with n = sigma_t it does not use epshat. eta is 0 where it leads to sigma = 0.
    """
    steps = len(found.grid) - 1
    if found.step != tuple(range(steps + 1)) or found.evaluated != (True,) * steps + (False,):
        return None
    rows, result, worst = found.table, [], 0.0
    if not bool(rows.noises.any()):
        return None
    for n in range(steps):
        at, to = found.points[n], found.points[n + 1]
        kept, output, noise = ([*part[n].tolist(), 0.0] for part in (rows.states, rows.outputs, rows.noises))
        clean, noisy = parts(found.prediction, at)
        alpha = kept[0] * at.alpha + output[0] * clean
        sigma = math.hypot(kept[0] * at.sigma + output[0] * noisy, noise[0])
        older = max(abs(c) for c in (*kept[1:], *output[1:], *noise[1:]))
        worst = max(worst, max(abs(alpha - to.alpha), abs(sigma - to.sigma), older) / max(1.0, at.sigma))
        if not worst <= NEAR:
            return None
        whole = to.sigma * math.sqrt(max(1 - (to.sigma * at.alpha / (at.sigma * to.alpha)) ** 2, 0.0))
        result.append(noise[0] / whole if whole > 0 else 0.0)
    return tuple(result), worst
