"""Writes what ``--help`` prints of each command into the package: ``python -m tools.help_texts``.

The command prints these files without importing the library that has written them. A test fails where they are not what the
library would write.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from engine.cli.app import app
from engine.cli.program import PROGRAM
from engine.cli.start import COLUMNS, help_file


def help_texts() -> dict[Path, str]:
    """Return each file and what it has to hold."""
    whole: Any = typer.main.get_command(app)
    return {Path(help_file(command)): _help_of(command) for command in _commands(whole, [])}


def _commands(group: Any, above: list[str]) -> Iterator[list[str]]:
    yield above
    for name in group.list_commands(None) if hasattr(group, "list_commands") else ():
        yield from _commands(group.get_command(None, name), [*above, name])


def _help_of(command: list[str]) -> str:
    result = CliRunner().invoke(app, [*command, "--help"], prog_name=PROGRAM, env={"COLUMNS": str(COLUMNS)})
    return result.stdout


def main() -> None:
    """Write the files, and remove those of commands that are no more."""
    texts = help_texts()
    for file in set(Path(help_file([])).parent.glob("*.txt")) - texts.keys():
        file.unlink()
    for file, text in texts.items():
        file.write_text(text)


if __name__ == "__main__":
    main()
