"""Where explanations are kept, and what they rest on. Of an entry only its explanation is ever written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from attrs import frozen

from engine.domain.entry import Entry, EntryType
from engine.domain.money import EXACT, ZERO
from engine.runtime.clock import Deadline


@frozen
class Likeness:
    """What was said of an entry that others are like: whose it is, the likely cause, and the severity."""

    like: str
    likely_cause: str
    severity: str


@frozen
class RecentEntry:
    """What the model may know of another entry of the same user. ``amount`` is signed: a debit is negative.

    ``held`` is how many credits more (or, below 0, less) are held since it.
    """

    reference: str
    sequence: int
    type: str
    amount: Decimal
    is_flagged: bool
    held: Decimal = ZERO

    @property
    def charge(self) -> Decimal | None:
        """What was charged by it (credits, >= 0), be it at once or in the place of a hold; None where nothing was."""
        moved = EXACT.add(self.amount, self.held)
        return EXACT.minus(moved) if self.type in CHARGING and moved <= ZERO else None


CHARGING = frozenset({EntryType.DEBIT, EntryType.SETTLE})
"""The types of entries by which work is charged."""


@frozen
class Calls:
    """How often the model was asked, by the minute (since 1970). ``version`` is 0 where nobody has asked it yet."""

    version: int
    by_minute: Mapping[int, int]


class ExplanationStore(Protocol):
    """The explanations of the ledger's entries."""

    def inserted(self, record: Any) -> tuple[Entry, str] | None:
        """Return the entry that a record of the ledger's stream has put there, and the record's number in the stream.

        None for a record that put none there. Raises TypeError, ValueError or their kin for what is no record of an entry.
        """

    def is_open(self, entry: Entry, deadline: Deadline) -> bool:
        """Say whether the entry is there and has no explanation yet."""

    def store(self, entry: Entry, explanation: Mapping[str, str], deadline: Deadline) -> bool:
        """Store an explanation on its entry, and say whether it is there now by this: False if another was faster."""

    def last_entries_of(self, user: str, entries_max: int, deadline: Deadline) -> list[RecentEntry]:
        """Return a user's last entries, the newest first (eventually consistent).

        Raises ValueError or its kin where one of them cannot be read.
        """

    # --- entries that are like others ---

    def likeness(self, alike: tuple[str, ...], since: datetime, deadline: Deadline) -> Likeness | None:
        """Return what was said after ``since`` of an entry with the same ``alike``, or None (eventually consistent).

        Raises ValueError or its kin where what stands there cannot be read.
        """

    def remember(self, alike: tuple[str, ...], likeness: Likeness, at: datetime, until: datetime, deadline: Deadline) -> None:
        """Keep what was said ``at`` an instant of an entry, at least ``until`` another."""

    # --- how often the model is asked ---

    def calls(self, deadline: Deadline) -> Calls:
        """Return the calls that were taken so far."""

    def take_call(self, before: Calls, by_minute: Mapping[int, int], deadline: Deadline) -> bool:
        """Let ``by_minute`` be the calls if they are still those ``before``; say whether they were.

        Where an answer is lost they look as if they were not: the call counts twice.
        """
