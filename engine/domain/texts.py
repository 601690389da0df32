"""Texts that are stored: what a place of the ledger can hold, asked at one door."""

from __future__ import annotations

from engine.domain.errors import shown

CHARACTERS_MAX = 1024
"""What an entry keeps of one text of the event: what selects a rate, the event's id."""

KEY_BYTES_MAX = 2048
"""What a key of DynamoDB holds, as UTF-8."""


def text_problem(text: str) -> str | None:
    """Return why an entry cannot keep a text, or None: it has no UTF-8 (half of a surrogate pair), or is too long."""
    if len(text) > CHARACTERS_MAX:
        return f"has {len(text)} characters; at most {CHARACTERS_MAX} are kept"
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return f"is {shown(text)}; half of a surrogate pair is no character"
    return None


def is_key(value: object) -> bool:
    """Say whether DynamoDB takes this as a key that is a text; a request with any other is refused as a whole."""
    try:
        return isinstance(value, str) and 1 <= len(value.encode()) <= KEY_BYTES_MAX
    except UnicodeEncodeError:
        return False


def plainly(text: str) -> str:
    """Return a text as a message names it: as it is where a person can read it, else escaped and cut short."""
    return text if len(text) <= CHARACTERS_MAX and text.isprintable() else shown(text)


def cut(text: str) -> str:
    """Return a text as it is where an entry could keep it, else its beginning: an event that no rule matches says anything."""
    return text if len(text) <= CHARACTERS_MAX else shown(text)
