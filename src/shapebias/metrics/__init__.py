"""Metrics: numbers with intervals, computed from decisions alone."""
