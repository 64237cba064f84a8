"""Training: from a set of images and a recipe to the weights of a run."""
