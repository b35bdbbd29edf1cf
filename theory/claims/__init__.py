"""Every claim of the project, in the order of the book."""

from __future__ import annotations

from . import adams, ddim, foundations, guidance, li, weights
from .core import Claim, Proof

CLAIMS: tuple[Claim, ...] = (
    *foundations.CLAIMS,
    *ddim.CLAIMS,
    *weights.CLAIMS,
    *adams.CLAIMS,
    *li.CLAIMS,
    *guidance.CLAIMS,
)

__all__ = ["CLAIMS", "Claim", "Proof"]
