"""Evaluation: observers, benchmarks, and the decisions of one on the other."""
