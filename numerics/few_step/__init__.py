"""Samplers of few steps: jumps between two levels, and networks that were trained to make them."""
