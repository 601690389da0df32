"""Instants as text and back: ISO 8601 with a zone in, UTC with a ``Z`` out."""

from __future__ import annotations

from datetime import UTC, datetime


def read_instant(value: object) -> datetime | None:
    """Return an ISO 8601 instant with a zone as UTC, or None where ``value`` is not one."""
    if not isinstance(value, str) or "T" not in value:
        return None
    try:
        instant = datetime.fromisoformat(value)
        return instant.astimezone(UTC) if instant.tzinfo else None
    except (ValueError, OverflowError):
        return None


def instant_text(instant: datetime) -> str:
    """Return an instant in UTC as text: ``2026-01-05T10:00:00Z``, with a fraction only where there is one."""
    return instant.isoformat().replace("+00:00", "Z")


def posting_text(instant: datetime) -> str:
    """Return an instant as sortable text of one width, with microseconds."""
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")
