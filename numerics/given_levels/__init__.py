"""Samplers that pass the model another noise level than that of its input."""
