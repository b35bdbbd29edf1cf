"""samplerproof: an executable appendix to the theory of diffusion samplers."""
