"""The tables and figure panels of `reproduce` and of the book."""
