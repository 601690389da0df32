"""What an export reads of the ledger: its entries, as lines in the form that the archive keeps them in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from attrs import frozen

from engine.ledger.store import ScanSlice
from engine.runtime.clock import Deadline


@frozen
class Span:
    """Entries that were posted ``since`` (None: from the first) and before ``until``; those that do not say when, too."""

    since: datetime | None
    until: datetime


class ExportStore(Protocol):
    """The ledger, read whole (strongly consistent)."""

    def lines(self, part: ScanSlice, span: Span, at: datetime, deadline: Deadline) -> Iterator[str]:
        """Yield the entries of a segment, as the archive would take them in ``at`` an instant."""
