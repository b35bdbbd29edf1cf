"""Leading errors: the error of a method at fine steps, without a run and without a fitted parameter."""
