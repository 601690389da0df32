"""The entries of a ledger as they are stored, many at once: for whoever looks at all of them, or at the ends of many logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from engine.runtime.clock import Deadline

if TYPE_CHECKING:
    from engine.ledger.store import StoredEntry
    from engine.ledger.stored import EntryKey


class LogStore(Protocol):
    """The Ledger alone. Everything is strongly consistent, and one page of it in memory at a time."""

    def entries(self, deadline: Deadline) -> Iterator[StoredEntry]:
        """Yield every entry. Those of a log may stand apart."""

    def entries_at(self, keys: Iterable[EntryKey], deadline: Deadline) -> dict[EntryKey, StoredEntry]:
        """Return those of the entries that are there."""
