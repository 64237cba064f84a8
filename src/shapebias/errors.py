"""Errors that the user can fix."""


class UserError(Exception):
    """Bad input. The message names the item, its value, the allowed values and the next step."""


class BadImageError(ValueError):
    """An unusable image. The message appears as the reason in `rejected.csv`."""
