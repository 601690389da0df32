"""The store of the ledger in DynamoDB. A job's entries are an append-only log; each posting is one ``TransactWriteItems``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from attrs import frozen

from engine.domain.anomaly import Excerpt, Sample
from engine.domain.decision import Guard
from engine.domain.entry import Entry
from engine.domain.envelope import Document
from engine.domain.errors import LedgerError, LedgerRefused
from engine.domain.job_row import Mark
from engine.domain.log import JobLog
from engine.ledger.dynamodb.attributes import decode_item, encode
from engine.ledger.dynamodb.baselines import (
    baselines_item,
    baselines_key,
    baselines_of,
    recent_request,
    samples_request,
)
from engine.ledger.dynamodb.calls import Cancelled, ConditionFailed, DynamoDB, call, items, pages, reasons_of
from engine.ledger.dynamodb.jobs import page_of, scan_request
from engine.ledger.dynamodb.marks import update_mark
from engine.ledger.dynamodb.postings import REFERENCE_NAME, TOKEN_BYTES, Batch, EncodedPosting, log_of_items
from engine.ledger.dynamodb.runs import change_request, entries_left, run_item, run_request
from engine.ledger.store import Page, Posting, Receipt, ScanSlice, Tables, Verdict, packed
from engine.ledger.stored import NO_ENTRY, entry_of, excerpt_of, sample_of
from engine.rating.baselines import Baselines
from engine.runtime.clock import Clock, Deadline

if TYPE_CHECKING:
    from engine.ledger.audits import AuditStore
    from engine.ledger.corrections import CorrectionStore
    from engine.ledger.explanations import ExplanationStore
    from engine.ledger.exports import ExportStore
    from engine.ledger.holds import HoldStore
    from engine.ledger.logs import LogStore
    from engine.ledger.low_balances import LowBalanceStore
    from engine.ledger.marks import MarkStore
    from engine.ledger.restores import RestoreStore
    from engine.ledger.wanted import Wanted

SAMPLED_PAGES_MAX = 300
"""300 MB of entries: some 38,000 read units, half a cent."""

STORE_RESERVE_SECONDS = 1.0
"""No further samples are read with less time than this left, so that what was read can be stored."""

LOG_ATTRIBUTES = {
    "#sequence": "sequence",
    "#user": "userId",
    "#amount": "amount",
    "#cost": "cost",
    "#facts": "facts",
    "#source": "source",
    "#rule": "rule",
    "#held": "held",
    "#type": "type",
    "#event": "eventId",
}


@frozen(eq=False, repr=False)
class DynamoStore:
    """The tables, reached through a botocore client that is passed in. It is a ``ledger.store.Store``."""

    client: DynamoDB
    tables: Tables
    clock: Clock

    def post(self, entry: Entry, guard: Guard, mark: Mark | None, deadline: Deadline) -> Receipt:
        """Post an entry, its balance and its mark, all together or not at all. One round trip."""
        posting = EncodedPosting.of((entry, guard, mark), self.clock.now())
        try:
            self._transact(posting.actions(self.tables), deadline)
        except Cancelled as cancelled:
            return posting.receipt(cancelled.reasons)
        except LedgerRefused as error:
            if problem := posting.refusal(reasons_of(error)):
                raise LedgerRefused(f"DynamoDB refuses {problem}", is_of_an_item=True) from error
            raise
        return Receipt(Verdict.POSTED)

    def post_all(self, postings: Iterable[Posting], deadline: Deadline) -> Iterator[Receipt]:
        """Post entries of different references, up to a hundred actions at once, and yield what became of each, in order.

        Nobody waits for an item that is busy: its postings are told so.
        """
        now = self.clock.now()
        for group in packed(postings):
            yield from self._post_batch(Batch(tuple(EncodedPosting.of(posting, now) for posting in group)), deadline)

    def together(self, postings: Iterable[Posting]) -> Iterator[list[Posting]]:
        """Yield postings as they go together into a transaction, in their order."""
        return packed(postings)

    def _post_batch(self, batch: Batch, deadline: Deadline) -> list[Receipt]:
        try:
            self._transact(batch.actions(self.tables), deadline, by_item=True)
        except Cancelled as cancelled:
            return batch.receipts(cancelled.reasons)
        return [Receipt(Verdict.POSTED)] * len(batch.postings)

    def _transact(self, actions: list[dict[str, Any]], deadline: Deadline, *, by_item: bool = False) -> None:
        request = {"TransactItems": actions, "ClientRequestToken": os.urandom(TOKEN_BYTES).hex()}
        call(self.client.transact_write_items, request, deadline, by_item=by_item)

    def read(self, reference: str, deadline: Deadline) -> JobLog:
        """Return the log of a reference as it stands now (strongly consistent)."""
        request = self._log_request(reference)
        request["ProjectionExpression"] = ", ".join(LOG_ATTRIBUTES)
        request["ExpressionAttributeNames"] |= LOG_ATTRIBUTES
        return log_of_items(reference, items(self.client.query, request, deadline))

    def entries_of(self, reference: str, deadline: Deadline) -> list[Entry]:
        """Return the entries of a reference, whole, in order of their sequence (strongly consistent)."""
        return [self._entry(stored) for stored in self.stored_entries_of(reference, deadline)]

    def stored_entries_of(self, reference: str, deadline: Deadline) -> list[dict[str, Any]]:
        """Return the entries of a reference as they are stored, with what was added to them (strongly consistent)."""
        return [decode_item(item) for item in items(self.client.query, self._log_request(reference), deadline)]

    def _entry(self, stored: dict[str, Any]) -> Entry:
        try:
            return entry_of(stored)
        except NO_ENTRY as error:
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

    def job_rows(
        self, jobs: Sequence[str], attributes: frozenset[str] | None, deadline: Deadline
    ) -> dict[str, Document | LedgerError]:
        """Return the rows of some jobs by their names (strongly consistent), as events would tell them."""
        from engine.ledger.dynamodb.own_rows import read_rows  # noqa: PLC0415  few policies read them

        return read_rows(self.client, self.tables.jobs, jobs, attributes, deadline)

    def mark(self, job: str, mark: Mark, deadline: Deadline) -> bool:
        """Mark a job's row whose facts are posted already. False if the row is gone, or is not what the mark rests on."""
        try:
            call(self.client.update_item, update_mark(self.tables.jobs, job, mark), deadline)
        except ConditionFailed:
            return False
        return True

    def due_jobs(self, part: ScanSlice, wanted: Wanted, deadline: Deadline) -> Page:
        """Return the next page of a slice: rows not yet settled at their status. May be empty and yet not the last.

        Rows at other statuses than the ``wanted`` are counted, those at an ignored one stay in the database. So do settled
        ones, but where the caller has to be asked of each.
        """
        return page_of(call(self.client.scan, scan_request(self.tables.jobs, part, wanted), deadline), wanted)

    def entries_of_user(self, user: str, deadline: Deadline) -> Iterator[dict[str, Any]]:
        """Yield a user's entries in order of posting (eventually consistent: the index trails by a moment)."""
        request = {
            "TableName": self.tables.ledger,
            "IndexName": "UserIdIndex",
            "KeyConditionExpression": "userId = :user",
            "ExpressionAttributeValues": {":user": encode(user)},
        }
        yield from map(decode_item, items(self.client.query, request, deadline))

    def flagged(self, since: datetime | None, deadline: Deadline) -> Iterator[dict[str, Any]]:
        """Yield the entries with anomalies, and those that resolve some, posted ``since`` (strongly consistent)."""
        from engine.ledger.dynamodb.flagged import flagged_request  # noqa: PLC0415  what serves events needs none

        request = flagged_request(self.tables.ledger, since)
        yield from map(decode_item, items(self.client.scan, request, deadline))

    def balance(self, user: str, deadline: Deadline) -> dict[str, Any] | None:
        """Return a user's row of Credits (strongly consistent), or None where there is none."""
        request = {"TableName": self.tables.credits, "Key": {"userId": encode(user)}, "ConsistentRead": True}
        return self._row(request, deadline)

    def job_row(self, job: str, deadline: Deadline) -> dict[str, Any] | None:
        """Return a job's row of Jobs (strongly consistent), or None where there is none."""
        request = {"TableName": self.tables.jobs, "Key": {"jobId": encode(job)}, "ConsistentRead": True}
        return self._row(request, deadline)

    def _row(self, request: dict[str, Any], deadline: Deadline) -> dict[str, Any] | None:
        item = call(self.client.get_item, request, deadline).get("Item")
        return decode_item(item) if item else None

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
        with suppress(Cancelled):  # another run has begun
            self._transact([{"Update": change_request(self.tables.state, run, entries)}], deadline)

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
        request = samples_request(self.tables.ledger, since)
        for page in islice(pages(self.client.scan, request, deadline), SAMPLED_PAGES_MAX):
            for item in page.get("Items", ()):
                yield from map(sample_of, decode_item(item)["samples"])
            found += len(page.get("Items", ()))
            if found >= entries_max or deadline.left() < STORE_RESERVE_SECONDS:
                return

    def recent(self, since: datetime, deadline: Deadline) -> Iterator[list[Excerpt]]:
        """Yield, page by page, what a look back sees of the entries posted ``since``. An empty one need not be the last."""
        for page in pages(self.client.scan, recent_request(self.tables.ledger, since), deadline):
            yield [excerpt_of(decode_item(item)) for item in page.get("Items", ())]

    # --- stores of its own ---

    def audits(self) -> AuditStore:
        """Return what audits see of the tables and write to them."""
        from engine.ledger.dynamodb.audits import DynamoAuditStore  # noqa: PLC0415  what serves events needs none

        return DynamoAuditStore(self.client, self.tables, self.clock)

    def marks(self) -> MarkStore:
        """Return the marks in Jobs, and what takes them away."""
        from engine.ledger.dynamodb.marked import DynamoMarkStore  # noqa: PLC0415  the same

        return DynamoMarkStore(self.client, self.tables)

    def explanations(self) -> ExplanationStore:
        """Return where explanations are kept, and what they rest on."""
        from engine.ledger.dynamodb.explanations import DynamoExplanationStore  # noqa: PLC0415  the same

        return DynamoExplanationStore(self.client, self.tables)

    def low_balances(self) -> LowBalanceStore:
        """Return the balances, and what was told of those that are low."""
        from engine.ledger.dynamodb.low_balances import DynamoLowBalances  # noqa: PLC0415  the same

        return DynamoLowBalances(self.client, self.tables)

    def logs(self) -> LogStore:
        """Return the entries as they are stored, many at once."""
        from engine.ledger.dynamodb.logs import DynamoLogStore  # noqa: PLC0415  the same

        return DynamoLogStore(self.client, self.tables)

    def corrections(self) -> CorrectionStore:
        """Return what posts the corrections of people, and keeps their proposals."""
        from engine.ledger.dynamodb.corrections import DynamoCorrectionStore  # noqa: PLC0415  the same

        return DynamoCorrectionStore(self.client, self.tables, self.clock)

    def restores(self) -> RestoreStore:
        """Return what puts the archive's entries back into the tables."""
        from engine.ledger.dynamodb.restores import DynamoRestoreStore  # noqa: PLC0415  the same

        return DynamoRestoreStore(self.client, self.tables)

    def exports(self) -> ExportStore:
        """Return what an export reads of the entries."""
        from engine.ledger.dynamodb.exports import DynamoExportStore  # noqa: PLC0415  the same

        return DynamoExportStore(self.client, self.tables.ledger)

    def holds(self) -> HoldStore:
        """Return the holds by when they are due."""
        from engine.ledger.dynamodb.holds import DynamoHoldStore  # noqa: PLC0415  the same

        return DynamoHoldStore(self.client, self.tables)
