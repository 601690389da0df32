"""What is known of a job's own row in Jobs, what a posting writes on it, and how its status is told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from engine.domain.errors import quoted

STATUSES_TOLD_MAX = 20
"""How many statuses that nobody mapped are told by name."""

STATUS_CHARACTERS_MAX = 64
OF_ATTEMPT = "#"
"""What stands in a mark between the status and the attempt."""

NO_STATUS, OTHER_STATUSES = "(missing)", "(others)"


@frozen
class RowTime:
    """What the time of a job's row must be for a mark: as it was read, or (``latest``) not later than an instant."""

    attribute: str
    read: str | None = None
    latest: datetime | None = None


@frozen
class Mark:
    """What a posting writes on the job's row: settled at this status, or (``settled`` false) still due.

    ``sequence`` is that of the entry it rests on: it is written over none and over a smaller one, and over an equal one only
    while the row still has the status that a scan has read (``read``). ``user`` (attribute, user) is whose job the row must
    say it is, where it says so; ``time`` what time it may say.
    """

    status: str | None
    settled: bool = True
    sequence: int = 0
    read: str | None = None
    user: tuple[str, str] | None = None
    time: RowTime | None = None


@frozen
class JobRow:
    """What is known of the job's own row. The first attempt assumes that it takes the mark; a cancelled one teaches."""

    exists: bool = True
    takes_mark: bool = True
    is_later: bool = False
    """Its time is later than the event's: the event does not settle it. That the job is still due it is told all the same."""
    asks_user: bool = True
    asks_time: bool = True
    owner: str | None = None
    """Whose job it is by its row, where that is another user than the event's."""


def marked_status(status: str, attempt: int) -> str:
    """Return what a job's row is marked at where the policy numbers the tries of a job."""
    return f"{status}{OF_ATTEMPT}{attempt}"


def status_and_attempt(marked: str) -> tuple[str, str | None]:
    """Return the status of a mark and its attempt, in digits; None where it names none."""
    status, mark, attempt = marked.rpartition(OF_ATTEMPT)
    return (status, attempt) if mark and attempt.isdecimal() and attempt.isascii() else (marked, None)


def status_name(status: object) -> str:
    """Return a status as a person reads it, whatever an application has written there."""
    if status is None:
        return NO_STATUS
    if isinstance(status, str) and status.isprintable() and 1 <= len(status) <= STATUS_CHARACTERS_MAX:
        return status
    is_plain = isinstance(status, str | list | Mapping)
    return quoted(status) if is_plain else f"({type(status).__name__}) {quoted(status)}"


def most_frequent(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts of the most frequent names, and of all others together, so that an answer stays small."""
    if len(counts) <= STATUSES_TOLD_MAX:
        return dict(counts)
    named = sorted((name for name in counts if name != OTHER_STATUSES), key=lambda name: (-counts[name], name))
    told = {name: counts[name] for name in named[: STATUSES_TOLD_MAX - 1]}
    return {**told, OTHER_STATUSES: sum(counts.values()) - sum(told.values())}
