"""The ``reconciler`` command. Exit status: 0 fine, 1 the check failed, 2 wrong usage."""

from engine.cli.start import command, main

__all__ = ["command", "main"]
