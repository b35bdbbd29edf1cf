"""The kinds of grid: one record a kind, with its formula, its source and its names in the libraries. No torch here."""
