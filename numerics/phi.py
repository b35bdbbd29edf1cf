"""phi_k(z) = sum_j z^j / (j+k)!, the one special function of exponential integrators.

phi_0 = e^z, phi_k(z) = (phi_{k-1}(z) - 1/(k-1)!) / z  (Hochbruck and Ostermann 2010, eq. 2.10).
"""

from __future__ import annotations

from functools import cache
from math import factorial
from typing import Any

import torch
from torch import Tensor

K_MAX = 6


def phi(k: int, z: Tensor) -> Tensor:
    """phi_k at every element of z (float64, any shape), k = 0..6, differentiable; 4 ulp for |z| <= 30.

    Taylor series for -1.2 k <= z <= 1.5 k, where it does not cancel; outside, the definition: step by step for
    negative z (each division reduces earlier errors), in one subtraction for positive z (fewer roundings).
    Raises ValueError for another k, TypeError for another dtype.
    """
    if not 0 <= k <= K_MAX:
        raise ValueError(f"phi: k = {k}; 0 <= k <= {K_MAX}")
    if z.dtype != torch.float64:
        raise TypeError(f"phi: dtype {z.dtype}; torch.float64")
    if k == 0:
        return torch.exp(z)
    low, high = -1.2 * k, 1.5 * k
    # Each form gets only arguments in its domain: a NaN behind torch.where would make gradients NaN.
    below, above = _recursion(k, z.clamp(max=low)), _subtraction(k, z.clamp(min=high))
    return torch.where(z < low, below, torch.where(z > high, above, _series(k, z.clamp(low, high))))


def _series(k: int, z: Tensor) -> Tensor:
    """Taylor series by Horner's rule; the last term is below half an ulp at |z| = 1.5 k."""
    argument: Any
    try:
        argument = z.numpy()  # NumPy rounds alike, and takes a fifth of the time on the few steps of a grid
    except (RuntimeError, TypeError):  # z has a gradient, or lies on another device
        argument = z
    total = argument * 0.0
    for coefficient in _taylor(k):
        total = total * argument + coefficient
    return torch.as_tensor(total)


@cache
def _taylor(k: int) -> tuple[float, ...]:
    """1/(j+k)!, the last term first."""
    return tuple(1 / factorial(j + k) for j in range(18 + 5 * k, -1, -1))


def _recursion(k: int, z: Tensor) -> Tensor:
    """phi_{j+1} = (phi_j - 1/j!) / z, upward from phi_1 = expm1(z)/z."""
    value = torch.expm1(z) / z
    for j in range(1, k):
        value = (value - 1 / factorial(j)) / z
    return value


def _subtraction(k: int, z: Tensor) -> Tensor:
    """phi_k = (phi_1 - sum_{j=1}^{k-1} z^{j-1}/j!) / z^{k-1}."""
    polynomial = torch.zeros_like(z)
    for j in range(k - 1, 0, -1):
        polynomial = polynomial * z + 1 / factorial(j)
    return (torch.expm1(z) / z - polynomial) / z ** (k - 1)
