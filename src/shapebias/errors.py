"""Errors that a user can mend."""


class UserError(Exception):
    """Bad input: the message names the thing, its value, what is allowed and what to do next."""


class BadImageError(ValueError):
    """One image cannot be used; the message is its reason in `rejected.csv`."""
