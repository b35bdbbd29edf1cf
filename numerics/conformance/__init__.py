"""Other people's samplers: run them, read their tables, say which formula it is and of which order."""
