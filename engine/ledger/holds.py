"""The holds of a ledger by when they are due: for the scheduled run, which expires those that are open still."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from attrs import frozen

from engine.ledger.stored import EntryKey, Place
from engine.runtime.clock import Deadline

NEVER = ""
"""Before all instants: where nobody has looked yet."""


PAGE_HOLDS = 100
"""So many holds are one page: the entries after them are read with one request."""


@frozen
class DueHold:
    """An entry that has made a hold, and when that is due (sortable text). Most have ended long before."""

    reference: str
    sequence: Place
    due: str

    @property
    def next_entry(self) -> EntryKey:
        """Where the entry stands that comes after it, if one does."""
        return self.reference, self.sequence + 1


class HoldStore(Protocol):
    """The holds by when they are due, in shards (``stored.HOLD_SHARDS``), and up to when each shard was looked through."""

    def due(self, shard: str, since: str, until: str, deadline: Deadline) -> Iterator[list[DueHold]]:
        """Yield, page by page in order, the holds of a shard that are due from ``since`` to ``until``, ended ones too.

        Eventually consistent. A page has ``PAGE_HOLDS`` at most. Raises LedgerRefused where the index is missing.
        """

    def looked_until(self, deadline: Deadline) -> Mapping[str, str]:
        """Return up to when each shard was looked through; one that never was is left out."""

    def look_until(self, until: Mapping[str, str], deadline: Deadline) -> None:
        """Keep up to when each shard was looked through."""
