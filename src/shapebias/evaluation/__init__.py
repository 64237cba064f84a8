"""Evaluation: observers, benchmarks, and the decisions that observers make on benchmarks."""
