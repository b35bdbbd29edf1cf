"""Score distillation as a sampler of predicted data, after SDI."""
