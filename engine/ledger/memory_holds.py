"""The holds of the store in memory by when they are due."""
# ruff: noqa: ARG002  the protocol hands over deadlines, and nothing waits here

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import batched

from attrs import frozen

from engine.domain.entry_types import EntryType
from engine.ledger.holds import PAGE_HOLDS, DueHold
from engine.ledger.memory_logs import Kept, stored_row
from engine.runtime.clock import Deadline


@frozen
class MemoryHoldStore:
    """Entries by reference, and up to when each shard was looked through. It is a ``ledger.holds.HoldStore``."""

    kept: Mapping[str, list[Kept]]
    until: dict[str, str]

    def due(self, shard: str, since: str, until: str, deadline: Deadline) -> Iterator[list[DueHold]]:
        """Yield, a hundred at a time in order, the holds of a shard that are due from ``since`` to ``until``."""
        found = [hold for hold in self._holds(shard) if since <= hold.due <= until]
        yield from map(list, batched(sorted(found, key=lambda hold: hold.due), PAGE_HOLDS))

    def _holds(self, shard: str) -> Iterator[DueHold]:
        made = (kept for log in self.kept.values() for kept in log if kept[0].type is EntryType.HOLD)
        for row in map(stored_row, made):
            if row.get("holdShard") == shard:
                yield DueHold(row["reference"], row["sequence"], row["holdDue"])

    def looked_until(self, deadline: Deadline) -> Mapping[str, str]:
        """Return up to when each shard was looked through."""
        return dict(self.until)

    def look_until(self, until: Mapping[str, str], deadline: Deadline) -> None:
        """Keep up to when each shard was looked through."""
        self.until.clear()
        self.until.update(until)
