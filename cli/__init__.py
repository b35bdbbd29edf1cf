"""The command line: `samplerproof …`. Heavy imports wait until a command needs them."""
