"""Laws of the output of samplers, and their distances from a target: exact, by quadrature, or from samples."""
