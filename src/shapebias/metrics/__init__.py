"""Metrics: numbers with intervals, from decisions alone."""
