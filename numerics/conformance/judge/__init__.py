"""From the traces of an external sampler to a verdict."""
