"""Tables made for a model: a linearised model, the optimisation of levels and weights, and what is proved of them."""
