"""Marks for jobs whose facts the ledger has and whose row says nothing of it: after a restore. Nothing is posted.

It is a scan that may write marks and no entry: each row that is not settled at its status is told as a scan tells it. Where
the ledger knows all of that already, the row gets its mark; where something is due, the row stays as it is, for the next scan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, cast

from attrs import frozen

from engine.domain.decision import Guard
from engine.domain.entry import Entry
from engine.domain.envelope import Document
from engine.domain.errors import EventError, LedgerRefused
from engine.domain.instants import instant_text
from engine.domain.job_row import Mark
from engine.ledger.store import Receipt, ScanSlice, Store, Verdict
from engine.policy.model import Policy
from engine.reconcile.conductor import Conductor
from engine.reconcile.job_rows import due_rows, row_event
from engine.runtime.clock import Deadline
from engine.runtime.telemetry import Telemetry

MARKED, DUE, ERRORS = "marked", "due", "errors"


class _Due(Exception):
    """Something would be posted."""


@frozen
class PostsNothing:
    """A store that answers a posting as the ledger would, and posts none."""

    store: Store
    is_dry: bool

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def post(self, entry: Entry, _guard: Guard, _mark: Mark | None, deadline: Deadline) -> Receipt:
        """Say that somebody was faster, where an entry stands in its place. Raises _Due."""
        if self.store.read(entry.reference, deadline).sequence >= entry.sequence:
            return Receipt(Verdict.SEQUENCE_TAKEN)
        raise _Due

    def mark(self, job: str, mark: Mark, deadline: Deadline) -> bool:
        """Mark a job's row, unless it is only to be counted."""
        return self.is_dry or self.store.mark(job, mark, deadline)


@frozen
class Marker:
    """Marks the rows of a segment; ``is_dry``: counts those that it would mark."""

    store: Store
    policy: Policy
    is_dry: bool = False

    def run(self, part: ScanSlice, deadline: Deadline) -> Mapping[str, int]:
        """Return how many rows were ``marked``, how many are still ``due``, and how many could not be told."""
        started, counts = instant_text(self.store.clock.now()), Counter[str]()
        conductor = self._conductor()
        for row in self._due_rows(part, deadline):
            counts[self._tell(conductor, row, started, deadline)] += 1
        return counts

    def _conductor(self) -> Conductor:
        store, clock = cast("Store", PostsNothing(self.store, self.is_dry)), self.store.clock
        return Conductor(self.policy, store, Telemetry(lambda _line: None, clock, {}), clock)

    def _due_rows(self, part: ScanSlice, deadline: Deadline) -> Iterator[Document]:
        after = part.after
        while True:
            page = due_rows(self.policy, self.store, ScanSlice(part.segment, part.segments, after), deadline)
            yield from page.rows
            if (after := page.next_after) is None:
                return

    def _tell(self, conductor: Conductor, row: Document, started: str, deadline: Deadline) -> str:
        try:
            envelope = row_event(self.policy, row, started)
            if envelope is None:
                return DUE
            return MARKED if conductor.settled(envelope, deadline).marked else DUE
        except _Due:
            return DUE
        except (EventError, LedgerRefused):
            return ERRORS
