"""Targets whose law, score and flow are known exactly: Gaussian mixtures."""
