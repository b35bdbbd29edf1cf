"""Exact expressions -> committed torch code."""
