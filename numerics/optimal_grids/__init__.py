"""Grids that minimise a sum of costs of their steps, by dynamic programming."""
