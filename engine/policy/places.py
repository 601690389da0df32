"""A place in a file, and how a message names a word that stands there."""

from __future__ import annotations

from typing import NamedTuple

WORD_CHARACTERS_MAX = 60


class Place(NamedTuple):
    """A position in the file: line and column count from 1."""

    line: int
    column: int


def named(text: str) -> str:
    """Return a word of the file as a message names it."""
    return f"`{text}`" if len(text) <= WORD_CHARACTERS_MAX else f"`{text[:WORD_CHARACTERS_MAX]}...`"
