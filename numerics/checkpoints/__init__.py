"""Real networks behind the contract of numerics/denoisers.py."""
