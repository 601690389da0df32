"""The file that a person names: opened, or refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import typer

from engine.cli.output import complain
from engine.cli.replay import ReplayFile, UnreadableFileError
from engine.cli.status import MISUSED


def open_file(path: Path) -> ReplayFile:
    """Return a file of lines. Exits where it cannot be read: a torn archive, say."""
    try:
        return ReplayFile.open(path)
    except UnreadableFileError as error:
        complain(str(error))
        raise typer.Exit(MISUSED) from error
