"""Inversion: from a sample back to the vectors that a run starts from."""
