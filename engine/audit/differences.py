"""What an audit can find: each thing that is not as it should be, with its evidence. A repair starts from these."""

from __future__ import annotations

from enum import StrEnum

from attrs import field, frozen

from engine.ledger.audits import AuditedEntry
from engine.ledger.stored import EntryKey


class Kind(StrEnum):
    """What can be wrong."""

    CHANGED = "changed"
    """An entry is not what was posted in its place: its archived record says what that was."""
    REMOVED = "removed"
    """An entry was posted, and is gone."""
    UNARCHIVED = "unarchived"
    """An entry stands in the ledger, and the archive has never seen it come."""
    SENSELESS = "senseless"
    """An entry does not follow from itself or those before it, and the archive has seen it come so."""
    UNREADABLE = "unreadable"
    """An item is no entry of this system."""
    UNKNOWN_CORRECTION = "unknown-correction"
    """An entry calls itself a correction, and no plan that was applied has it."""
    DRIFT = "drift"
    """A user's entries do not add up to ``posted``."""
    BALANCE = "balance"
    """A balance that is checked against the ledger does not follow from it."""
    ARCHIVE = "archive"
    """The archive itself is not as it was written."""


@frozen
class Difference:
    """One thing that is not as it should be: an entry as it was posted (``archived``), and as it is now."""

    kind: Kind
    problem: str
    key: EntryKey | None = None
    """The entry's place; None where it is of a user or of the archive."""
    users: frozenset[str] = frozenset()
    """Whom it concerns: of an entry whose it was and whose it is."""
    archived: AuditedEntry | None = field(default=None, repr=False)
    found: AuditedEntry | None = field(default=None, repr=False)

    @property
    def reference(self) -> str | None:
        """The log that it is in."""
        return self.key[0] if self.key else None
