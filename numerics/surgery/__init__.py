"""Networks with a changed forward pass, and the same on mixtures: stale features, scaled skips, low rank."""
