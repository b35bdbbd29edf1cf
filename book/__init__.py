"""The sources of the book: what is written by hand, beside what is made from the catalogue."""
