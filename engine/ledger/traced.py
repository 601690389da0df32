"""A store that tells a trace what it is asked. What an invocation that is not sampled uses is the store itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from attrs import frozen

from engine.domain.decision import Guard
from engine.domain.entry import Entry
from engine.domain.job_row import Mark
from engine.ledger.store import Page, Posting, Receipt, ScanSlice, Store
from engine.runtime.clock import Deadline
from engine.runtime.tracing import Tracer

if TYPE_CHECKING:
    from engine.ledger.wanted import Wanted


def traced(store: Store, tracer: Tracer) -> Store:
    """Return the store for an invocation that ``tracer`` traces; one that is traced already gets this tracer instead."""
    return cast("Store", TracedStore(store.store if isinstance(store, TracedStore) else store, tracer))


@frozen
class TracedStore:
    """A store whose postings and pages of the scan are subsegments. All else goes straight to it."""

    store: Store
    tracer: Tracer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def post(self, entry: Entry, guard: Guard, mark: Mark | None, deadline: Deadline) -> Receipt:
        """Post an entry in a subsegment."""
        with self.tracer.span("post") as span:
            span.annotate([entry], policy=entry.policy)
            receipt = self.store.post(entry, guard, mark, deadline)
            span.annotate(verdict=receipt.verdict)
        return receipt

    def post_all(self, postings: Iterable[Posting], deadline: Deadline) -> Iterator[Receipt]:
        """Post entries, each group that goes together in a subsegment of its own."""
        for group in self.store.together(postings):
            entries = [entry for entry, _, _ in group]
            with self.tracer.span("post") as span:
                span.annotate(entries, policy=entries[0].policy)
                receipts = list(self.store.post_all(group, deadline))
                span.annotate(verdict=(receipt.verdict for receipt in receipts))
            yield from receipts

    def due_jobs(self, part: ScanSlice, wanted: Wanted, deadline: Deadline) -> Page:
        """Read a page of the scan in a subsegment."""
        with self.tracer.span("scan page") as span:
            span.annotate(segment=part.segment)
            page = self.store.due_jobs(part, wanted, deadline)
            span.annotate(rows=len(page.rows), rows_read=page.rows_read)
        return page
