"""Stylizers: what makes an image look as if it were painted."""
