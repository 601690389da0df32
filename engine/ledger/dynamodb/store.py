"""All of DynamoDB. A job's entries are an append-only log; each posting is one ``TransactWriteItems``."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import Any

from attrs import frozen

from engine.domain.anomaly import Sample, Seen
from engine.domain.decision import Guard
from engine.domain.entry import Entry
from engine.domain.errors import LedgerRefused
from engine.domain.job_row import Mark
from engine.domain.log import JobLog
from engine.ledger.dynamodb.attributes import Item, decode_item, encode
from engine.ledger.dynamodb.baselines import (
    SEGMENTS,
    baselines_item,
    baselines_key,
    baselines_of,
    recent_request,
    samples_request,
)
from engine.ledger.dynamodb.calls import Cancelled, ConditionFailed, DynamoDB, Response, call, reasons_of
from engine.ledger.dynamodb.entries import entry_of, item_of, log_of, sample_of, seen_of
from engine.ledger.dynamodb.jobs import page_of, scan_request
from engine.ledger.dynamodb.marks import update_mark
from engine.ledger.dynamodb.postings import REFERENCE_NAME, Batch, Posting, packed
from engine.ledger.dynamodb.runs import change_request, entries_left, run_item, run_request
from engine.ledger.store import Page, Receipt, ScanSlice, Tables, Verdict
from engine.rating.baselines import Baselines
from engine.runtime.clock import Clock, Deadline
from engine.runtime.tracing import UNTRACED, Tracer

SAMPLED_PAGES_MAX = 300
"""300 MB of entries: some 38,000 read units, half a cent."""

TOKEN_BYTES = 18
"""A token has at most 36 characters."""

STORE_RESERVE_SECONDS = 1.0
"""No further samples are read with less time than this left, so that what was read can be stored."""

LOG_ATTRIBUTES = {
    "#sequence": "sequence",
    "#user": "userId",
    "#amount": "amount",
    "#cost": "cost",
    "#facts": "facts",
    "#source": "source",
}


@frozen
class Ledger:
    """The tables, reached through a botocore client that is passed in."""

    client: DynamoDB
    tables: Tables
    clock: Clock
    tracer: Tracer = UNTRACED

    def post(self, entry: Entry, guard: Guard, mark: Mark | None, deadline: Deadline) -> Receipt:
        """Post an entry, its balance and its mark, all together or not at all. One round trip.

        Raises LedgerUnavailable or LedgerRefused; either way nothing is half done.
        """
        with self.tracer.span("post") as span:
            span.annotate([entry], policy=entry.policy)
            receipt = self._post(Posting(entry, item_of(entry, self.clock.now()), guard, mark), deadline)
            span.annotate(verdict=receipt.verdict)
        return receipt

    def _post(self, posting: Posting, deadline: Deadline) -> Receipt:
        request = {"TransactItems": posting.actions(self.tables), "ClientRequestToken": os.urandom(TOKEN_BYTES).hex()}
        try:
            call(self.client.transact_write_items, request, deadline)
        except Cancelled as cancelled:
            return posting.receipt(cancelled.reasons)
        except LedgerRefused as error:
            if problem := posting.refusal(reasons_of(error)):
                raise LedgerRefused(f"DynamoDB refuses {problem}") from error
            raise
        return Receipt(Verdict.POSTED)

    def post_all(self, postings: Iterable[tuple[Entry, Guard, Mark | None]], deadline: Deadline) -> Iterator[Receipt]:
        """Post entries of different references, up to a hundred actions at once, and yield what became of each, in order.

        A posting that is refused holds up those of its transaction and no other. Nobody waits for an item that is busy: its
        postings are told so. Each moves together with its balance and its mark or not at all, as by itself. Raises
        LedgerUnavailable or LedgerRefused like ``post``; what was yielded is posted.
        """
        now = self.clock.now()
        for batch in packed(Posting(entry, item_of(entry, now), guard, mark) for entry, guard, mark in postings):
            with self.tracer.span("post") as span:
                span.annotate((posting.entry for posting in batch.postings), policy=batch.postings[0].entry.policy)
                receipts = self._post_batch(batch, deadline)
                span.annotate(verdict=(receipt.verdict for receipt in receipts))
            yield from receipts

    def _post_batch(self, batch: Batch, deadline: Deadline) -> list[Receipt]:
        request = {"TransactItems": batch.actions(self.tables), "ClientRequestToken": os.urandom(TOKEN_BYTES).hex()}
        try:
            call(self.client.transact_write_items, request, deadline, by_item=True)
        except Cancelled as cancelled:
            return batch.receipts(cancelled.reasons)
        return [Receipt(Verdict.POSTED)] * len(batch.postings)

    def read(self, reference: str, deadline: Deadline) -> JobLog:
        """Return the log of a reference as it stands now (strongly consistent)."""
        request = self._log_request(reference)
        request["ProjectionExpression"] = ", ".join(LOG_ATTRIBUTES)
        request["ExpressionAttributeNames"] |= LOG_ATTRIBUTES
        return log_of(self._items(self.client.query, request, deadline))

    def entries_of(self, reference: str, deadline: Deadline) -> list[Entry]:
        """Return the entries of a reference, whole, in order of their sequence (strongly consistent)."""
        return [self._entry(stored) for stored in self.stored_entries_of(reference, deadline)]

    def stored_entries_of(self, reference: str, deadline: Deadline) -> list[dict[str, Any]]:
        """Return the entries of a reference as they are stored, with what was added to them (strongly consistent)."""
        items = self._items(self.client.query, self._log_request(reference), deadline)
        return [decode_item(item) for item in items]

    def _entry(self, stored: dict[str, Any]) -> Entry:
        try:
            return entry_of(stored)
        except (KeyError, TypeError, ValueError) as error:
            which = f"{stored['reference']}, entry {stored['sequence']}"
            raise LedgerRefused(f"{which}: is no entry of this system ({type(error).__name__}: {error})") from error

    def _log_request(self, reference: str) -> dict[str, Any]:
        return {
            "TableName": self.tables.ledger,
            "KeyConditionExpression": "#reference = :reference",
            "ExpressionAttributeNames": dict(REFERENCE_NAME),
            "ExpressionAttributeValues": {":reference": encode(reference)},
            "ConsistentRead": True,
        }

    def mark(self, job: str, mark: Mark, deadline: Deadline) -> bool:
        """Mark a job's row whose facts are posted already. False if the row is gone, or is not what the mark rests on."""
        try:
            call(self.client.update_item, update_mark(self.tables.jobs, job, mark), deadline)
        except ConditionFailed:
            return False
        return True

    def due_jobs(
        self,
        part: ScanSlice,
        statuses: Collection[str] | None,
        attributes: frozenset[str] | None,
        deadline: Deadline,
        ignored: Iterable[str] = (),
    ) -> Page:
        """Return the next page of a slice: rows not yet settled at their status. May be empty and yet not the last.

        Rows at none of ``statuses`` (None: any) are counted, those at an ``ignored`` one stay in the database.
        """
        with self.tracer.span("scan page") as span:
            span.annotate(segment=part.segment)
            answer = call(self.client.scan, scan_request(self.tables.jobs, part, ignored, attributes), deadline)
            page = page_of(answer, statuses)
            span.annotate(rows=len(page.rows), rows_read=answer.get("ScannedCount"))
        return page

    def entries_of_user(self, user: str, deadline: Deadline) -> Iterator[dict[str, Any]]:
        """Yield a user's entries in order of posting (eventually consistent: the index trails by a moment)."""
        request = {
            "TableName": self.tables.ledger,
            "IndexName": "UserIdIndex",
            "KeyConditionExpression": "userId = :user",
            "ExpressionAttributeValues": {":user": encode(user)},
        }
        yield from map(decode_item, self._items(self.client.query, request, deadline))

    def flagged(self, since: datetime | None, deadline: Deadline) -> Iterator[dict[str, Any]]:
        """Yield the entries with anomalies, and those that resolve some, posted ``since`` (strongly consistent)."""
        from engine.ledger.dynamodb.flagged import flagged_request  # noqa: PLC0415  what serves events needs none

        request = flagged_request(self.tables.ledger, since)
        yield from map(decode_item, self._items(self.client.scan, request, deadline))

    def balance(self, user: str, deadline: Deadline) -> dict[str, Any] | None:
        """Return a user's row of Credits (strongly consistent), or None where there is none."""
        request = {"TableName": self.tables.credits, "Key": {"userId": encode(user)}, "ConsistentRead": True}
        item = call(self.client.get_item, request, deadline).get("Item")
        return decode_item(item) if item else None

    def entries(self, attributes: Iterable[str], deadline: Deadline) -> Iterator[dict[str, Any]]:
        """Yield the given attributes of every entry of the ledger (strongly consistent)."""
        yield from self._rows(self.tables.ledger, attributes, deadline)

    def balances(self, deadline: Deadline) -> Iterator[dict[str, Any]]:
        """Yield ``userId``, ``remaining`` and ``posted`` of every row of Credits (strongly consistent)."""
        yield from self._rows(self.tables.credits, ("userId", "remaining", "posted"), deadline)

    def close(self) -> None:
        """Close the connections to the database; the next call opens one again."""
        self.client.close()

    # --- the run of the scan that is under way ---

    def begin_run(self, run: str, entries_max: int, deadline: Deadline) -> None:
        """Let ``run`` be the one under way, with so many entries to post; the one before is over."""
        call(self.client.put_item, {"TableName": self.tables.state, "Item": run_item(run, entries_max)}, deadline)

    def run_left(self, run: str, deadline: Deadline) -> int:
        """Return how many entries ``run`` may still post. Raises LedgerRefused where another run is under way."""
        item = call(self.client.get_item, run_request(self.tables.state), deadline).get("Item")
        if (left := entries_left(item, run)) is None:
            raise LedgerRefused(f"the run {run} of the scan is over: another one has begun")
        return left

    def take_from_run(self, run: str, entries: int, deadline: Deadline) -> int:
        """Take ``entries`` of what ``run`` may still post, and return what is left: below 0, some of them were not there.

        Where the answer is lost, it takes them twice: fewer are posted than might be, never more. Raises like ``run_left``.
        """
        request = {**change_request(self.tables.state, run, -entries), "ReturnValues": "UPDATED_NEW"}
        try:
            changed = call(self.client.update_item, request, deadline)["Attributes"]
        except ConditionFailed as error:
            raise LedgerRefused(f"the run {run} of the scan is over: another one has begun") from error
        return int(decode_item(changed)["entriesLeft"])

    def give_back_to_run(self, run: str, entries: int, deadline: Deadline) -> None:
        """Give back what was taken and not used. A transaction, whose token keeps it from being given twice."""
        action = {"Update": change_request(self.tables.state, run, entries)}
        request = {"TransactItems": [action], "ClientRequestToken": os.urandom(TOKEN_BYTES).hex()}
        with suppress(Cancelled):  # another run has begun
            call(self.client.transact_write_items, request, deadline)

    def is_first_of_the_day(self, day: str, deadline: Deadline) -> bool:
        """Say whether nobody asked for ``day`` (an ISO date) or a later one before: once a day it is true."""
        from engine.ledger.dynamodb.flagged import day_request  # noqa: PLC0415  the same

        try:
            call(self.client.update_item, day_request(self.tables.state, day), deadline)
        except ConditionFailed:
            return False
        return True

    def jobs_bytes(self, deadline: Deadline) -> int:
        """Return the size of the table of jobs in bytes, as DynamoDB knows it: some six hours old."""
        answer = call(self.client.describe_table, {"TableName": self.tables.jobs}, deadline)
        return int(answer["Table"].get("TableSizeBytes", 0))

    # --- baselines ---

    def load_baselines(self, policy: str, deadline: Deadline) -> Baselines:
        """Return the stored baselines of a policy (its name). Raises ValueError or its kin for what are none."""
        request = {"TableName": self.tables.state, "Key": baselines_key(policy)}
        return baselines_of(call(self.client.get_item, request, deadline).get("Item"))

    def store_baselines(self, policy: str, baselines: Baselines, deadline: Deadline) -> None:
        """Store the baselines of a policy in the place of those before."""
        request = {"TableName": self.tables.state, "Item": baselines_item(policy, baselines)}
        call(self.client.put_item, request, deadline)

    def samples(self, since: datetime, entries_max: int, deadline: Deadline) -> Iterator[Sample]:
        """Yield the samples of about ``entries_max`` entries posted ``since``, or of what can be read in time.

        It reads at most ``SAMPLED_PAGES_MAX`` pages, so that it costs the same whatever the ledger's size.
        """
        found = 0
        for page in islice(self._sampled_pages(since, deadline), SAMPLED_PAGES_MAX):
            for item in page.get("Items", ()):
                yield from map(sample_of, decode_item(item)["samples"])
            found += len(page.get("Items", ()))
            if found >= entries_max or deadline.left() < STORE_RESERVE_SECONDS:
                return

    def recent(self, since: datetime, deadline: Deadline) -> Iterator[list[Seen]]:
        """Yield, page by page, what a look back sees of the entries posted ``since``. An empty one need not be the last."""
        for segment in range(SEGMENTS):
            for page in self._pages(self.client.scan, recent_request(self.tables.ledger, segment, since), deadline):
                yield [seen_of(decode_item(item)) for item in page.get("Items", ())]

    def _sampled_pages(self, since: datetime, deadline: Deadline) -> Iterator[Response]:
        for segment in range(SEGMENTS):
            yield from self._pages(self.client.scan, samples_request(self.tables.ledger, segment, since), deadline)

    def _rows(self, table: str, attributes: Iterable[str], deadline: Deadline) -> Iterator[dict[str, Any]]:
        names = {f"#a{index}": name for index, name in enumerate(attributes)}
        request = {
            "TableName": table,
            "ProjectionExpression": ", ".join(names),
            "ExpressionAttributeNames": names,
            "ConsistentRead": True,
        }
        yield from map(decode_item, self._items(self.client.scan, request, deadline))

    def _items(self, operation: Any, request: dict[str, Any], deadline: Deadline) -> Iterator[Item]:
        """Yield the items of all pages, one page in memory at a time."""
        for page in self._pages(operation, request, deadline):
            yield from page.get("Items", ())

    def _pages(self, operation: Any, request: dict[str, Any], deadline: Deadline) -> Iterator[Response]:
        while True:
            answer = call(operation, request, deadline)
            yield answer
            if not (last := answer.get("LastEvaluatedKey")):
                return
            request = {**request, "ExclusiveStartKey": last}
