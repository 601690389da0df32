"""The marks on the application's jobs as ``unmark`` sees them: what each rests on, and what takes it away."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol

from attrs import field, frozen

from engine.ledger.store import ScanSlice
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Deadline


@frozen
class MarkedRow:
    """A job and its mark as they were read. ``said`` are the mark's attributes as a log line shows them."""

    job: str
    said: Mapping[str, Any] = {}
    entry: EntryKey | None = None
    """The entry that the mark rests on; None where the mark names none (made by hand, or by an earlier version)."""
    stored: object = field(default=None, repr=False)
    """The mark as the store has it: ``take_away`` takes this one away and no other."""


class MarkStore(Protocol):
    """The marks of all jobs, and the entries that they rest on."""

    def pages(self, part: ScanSlice, deadline: Deadline) -> Iterator[list[MarkedRow]]:
        """Yield the marked rows of a segment, page by page."""

    def posted_at(self, entries: Collection[EntryKey], deadline: Deadline) -> dict[EntryKey, str]:
        """Return when those of the entries were posted that are there (sortable text; empty where an entry does not say)."""

    def take_away(self, row: MarkedRow, deadline: Deadline) -> bool:
        """Take the mark off a row. False where it is no longer the one that was read, or the row is gone."""
