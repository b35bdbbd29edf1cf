"""The pages of the book that are made from the catalogue and from kept records."""
