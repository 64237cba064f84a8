"""Figures: one module a kind of figure, from tables alone."""
