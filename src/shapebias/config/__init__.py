"""The config of a study: what is allowed, what does not fit together, what a study says of itself."""
