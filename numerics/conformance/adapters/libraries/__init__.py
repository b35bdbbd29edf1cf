"""Adapters of libraries and official files, found where the user has them; each knows one library's interface."""
