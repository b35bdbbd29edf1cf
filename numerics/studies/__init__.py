"""Studies: from a study file, a user's or one of the standard figures, to records and exponents."""
