"""Instants as text and back: ISO 8601 with a zone in, UTC with a ``Z`` out.

Source: ISO 8601-1, calendar dates with a time of day, in the extended or the basic format. Python's own parser takes more
(a fraction of an hour as one of a second, offsets with a dot), so that the grammar here is asked first.
"""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime

HOUR, SIXTY = r"(?:[01][0-9]|2[0-3])", r"[0-5][0-9]"
EXTENDED = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T{HOUR}(?::{SIXTY}(?::{SIXTY}(?:[.,][0-9]+)?)?)?"
BASIC = rf"[0-9]{{8}}T{HOUR}(?:{SIXTY}(?:{SIXTY}(?:[.,][0-9]+)?)?)?"
INSTANT = re.compile(rf"(?:{EXTENDED}|{BASIC})(?:Z|[+-]{HOUR}(?::?{SIXTY})?)")
"""A fraction is one of a second: an hour or a minute with one is refused, and so are 24:00 and the 61st second."""

LATELY_WRITTEN = 64
"""So many instants are remembered as text: an event's own is written four times, one of a price book in each event."""


def read_instant(value: object) -> datetime | None:
    """Return an ISO 8601 instant with a zone as UTC, or None where ``value`` is not one. Below a microsecond it is cut off."""
    if not isinstance(value, str) or not INSTANT.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):  # no such day, or beyond the calendar
        return None


@functools.lru_cache(maxsize=LATELY_WRITTEN)
def instant_text(instant: datetime) -> str:
    """Return an instant in UTC as text: ``2026-01-05T10:00:00Z``, with a fraction only where there is one."""
    return instant.isoformat().replace("+00:00", "Z")


@functools.lru_cache(maxsize=LATELY_WRITTEN)
def posting_text(instant: datetime) -> str:
    """Return an instant as sortable text of one width, with microseconds."""
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")
