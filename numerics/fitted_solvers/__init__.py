"""Solvers with a number a step that is fitted to a teacher: one parameter of a record, and D-ODE solvers."""
