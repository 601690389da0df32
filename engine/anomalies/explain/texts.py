"""Texts that others wrote: on one line, not too long, and with nothing in them that a screen would obey."""

from __future__ import annotations

import re
import unicodedata

ELLIPSIS = "..."
SPACES = re.compile(r"\s+")


def cleaned(text: str, characters_max: int) -> str:
    """Return ``text`` without control and format characters, with single spaces, at most so long."""
    looked_at = text[: 4 * characters_max]
    seen = "".join(" " if unicodedata.category(character)[0] == "C" else character for character in looked_at)
    line = SPACES.sub(" ", seen).strip()
    return line if len(line) <= characters_max else f"{line[: characters_max - len(ELLIPSIS)]}{ELLIPSIS}"
