"""Written by `python -m samplerproof.theory.emit`; never by hand."""
