"""Every claim of the project, in the order of the book."""

from __future__ import annotations

from . import adams, ddim, foundations, guidance, li, noises, pndm, singlestep, stochastic, two_state, weights
from .core import Claim, Proof

CLAIMS: tuple[Claim, ...] = (
    *foundations.CLAIMS,
    *ddim.CLAIMS,
    *weights.CLAIMS,
    *adams.CLAIMS,
    *singlestep.CLAIMS,
    *pndm.CLAIMS,
    *two_state.CLAIMS,
    *li.CLAIMS,
    *guidance.CLAIMS,
    *stochastic.CLAIMS,
    *noises.CLAIMS,
)

__all__ = ["CLAIMS", "Claim", "Proof"]
