"""Files, folders, input and the manifest: what every part of the package needs around its numbers."""
