"""Measure and change the shape bias of image classifiers."""
