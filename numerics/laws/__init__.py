"""The law of a sampler's output: exactly where it is Gaussian, and estimated from samples where it is not known."""
