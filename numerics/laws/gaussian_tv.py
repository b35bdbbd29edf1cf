"""Total variation between two Gaussians: the law of a quadratic form, without Monte Carlo and without cancellation.

In one dimension the densities cross at the roots of a quadratic, and TV is a sum of error functions. In d > 1 the log
density ratio l = log p - log q is a quadratic form in a Gaussian with M(z) = E_p e^{zl} in closed form, and

    TV = E_p (1 - e^{-l})_+ = 1/(2 pi i) int_{Re z = c > 0} M(z) / (z (z + 1)) dz

(Gil-Pelaez for P_p(l > 0) - P_q(l > 0), on one line since E_q e^{zl} = M(z - 1)). With c at the minimum of the
integrand on the real axis, its values near c have the size of TV, so that a TV of 1e-12 has as many digits as one of
0.1 (Rice 1980 for tail probabilities). Bending the line makes the integrand decay.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from .gaussian import Gaussian, standardised

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]
ABSCISSAE, SHARES = np.polynomial.legendre.leggauss(24)
BENDS = (-0.6, 0.0, 0.6)  # slopes of the line at its ends: 31 degrees to the left or the right
NEGLIGIBLE = 38.0  # e^-38 is below the precision of float64
SETTLED = 1e-12
MOST_NODES = 1 << 17


def tv(target: Gaussian, law: Gaussian) -> float:
    """Total variation, half the integral of |p - q|; 1 where the law is singular.

    With exact means and covariances good to 1e-10 relatively, down to 1e-12 (tests/numerics/test_gaussian.py).
    Raises InputError as gaussian.standardised.
    """
    shift, excess = (part.numpy() for part in standardised(target, law))
    if not shift.any() and not excess.any():
        return 0.0
    if excess.min() == -1 or _log_affinity(shift, excess) < -NEGLIGIBLE:
        return 1.0
    if len(shift) == 1:
        return _on_the_line(float(shift[0]), float(excess[0]))
    return _in_space(shift, excess)


def _log_affinity(b: Array, e: Array) -> float:
    """log of the integral of sqrt(p q), which is no less than 1 - TV."""
    apart = np.minimum(np.abs(b), 1e100) ** 2 / (4 * (2 + e))
    return float((np.log1p(e) / 4 - np.log1p(e / 2) / 2 - apart).sum())


def _on_the_line(b: float, e: float) -> float:
    """N(0, 1) against N(b, 1 + e): the densities cross where e x^2 + 2 b x = b^2 + (1 + e) log(1 + e)."""
    std = math.sqrt(1 + e)

    def gap(x: float) -> float:
        """|F_q - F_p| at x: F_q(x) = Phi((x - b) / std) lies a small step from Phi(x)."""
        return abs(_mass(x, -(b + e * x / (1 + std)) / std))

    if e == 0:
        return gap(b / 2)
    q = -(b + math.copysign(std * math.sqrt(b * b + e * math.log1p(e)), b))
    return min(1.0, gap(q / e) + gap(-(b * b + (1 + e) * math.log1p(e)) / q))


def _mass(x: float, width: float) -> float:
    """Phi(x + width) - Phi(x), to full relative accuracy also where the width is tiny."""
    if abs(width) < 1:
        inside = x + width * (ABSCISSAE + 1) / 2
        return float(width / 2 * (SHARES @ np.exp(-inside * inside / 2))) / math.sqrt(2 * math.pi)
    sign = -1.0 if x > 0 else 1.0
    return sign * float(ndtr(sign * (x + width)) - ndtr(sign * x))


def _in_space(b: Array, e: Array) -> float:
    """The contour integral, by the trapezoid rule in u of z = c + k (i sinh u + bend (cosh u - 1))."""
    middle, scale = _saddle(b, e)
    log_integrand = _log_integrand(b, e)

    def values(u: Array, bend: float) -> Array:
        z = middle + scale * (1j * np.sinh(u) + bend * (np.cosh(u) - 1))
        slope = scale * (1j * np.cosh(u) + bend * np.sinh(u))
        inside: Array = np.imag(np.exp(log_integrand(z)) * slope)
        return inside

    reach, bend = min(_reach(log_integrand, middle, scale, bend) for bend in BENDS)
    nodes = 128
    step = reach / nodes
    ends = values(np.array([0.0, reach]), bend)
    total = (ends.sum() / 2 + values(step * np.arange(1.0, nodes), bend).sum()) * step
    while nodes < MOST_NODES:
        between = values(step * np.arange(0.5, nodes), bend).sum() * step
        total, before = (total + between) / 2, total
        nodes, step = 2 * nodes, step / 2
        if abs(total - before) <= SETTLED * abs(total):
            return min(1.0, float(total) / math.pi)
    raise ArithmeticError(f"the total variation of two Gaussians did not settle: {before / math.pi}, {total / math.pi}")


def _log_integrand(b: Array, e: Array) -> Callable[[Complex], Complex]:
    """log M(z) - log z - log(z + 1); on an axis M is exp(z (bc + w)/2 + (zc)^2/(2 (1 + zg))) / (1 + zg)^{1/2}.

    w = log(1 + e), g = e/(1 + e), c = b/(1 + e): l = (b c + w - 2 c x - g x^2)/2 for x ~ N(0, 1).
    """
    w, g, c = np.log1p(e), e / (1 + e), b / (1 + e)
    linear = float((b * c + w).sum()) / 2

    def value(z: Complex) -> Complex:
        total = z * linear - np.log(z) - np.log(z + 1)
        for gain, slope in zip(g, c, strict=True):
            under = 1 + z * gain
            total = total - np.log(under) / 2 + (z * slope) ** 2 / (2 * under)
        return total

    return value


def _saddle(b: Array, e: Array) -> tuple[float, float]:
    """The minimum of the integrand on the real axis, and its width there.

    The logarithm of the integrand is convex between 0 and the first singularity of M: the minimum is the root of its
    slope, found by bisection.
    """
    w, g, c = np.log1p(e), e / (1 + e), b / (1 + e)
    end = float(1 / -g.min()) if g.min() < 0 else math.inf

    def slope(z: float) -> float:
        under = 1 + z * g
        own = (b * c + w - g / under + c * c * z * (1 + under) / under**2).sum() / 2
        return float(own) - 1 / z - 1 / (z + 1)

    def place(s: float) -> float:
        """z at the parameter s: e^s, or mapped to (0, end) if M has a singularity."""
        return math.exp(s) if math.isinf(end) else end / (1 + math.exp(-s))

    low, high = -80.0, 80.0
    for _ in range(60):
        s = (low + high) / 2
        z = place(s)
        under = 1 + z * g.min() > 0 and slope(z) < 0
        low, high = (s, high) if under else (low, s)
    z = place(low)
    near, far = place(low - 1e-3), place(low + 1e-3)
    return z, math.sqrt((far - near) / (slope(far) - slope(near)))


def _reach(
    log_integrand: Callable[[Complex], Complex], middle: float, scale: float, bend: float
) -> tuple[float, float]:
    """(u beyond which the integrand is negligible, bend); u is inf where the integrand grows along the line."""
    u = np.linspace(0, 48, 385)
    z = middle + scale * (1j * np.sinh(u) + bend * (np.cosh(u) - 1))
    height = np.real(log_integrand(z)) + np.log(np.cosh(u))
    if not np.isfinite(height).all() or height.max() > height[0] + 1:
        return math.inf, bend
    counts = height > height[0] - NEGLIGIBLE
    return float(u[min(int(counts.nonzero()[0][-1]) + 1, len(u) - 1)]), bend
