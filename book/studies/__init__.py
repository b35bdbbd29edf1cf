"""The standard studies of the appendix."""
