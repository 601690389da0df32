"""``python -m engine.cli`` is the ``reconciler`` command."""

from engine.cli import command

command()
