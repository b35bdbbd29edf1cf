"""What theory and numerics share and neither may own: how a sampler is named, and the exception for bad input."""
