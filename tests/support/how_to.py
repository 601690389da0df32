"""A page that leads through commands: each is given as it stands there, and must print what the page shows behind it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen
from typer.testing import CliRunner, Result

from engine.cli.app import app

BLOCK = re.compile(r"^```sh\n(?P<lines>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?", re.DOTALL | re.MULTILINE)
INSTANT = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-9:]{8}(?P<fraction>\.[0-9]{6})?Z")
DIGEST = re.compile(r"@[0-9a-f]{12}")
COLUMNS = "120"


@frozen
class Step:
    """A block of the page: its command, and what it prints (None: the page shows nothing)."""

    command: str
    shown: str | None


def steps_of(page: Path) -> list[Step]:
    """Return the commands of a page, in its order."""
    return [
        Step(line, found["shown"] if line == lines[-1] else None)
        for found in BLOCK.finditer(page.read_text())
        for lines in [found["lines"].splitlines()]
        for line in lines
    ]


def printed(command: str, environment: Mapping[str, str]) -> str:
    """Give a command, which must end well, and return what it prints."""
    result = given(command, environment)
    assert 0 == result.exit_code, f"{command}: {result.output} {result.exception}"
    return result.stdout


def given(command: str, environment: Mapping[str, str]) -> Result:
    """Give a command, and return what came of it. One that only looks may end with status 1: it has found something."""
    program, *words = shlex.split(command)
    assert "reconciler" == program
    result = CliRunner().invoke(app, words, env={"COLUMNS": COLUMNS, **environment})
    assert result.exit_code in {0, 1}, f"{command}: {result.output} {result.exception}"
    assert isinstance(result.exception, SystemExit | None), f"{command}: {result.output} {result.exception}"
    return result


def alike(text: str) -> str:
    """Return a text without what differs each time: instants, digests, blanks at the end of lines."""
    plain = DIGEST.sub("@...", INSTANT.sub(_one_instant, text))
    return "\n".join(line.rstrip() for line in plain.splitlines())


def _one_instant(found: re.Match[str]) -> str:
    """Return an instant as long as the one that stands there."""
    return f"2026-01-05T12:00:00{'.000000' if found['fraction'] else ''}Z"
