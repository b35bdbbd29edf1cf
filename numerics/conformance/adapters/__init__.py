"""External samplers behind one interface: diffusers, k-diffusion and plain functions."""
