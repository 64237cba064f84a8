"""The subcommands of `shapebias`, one module each; the only room that knows flags. scripts/ has a file for each."""
