"""The executable appendix: studies, tables, figures, kept results, and the pages of the book."""
