"""What an audit against the archive takes: ``python -m benchmarks.auditing`` prints the figures of docs/scale.md.

A ledger of so many entries (one in ten a refund of an older job, fifty for each user) and its archive are audited as a whole;
then a hundredth is added, and audited from the checkpoint on. The tables stand in memory behind the calls of DynamoDB's
client, or on the local AWS. Read units by DynamoDB's documented rules; time is this process's, whatever else the machine does.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import batched
from typing import Any

from attrs import Factory, define, frozen

from engine.audit.archived.audit import audit_archive
from engine.audit.archived.seen import Archive, ArchiveAudit
from engine.domain.envelope import Envelope, Source
from engine.domain.instants import posting_text
from engine.ledger.archive.bucket import Bucket, MemoryBucket
from engine.ledger.archive.chain import EMPTY, ArchiveObject, Head
from engine.ledger.dynamodb.attributes import Item, encode_item
from engine.ledger.dynamodb.audits import DynamoAuditStore
from engine.ledger.dynamodb.postings import item_of
from engine.ledger.dynamodb.stream import Record, Told, record_of
from engine.ledger.store import Tables
from engine.policy import load_policy
from engine.preview.dry_run import DryRun, store_of
from engine.reconcile.wiring import build_client
from engine.runtime.clock import Clock, Deadline
from tools.environments import ROOT
from tools.local_aws import REGION, create_tables, run_local_aws

BEGUN = datetime(2026, 1, 5, 12, tzinfo=UTC)
PER_SECOND = 20
LINES = 500
"""So many records are an object of the archive: half a minute of sixteen entries a second."""

REFUND_EVERY, REFUND_OF = 10, 5_000
ENTRIES_OF_A_USER = 50
PAGE_BYTES = 2**20
UNIT_BYTES = 4096
UNITS_A_DOLLAR = 8_000_000
"""On-demand read units for a dollar (us-east-1)."""


# --- what is audited ---


@frozen
class Pattern:
    """A debit and its refund as the shipped policy makes them, in DynamoDB's JSON."""

    debit: str
    refund: str

    @classmethod
    def made(cls) -> Pattern:
        """Let the engine make them."""
        run = DryRun(load_policy(ROOT / "policies" / "video.yaml"), store_of())
        detail = {"jobId": "job-JJJJJJJJJJ", "userId": "user-UUUUUUUU", "seconds": 8, "model": "veo-3"}
        for kind, at in (("rendered", "10:00:00"), ("failed", "10:01:00")):
            event = {
                "id": f"00000000-1234-4abc-8def-{kind[0] * 12}",
                "source": "video.generation",
                "detail-type": f"video.{kind}",
            }
            told = {**event, "time": f"2026-01-05T{at}Z", "detail": {**detail, "result_url": "s3://renders/JJJJJJJJJJ.mp4"}}
            run.reconcile(Envelope(told, Source.EVENT))
        debit, refund = (json.dumps(item_of(entry, BEGUN)) for entry in run.entries())
        return cls(debit, refund)

    def item(self, number: int, *, is_refund: bool, at: datetime) -> dict[str, Any]:
        """Return the entry of a job (its number)."""
        text = (self.refund if is_refund else self.debit).replace("JJJJJJJJJJ", f"{number:010d}")
        text = text.replace("UUUUUUUU", f"{number // ENTRIES_OF_A_USER:08d}").replace(posting_text(BEGUN), posting_text(at))
        item: dict[str, Any] = json.loads(text)
        return item


def entries(pattern: Pattern, first: int, last: int) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """Yield the entries from one number to another, each with when it was posted."""
    for number in range(first, last):
        at = BEGUN + timedelta(seconds=number / PER_SECOND)
        is_refund = number % REFUND_EVERY == REFUND_EVERY - 1 and number > REFUND_OF
        yield at, pattern.item(number - REFUND_OF - 1 if is_refund else number, is_refund=is_refund, at=at)


def archived(bucket: Bucket, head: Head, told: Iterator[tuple[datetime, Item]], deadline: Deadline) -> Head:
    """Append entries to an archive, and return its head."""
    for some in batched(told, LINES):
        lines = [record_of(Told.INSERT, at, item).text() for at, item in some]
        new = ArchiveObject.after(head, lines, some[-1][0])
        bucket.put(new.key, new.body(), deadline)
        head = new.head
    return head


# --- the tables ---


def value_bytes(value: Mapping[str, Any]) -> float:
    """Return the size of an attribute value. Source: "DynamoDB item sizes and formats", Developer Guide."""
    ((kind, content),) = value.items()
    if kind == "M":
        return 3 + sum(1 + len(name) + value_bytes(each) for name, each in content.items())
    if kind == "L":
        return 3 + sum(1 + value_bytes(each) for each in content)
    return len(content) / 2 + 1 if kind == "N" else len(content) if kind == "S" else 1


def item_bytes(item: Item) -> float:
    """Return the size of an item."""
    return sum(len(name) + value_bytes(value) for name, value in item.items())


@define
class Reads:
    """Read units and requests, by operation."""

    units: Counter[str] = Factory(Counter)
    requests: Counter[str] = Factory(Counter)

    def note(self, operation: str, items: list[Item], *, is_together: bool) -> None:
        """Note a strongly consistent read."""
        sizes = [item_bytes(item) for item in items]
        units = (
            math.ceil(sum(sizes) / UNIT_BYTES) if is_together else sum(max(1, math.ceil(size / UNIT_BYTES)) for size in sizes)
        )
        self.units[operation] += units
        self.requests[operation] += 1


@define
class MemoryTables:
    """Ledger and Credits behind the calls of DynamoDB's client that an audit makes."""

    reads: Reads = Factory(Reads)
    texts: list[str] = Factory(list)
    places: dict[tuple[str, str], int] = Factory(dict)
    posted: dict[str, Decimal] = Factory(dict)

    def put(self, item: Item) -> None:
        """Post an entry."""
        self.places[item["reference"]["S"], item["sequence"]["N"]] = len(self.texts)
        self.texts.append(json.dumps(item))
        user = item["userId"]["S"]
        self.posted[user] = self.posted.get(user, Decimal(0)) + Decimal(item["amount"]["N"])

    def scan(self, **request: Any) -> dict[str, Any]:
        """Return a page."""
        rows: list[dict[str, Any]] = []
        at, size = request.get("ExclusiveStartKey", {"at": 0})["at"], 0.0
        is_ledger = request["TableName"] == "Ledger"
        users = [] if is_ledger else list(self.posted)[at : at + PAGE_BYTES // 50]
        if is_ledger:
            while at + len(rows) < len(self.texts) and size < PAGE_BYTES:
                rows.append(json.loads(self.texts[at + len(rows)]))
                size += len(self.texts[at + len(rows) - 1]) * 0.7
        else:
            rows = [encode_item({"userId": user, "remaining": Decimal(100), "posted": self.posted[user]}) for user in users]
        self.reads.note(f"scan {request['TableName']}", rows, is_together=True)
        end, whole = at + len(rows), len(self.texts) if is_ledger else len(self.posted)
        return {"Items": rows, **({"LastEvaluatedKey": {"at": end}} if end < whole else {})}

    def query(self, **request: Any) -> dict[str, Any]:
        """Return the entries of a log."""
        reference = request["ExpressionAttributeValues"][":reference"]["S"]
        keys = [(reference, str(sequence)) for sequence in (1, 2)]
        rows = [json.loads(self.texts[self.places[key]]) for key in keys if key in self.places]
        self.reads.note("query Ledger", rows, is_together=True)
        return {"Items": rows}


@define
class CountingClient:
    """A client of the local AWS whose reads are counted."""

    client: Any
    reads: Reads = Factory(Reads)

    def __getattr__(self, name: str) -> Any:
        def send(**request: Any) -> Any:
            answer = getattr(self.client, name)(**request)
            for table, items in answer.get("Responses", {}).items():
                self.reads.note(f"get {table}", items, is_together=False)
            if name in {"scan", "query"}:
                self.reads.note(f"{name} {request['TableName']}", answer.get("Items", []), is_together=True)
            return answer

        return send


# --- figures ---


@frozen
class Figures:
    """What an audit took."""

    name: str
    seen: ArchiveAudit
    seconds: float
    processor_seconds: float
    units: Mapping[str, int]

    def line(self) -> str:
        """Return a row of the table."""
        units = ", ".join(f"{name} {count:,}" for name, count in sorted(self.units.items()))
        each = 1e6 * self.processor_seconds / max(1, self.seen.records)
        return (
            f"| {self.name} | {self.seen.records:,} | {self.seconds:.1f} | {self.processor_seconds:.1f} | {each:.0f}"
            f" | {self.seen.objects:,} | {sum(self.units.values()):,} ({units}) |"
        )


def measured(name: str, store: DynamoAuditStore, reads: Reads, archive: Archive, *, whole: bool) -> Figures:
    """Audit, and return what that took."""
    reads.units.clear()
    began, worked = time.monotonic(), time.process_time()
    seen = audit_archive(archive, store, store.clock.deadline(10**6), lambda _: False, writes=True, whole=whole)
    if seen.damages or not seen.is_finished:
        raise RuntimeError(f"{seen.counts}; {seen.differences[:3]}")
    return Figures(name, seen, time.monotonic() - began, time.process_time() - worked, dict(reads.units))


def measure(count: int) -> list[Figures]:
    """Return the figures of a ledger in memory: the whole, and from its checkpoint a hundredth more."""
    tables, bucket, pattern, clock = MemoryTables(), MemoryBucket(), Pattern.made(), Clock()
    store = DynamoAuditStore(tables, Tables(), clock)  # type: ignore[arg-type]  the calls that an audit makes
    head, figures = EMPTY, list[Figures]()
    for name, first, last in (("the whole", 0, count), ("a hundredth more", count, count + count // 100)):
        head = archived(bucket, head, posted(tables, entries(pattern, first, last)), clock.deadline(10**6))
        archive = Archive(bucket, Record.read, head)
        figures.append(measured(name, store, tables.reads, archive, whole=first == 0))
    return figures


def posted(tables: MemoryTables, told: Iterator[tuple[datetime, dict[str, Any]]]) -> Iterator[tuple[datetime, Item]]:
    """Post entries on their way to the archive."""
    for at, item in told:
        tables.put(item)
        yield at, item


def measure_on_aws(count: int) -> list[Figures]:
    """Return the same figures on the local AWS."""
    with run_local_aws() as aws:
        os.environ.update(aws.environment())
        client, writer = build_client(REGION, aws.endpoint, connections=4), aws.client("dynamodb")
        return measure_with(client, create_tables(client, Tables()), count, writer)


def measure_with(client: Any, tables: Tables, count: int, writer: Any) -> list[Figures]:
    """Return the figures of a ledger in tables that are empty. ``writer`` fills them: a client that waits for its answers."""
    bucket, pattern, clock, counting = MemoryBucket(), Pattern.made(), Clock(), CountingClient(client)
    store = DynamoAuditStore(counting, tables, clock)
    head, figures, sums = EMPTY, list[Figures](), dict[str, Decimal]()
    for name, first, last in (("the whole", 0, count), ("a hundredth more", count, count + count // 100)):
        _write(writer, tables.ledger, (item for _, item in entries(pattern, first, last)))
        for _, item in entries(pattern, first, last):
            user = item["userId"]["S"]
            sums[user] = sums.get(user, Decimal(0)) + Decimal(item["amount"]["N"])
        _write(writer, tables.credits, (encode_item({"userId": user, "posted": total}) for user, total in sums.items()))
        head = archived(bucket, head, entries(pattern, first, last), clock.deadline(10**6))
        figures.append(measured(name, store, counting.reads, Archive(bucket, Record.read, head), whole=first == 0))
    return figures


def _write(client: Any, table: str, items: Iterable[Mapping[str, Any]]) -> None:
    for some in batched(items, 25):
        client.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": item}} for item in some]})


def report(figures: list[Figures]) -> list[str]:
    """Return the figures as a table, and how the second audit compares with the first."""
    whole, since = figures
    head = "| audit of | records | seconds | of a processor | us a record | objects | read units |"
    ratios = [
        f"time: 1/{whole.seconds / since.seconds:.0f} of the whole",
        f"read units: 1/{sum(whole.units.values()) / sum(since.units.values()):.0f} of the whole",
        f"memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB, with the tables",
    ]
    return [head, "| --- | --- | --- | --- | --- | --- | --- |", *(each.line() for each in figures), "", *ratios]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="What an audit against the archive takes.")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--aws", action="store_true")
    given = parser.parse_args()
    print("\n".join(report((measure_on_aws if given.aws else measure)(given.entries))))


if __name__ == "__main__":
    main()
