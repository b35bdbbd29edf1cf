"""The leading error of the law of a sampler with noise on a Gaussian, from the proof of its order: nothing is fitted.

One step from the exact law p is off in its density by -h^{q+1} (F p)' (theory/order_in_law.py), so in its variance by
2 h^{q+1} E[(y - m) F], y = x/sigma. The reverse SDE carries that to the end by the square of

    K = e^{-tau^2 l} ((1/s^2 + e^{2 lambda_N})/(1/s^2 + e^{2 lambda}))^{(1 + tau^2)/2},    l = lambda_N - lambda,

for a target of standard deviation s. Over N equal steps in lambda the sum is an integral.
"""

from __future__ import annotations

import math

import numpy as np
import sympy as sp

from ...theory.method import settled
from ...theory.methods import find
from ...theory.notation import ALPHA_TAYLOR, mean, spread, y
from ...theory.order_in_law import prove_law_order

NODES = 400  # of Gauss and Legendre's rule: the integrand is analytic


def has_leading_law(name: str) -> bool:
    """Whether the leading error of the law is known: a sampler with noise of one strength whose steps need no past."""
    method = settled(find(name))
    with_noise = method.strength.is_number and method.strength != 0
    return bool(with_noise and method.order > 0 and not method.history and not method.corrects)


def leading_covariance(name: str, std: float, first: float, last: float, steps: int) -> float:
    """The leading relative error of the variance after N equal steps in lambda on N(m, std^2), for every m.

    first, last: lambda at the start, where the law is exact, and at the end; alpha^2 + sigma^2 = 1.
    Raises ValueError where has_leading_law is false.
    """
    if not has_leading_law(name):
        raise ValueError(f"{name}: the leading error of its law is not known")
    method = settled(find(name))
    proof = prove_law_order(method)
    q, tau2 = proof.gaussian_order, float(method.strength)
    flux = sp.Poly(sp.expand(proof.gaussian_flux.subs(y, y + mean)), y)
    # E[y y^k] of N(0, V) is k!! V^{(k + 1)/2} for odd k.
    local = sum(2 * c * sp.factorial2(k) * spread ** sp.Rational(k + 1, 2) for (k,), c in flux.terms() if k % 2)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    lam = (first + last) / 2 + (last - first) / 2 * nodes
    variance, slope = 1 + std**2 * np.exp(2 * lam), 1 / (1 + np.exp(2 * lam))  # of log alpha
    source = sp.lambdify((spread, ALPHA_TAYLOR[0]), local, "numpy")(variance, slope)
    ratio = (std**-2 + math.exp(2 * last)) / (std**-2 + np.exp(2 * lam))
    carried = np.exp(-2 * tau2 * (last - lam)) * ratio ** (1 + tau2)
    total = (last - first) / 2 * float(np.sum(weights * source * carried))
    return abs(total) * ((last - first) / steps) ** q / (1 + std**2 * math.exp(2 * last))
