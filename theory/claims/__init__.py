"""Every claim of the project, in the order of the book."""

from __future__ import annotations

from . import ddim, foundations, li, weights
from .core import Claim, Proof

CLAIMS: tuple[Claim, ...] = (*foundations.CLAIMS, *ddim.CLAIMS, *weights.CLAIMS, *li.CLAIMS)

__all__ = ["CLAIMS", "Claim", "Proof"]
