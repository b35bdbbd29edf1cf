"""Kept results that take long to compute, with the commands that make them."""
