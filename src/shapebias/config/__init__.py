"""The config of a study: its keys, the checks across keys, and queries of a checked config."""
