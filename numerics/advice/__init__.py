"""Which sampler on which levels: a recording of a model, the defects of tables on it, their error at the end."""
