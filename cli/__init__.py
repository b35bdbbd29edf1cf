"""The command line `samplerproof`. Heavy imports are made by the command that needs them."""
