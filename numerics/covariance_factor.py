"""The factor of a covariance."""

from __future__ import annotations

import torch
from torch import Tensor


def covariance_factor(covariance: Tensor) -> Tensor:
    """L with L L^T = C for a symmetric positive semi-definite C [d, d], which may be singular."""
    values, vectors = torch.linalg.eigh(covariance)
    factor: Tensor = vectors * values.clamp(min=0).sqrt()
    return factor
