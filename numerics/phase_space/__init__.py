"""Diffusions of a state and its momentum: their laws, splitting integrators and exponential rules."""
