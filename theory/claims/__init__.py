"""Every claim of the project, in the order of the book."""

from __future__ import annotations

from . import (
    adams_claims,
    ancestral_claims,
    conditioned_claims,
    ddim_claims,
    distillation_claims,
    elbo_claims,
    few_step_claims,
    fitted_claims,
    foundation_claims,
    given_level_claims,
    guidance_claims,
    inversion_claims,
    li_claims,
    noise_claims,
    phase_space_claims,
    pndm_claims,
    policy_gradient_claims,
    singlestep_claims,
    splitting_claims,
    stitching_claims,
    stochastic_claims,
    surgery_claims,
    tilted_claims,
    transport_claims,
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
    *fitted_claims.CLAIMS,
    *stitching_claims.CLAIMS,
    *li_claims.CLAIMS,
    *guidance_claims.CLAIMS,
    *stochastic_claims.CLAIMS,
    *noise_claims.CLAIMS,
    *ancestral_claims.CLAIMS,
    *elbo_claims.CLAIMS,
    *given_level_claims.CLAIMS,
    *distillation_claims.CLAIMS,
    *transport_claims.CLAIMS,
    *policy_gradient_claims.CLAIMS,
    *tilted_claims.CLAIMS,
    *few_step_claims.CLAIMS,
    *conditioned_claims.CLAIMS,
    *phase_space_claims.CLAIMS,
    *splitting_claims.CLAIMS,
    *surgery_claims.CLAIMS,
)

__all__ = ["CLAIMS", "Claim", "Proof"]
