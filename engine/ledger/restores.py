"""What a restore does with the tables: it reads every entry, puts originals back, and sets what rows of users say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from attrs import frozen

from engine.ledger.archive.chain import HeadStore
from engine.ledger.archive.originals import Told
from engine.ledger.audits import Credit
from engine.ledger.moved import Moved
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Deadline


@frozen
class UserRow:
    """A user's row: what it says was posted and is held, and whether it has a balance."""

    credit: Credit
    has_balance: bool


@frozen
class Standing:
    """An entry as it stands in the ledger, and the line by which an archive takes it in."""

    key: EntryKey
    posted_at: str
    """Sortable text; empty where it does not say."""
    line: str


class RestoreStore(Protocol):
    """The tables that are restored. Each write has a condition on what was seen: beside writers nothing is lost."""

    def told_by(self, line: str) -> Told:
        """Return what a line of the archive tells. Raises ValueError for what is no record."""

    def entries(self, deadline: Deadline) -> Iterator[Told]:
        """Yield what stands in the ledger, as if it had just come."""

    def standing(self, at: datetime, deadline: Deadline) -> Iterator[Standing]:
        """Yield what stands in the ledger, log by log and each in order, to be taken in ``at`` an instant."""

    def put_back(self, line: str, explanation: str | None, deadline: Deadline, *, is_free: bool) -> bool:
        """Let an original stand in its place again, with an explanation of it, if there is one.

        ``is_free`` where nothing stood there when it was looked at. False where the original stands there already, or where
        somebody else has written there at this very moment.
        """

    def rows(self, deadline: Deadline) -> Iterator[UserRow]:
        """Yield what every user's row says."""

    def set_row(self, seen: Credit, says: Moved, deadline: Deadline) -> bool:
        """Let a user's row say what was posted and is held; nothing else of it changes.

        False where it is no longer as it was seen.
        """

    def heads(self) -> HeadStore:
        """Return where the head of the archive's chain stands."""
