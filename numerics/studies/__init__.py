"""A study file in, records and exponents out: the same for a user's own question and for the figures."""
