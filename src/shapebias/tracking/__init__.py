"""Tracking: runs and tables at Weights & Biases."""
