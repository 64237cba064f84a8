"""The report: one HTML page from tables, figures and the config."""
