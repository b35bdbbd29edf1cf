"""The process that runs an external sampler: started, traced, watched, and its results collected."""
