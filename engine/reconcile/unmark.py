"""After a restore of Ledger and Credits: the marks go that rest on entries which are gone, so that the next scan looks again.

A mark stands where the entry that it rests on is in the Ledger, and was posted before the instant of the restore. An entry
posted since then has a sequence that a lost entry may have had too, and nobody can tell which of the two the mark means. A
job's own time is no help: it says when the work was done, and a late event posts it much later.

Nothing is posted here. A mark that goes for nothing costs the next scan one look.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from attrs import frozen

from engine.domain.instants import posting_text
from engine.ledger.marks import MarkedRow, MarkStore
from engine.ledger.store import ScanSlice
from engine.runtime.clock import Deadline


@frozen
class UnmarkReport:
    """What became of the marks that were looked at."""

    marks: int = 0
    unmarked: int = 0
    """Taken away; in a dry run: would have been."""
    changed: int = 0
    """Others were faster: it is another mark now, or none."""
    unnumbered: int = 0
    """Marks that name no entry (made by hand, or by an earlier version) stay: nobody can say what they rest on."""

    def __add__(self, other: UnmarkReport) -> UnmarkReport:
        """Return both reports together."""
        return UnmarkReport(
            self.marks + other.marks,
            self.unmarked + other.unmarked,
            self.changed + other.changed,
            self.unnumbered + other.unnumbered,
        )


@frozen
class Unmarker:
    """Looks at all marks of a segment. ``seen`` is told of each page how many there were, ``loose`` of each mark that goes."""

    marks: MarkStore
    since: datetime
    is_dry: bool
    seen: Callable[[int], None] = lambda _: None
    loose: Callable[[MarkedRow], None] = lambda _: None

    def run(self, part: ScanSlice, deadline: Deadline) -> UnmarkReport:
        """Work through a segment, one page in memory at a time. Raises LedgerUnavailable or LedgerRefused."""
        report = UnmarkReport()
        for page in self.marks.pages(part, deadline):
            report += self._page(page, deadline)
            self.seen(len(page))
        return report

    def _page(self, page: list[MarkedRow], deadline: Deadline) -> UnmarkReport:
        posted_at = self.marks.posted_at([row.entry for row in page if row.entry is not None], deadline)
        since = posting_text(self.since)
        loose = [row for row in page if row.entry is not None and not "" < posted_at.get(row.entry, since) < since]
        gone = [self._take_away(row, deadline) for row in loose]
        unnumbered = sum(row.entry is None for row in page)
        return UnmarkReport(len(page), sum(gone), len(gone) - sum(gone), unnumbered)

    def _take_away(self, row: MarkedRow, deadline: Deadline) -> bool:
        is_gone = self.is_dry or self.marks.take_away(row, deadline)
        if is_gone:
            self.loose(row)
        return is_gone
