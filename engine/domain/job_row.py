"""What is known of a job's own row in Jobs, and what a posting writes on it."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen


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
    asks_user: bool = True
    asks_time: bool = True
    owner: str | None = None
    """Whose job it is by its row, where that is another user than the event's."""
