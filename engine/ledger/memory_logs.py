"""The entries of the store in memory, as tables would hold them."""
# ruff: noqa: ARG002  the protocol hands over deadlines, and nothing waits here

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import frozen

from engine.domain.entry import Entry
from engine.ledger.store import StoredEntry
from engine.ledger.stored import EntryKey, stored_of
from engine.runtime.clock import Deadline

type Row = dict[str, Any]
"""What a table holds of a user, a job or an entry: attributes by their names."""

type Kept = tuple[Entry, datetime]
"""An entry, and when it was posted."""

PLAIN = frozenset({str, Decimal, bool, int})
"""Nothing is left out of these, and most values of an entry are of these."""


@frozen
class MemoryLogs:
    """Entries by reference, in order of their sequence. It is a ``ledger.logs.LogStore``."""

    kept: Mapping[str, list[Kept]]

    def entries(self, deadline: Deadline) -> Iterator[Row]:
        """Yield every entry."""
        yield from (stored_row(kept) for log in list(self.kept.values()) for kept in list(log))

    def entries_at(self, keys: Iterable[EntryKey], deadline: Deadline) -> dict[EntryKey, StoredEntry]:
        """Return those of the entries that are there."""
        found = {key: self._at(*key) for key in keys}
        return {key: stored_row(kept) for key, kept in found.items() if kept is not None}

    def _at(self, reference: str, sequence: int | Decimal) -> Kept | None:
        return next((kept for kept in self.kept.get(reference, ()) if kept[0].sequence == sequence), None)


def stored_row(kept: Kept) -> Row:
    """Return an entry as it is stored, without what is left out of it."""
    return {name: _told(value) for name, value in stored_of(*kept).items() if value is not None}


def _told(value: Any) -> Any:
    """Return a stored value without what is left out of it."""
    if value.__class__ in PLAIN:
        return value
    if isinstance(value, dict):
        return {name: _told(member) for name, member in value.items() if member is not None}
    return [_told(member) for member in value] if isinstance(value, list | tuple) else value
