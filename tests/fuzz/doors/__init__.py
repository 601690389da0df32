"""The doors, by their names."""

from __future__ import annotations

import importlib

from tests.fuzz.door import Door

NAMES = ("handler", "queue", "loader", "patterns", "expressions", "stream", "numbers", "files")


def door(name: str) -> Door:
    """Return a door. What it needs is imported now: under atheris all of it has to be instrumented."""
    found: Door = importlib.import_module(f"tests.fuzz.doors.{name}").DOOR
    return found
