"""Stylizing: render images in the style of paintings or of other images."""
