"""The pages of the book that are generated from the catalogue and from kept results."""
