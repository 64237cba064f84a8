"""Figures: one module per kind of figure, drawn from tables alone."""
