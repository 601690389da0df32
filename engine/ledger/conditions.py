"""What must hold for a posting, asked of rows as they stand: the conditions that a store in memory has no database to ask.

Rows are the application's own, so any attribute may be missing or of any kind. They say word for word what the conditions of
``dynamodb/postings.py`` and ``dynamodb/marks.py`` say.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeGuard

from engine.domain.decision import Guard, Standing
from engine.domain.errors import LedgerRefused, shown
from engine.domain.instants import instant_text
from engine.domain.job_row import Mark, RowTime
from engine.domain.money import ZERO

type Row = Mapping[str, Any]

MOVED = ("remaining", "posted", "held")
"""The attributes of a user's row that a posting moves: all are numbers, or not there yet."""

NUMBERS = frozenset({int, Decimal})
NOT_THERE = object()
SECOND_CHARACTERS = len("2026-01-05T10:00:00")


# --- the user's row ---


def holds(row: Row | None, guard: Guard, debit: Decimal, held: Decimal = ZERO) -> bool:
    """Say whether a guard that asks for a user's row holds of it (None: there is none). The balance has to cover ``debit``.

    What is held of the user's credits is asked for only where it moves (``held``).
    """
    if row is None or guard is Guard.MISSING:
        return row is None and guard is Guard.MISSING
    if not is_number(row.get("posted", ZERO)) or (held and not is_number(row.get("held", ZERO))):
        return False
    remaining = row.get("remaining")
    if remaining is None and "remaining" not in row:
        return guard is not Guard.COVERED
    if not is_number(remaining):
        return False
    return guard is Guard.EXISTS or (remaining >= debit) is (guard is Guard.COVERED)


def standing_of(row: Row | None, guard: Guard, user: str, held: Decimal = ZERO) -> Standing:
    """Return what a user's row teaches of which the guard did not hold. Raises LedgerRefused where a balance is no number."""
    if row is None:
        return Standing.UNKNOWN_USER
    for name in MOVED if held else MOVED[:2]:
        if name in row and not is_number(row[name]):
            what = "the balance" if name == "remaining" else f"`{name}`"
            raise LedgerRefused(f"{what} of user {shown(user)} is no number: {shown(row[name])}", name, is_of_an_item=True)
    return Standing.NOT_COVERED if guard is Guard.COVERED else Standing.ASSUMED_COVERED


def is_number(value: object) -> TypeGuard[int | Decimal]:
    """Say whether an attribute is a number."""
    return value.__class__ in NUMBERS


# --- the job's row ---


def is_settled(row: Row) -> bool:
    """Say whether a job's row is marked at the status that it has."""
    return row.get("reconciled") is True and _is(row, "reconciledStatus", row.get("status", NOT_THERE))


def takes(row: Row, mark: Mark) -> bool:
    """Say whether a job's row takes a mark."""
    return _sequence_allows(row, mark) and _user_allows(row, mark) and (mark.time is None or _time_allows(row, mark.time))


def _sequence_allows(row: Row, mark: Mark) -> bool:
    sequence = row.get("reconciledSequence")
    if not is_number(sequence) or sequence < mark.sequence:
        return True
    if not mark.settled or mark.read is None or sequence != mark.sequence or not _is(row, "status", mark.read):
        return False
    return not (row.get("reconciled") is True and _is(row, "reconciledStatus", mark.status))


def _user_allows(row: Row, mark: Mark) -> bool:
    return mark.user is None or mark.user[0] not in row or _is(row, *mark.user)


def _time_allows(row: Row, time: RowTime) -> bool:
    said = _at(row, time.attribute)
    if time.latest is None:
        return said is NOT_THERE or said is None if time.read is None else bool(said == time.read)
    latest = instant_text(time.latest)
    return not isinstance(said, str) or said <= latest[:SECOND_CHARACTERS] or said == latest


def _at(row: Row, attribute: str) -> object:
    """Return what stands at a path of names."""
    found: Any = row
    for name in attribute.split("."):
        found = found.get(name, NOT_THERE) if isinstance(found, Mapping) else NOT_THERE
    return found


def _is(row: Row, name: str, value: object) -> bool:
    """Say whether an attribute is there with this value; true is no number."""
    said = row.get(name, NOT_THERE)
    return said is not NOT_THERE and isinstance(said, bool) is isinstance(value, bool) and bool(said == value)
