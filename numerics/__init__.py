"""Numeric side: generated weights -> tableau on a grid -> one loop -> measured error (torch, float64).

Importing this package is cheap: modules load torch when they are imported themselves.
"""
