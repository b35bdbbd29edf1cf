"""Exact derivations and proofs of diffusion samplers (sympy; no float, no torch)."""
