"""Every claim of the project, in the order of the book."""

from __future__ import annotations

from . import (
    adams_claims,
    ddim_claims,
    foundation_claims,
    guidance_claims,
    inversion_claims,
    li_claims,
    noise_claims,
    pndm_claims,
    singlestep_claims,
    stochastic_claims,
    two_state_claims,
    weight_claims,
)
from .claim import Claim, Proof

CLAIMS: tuple[Claim, ...] = (
    *foundation_claims.CLAIMS,
    *ddim_claims.CLAIMS,
    *weight_claims.CLAIMS,
    *adams_claims.CLAIMS,
    *singlestep_claims.CLAIMS,
    *pndm_claims.CLAIMS,
    *two_state_claims.CLAIMS,
    *inversion_claims.CLAIMS,
    *li_claims.CLAIMS,
    *guidance_claims.CLAIMS,
    *stochastic_claims.CLAIMS,
    *noise_claims.CLAIMS,
)

__all__ = ["CLAIMS", "Claim", "Proof"]
