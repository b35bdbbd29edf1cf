"""Techniques around samplers, one a page: what their papers claim, what is proved, and what is measured here."""
