"""What an export reads of the ledger: its entries, as lines in the form of the archive; and exports that are on disk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

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


class ExportProblem(ValueError):
    """An export on disk is not whole, or none that can be read."""


class TableExport(Protocol):
    """A table of DynamoDB's as it was exported to S3, in a folder."""

    @property
    def folder(self) -> Path:
        """Where it stands."""

    @property
    def table(self) -> str:
        """The name of the table."""

    def items(self) -> Iterator[dict[str, Any]]:
        """Yield the items as JSON-like values. Raises ExportProblem where something is missing or was changed."""
