"""The marks in Jobs and the entries that they rest on. After a restore some of these are gone, and then the mark has to go."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import batched
from typing import Any

from attrs import frozen

from engine.domain.references import JOB
from engine.ledger.dynamodb.attributes import AttributeValue, Item, decode, encode, encode_item
from engine.ledger.dynamodb.calls import KEYS_TOGETHER_MAX, ConditionFailed, DynamoDB, call, items_at, pages
from engine.ledger.dynamodb.seals import text_of
from engine.ledger.marks import MarkedRow
from engine.ledger.store import ScanSlice, Tables
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Deadline

MARK = ("reconciled", "reconciledStatus", "reconciledSequence")
"""The attributes of a mark: they come and go together."""

HAS_A_MARK = "attribute_exists(reconciledSequence) OR reconciled = :true"
"""A refusal for overdraft leaves a sequence without being settled: it too would refuse the marks of a shorter log."""

HASH_KEY_BYTES_MAX = 2048
"""DynamoDB's bound. A job whose reference is longer has no entry, and asking for one is an error."""

ENTRY_NAMES = {"#reference": "reference", "#sequence": "sequence", "#posted": "postedAt"}


type StoredMark = Mapping[str, AttributeValue]
"""The attributes of a mark that are there."""


def marked_row(item: Item) -> MarkedRow:
    """Return the mark of a row as DynamoDB gives it."""
    job: str = item["jobId"]["S"]
    stored: StoredMark = {name: item[name] for name in MARK if name in item}
    sequence = stored.get("reconciledSequence", {})
    entry = (f"{JOB}{job}", decode(sequence)) if "N" in sequence else None
    return MarkedRow(job, {name: next(iter(value.values())) for name, value in stored.items()}, entry, stored)


@frozen
class DynamoMarkStore:
    """The marks of a table of jobs, and the ledger that they rest on. It is a ``ledger.marks.MarkStore``."""

    client: DynamoDB
    tables: Tables

    def pages(self, part: ScanSlice, deadline: Deadline) -> Iterator[list[MarkedRow]]:
        """Yield the marked rows of a segment, page by page."""
        names = {f"#m{number}": name for number, name in enumerate(MARK)}
        request: dict[str, Any] = {
            "TableName": self.tables.jobs,
            "Segment": part.segment,
            "TotalSegments": part.segments,
            "ConsistentRead": True,
            "FilterExpression": HAS_A_MARK,
            "ProjectionExpression": ", ".join(("jobId", *names)),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": {":true": encode(value=True)},
        }
        for page in pages(self.client.scan, request, deadline):
            yield [marked_row(item) for item in page.get("Items", ())]

    def posted_at(self, entries: Collection[EntryKey], deadline: Deadline) -> dict[EntryKey, str]:
        """Return when those of the entries were posted that are there (sortable text; empty where an entry does not say)."""
        keys = [key for key in dict.fromkeys(entries) if len(key[0].encode()) <= HASH_KEY_BYTES_MAX]
        return {key: at for some in batched(keys, KEYS_TOGETHER_MAX) for key, at in self._entries(some, deadline)}

    def _entries(self, keys: Collection[EntryKey], deadline: Deadline) -> Iterator[tuple[EntryKey, str]]:
        """Yield when the entries of one BatchGetItem were posted."""
        wanted = {
            "Keys": [encode_item({"reference": reference, "sequence": sequence}) for reference, sequence in keys],
            "ProjectionExpression": ", ".join(ENTRY_NAMES),
            "ExpressionAttributeNames": ENTRY_NAMES,
            "ConsistentRead": True,
        }
        for item in items_at(self.client, self.tables.ledger, wanted, deadline):
            yield (item["reference"]["S"], decode(item["sequence"])), text_of(item, "postedAt")

    def take_away(self, row: MarkedRow, deadline: Deadline) -> bool:
        """Take the mark off a row. False where it is no longer the one that was read, or the row is gone."""
        stored: StoredMark = row.stored if isinstance(row.stored, Mapping) else {}
        the_mark_is_as_read = " AND ".join(
            f"{name} = :{name}" if name in stored else f"attribute_not_exists({name})" for name in MARK
        )
        request = {
            "TableName": self.tables.jobs,
            "Key": encode_item({"jobId": row.job}),
            "UpdateExpression": f"REMOVE {', '.join(MARK)}",
            "ConditionExpression": the_mark_is_as_read,
            "ExpressionAttributeValues": {f":{name}": value for name, value in stored.items()},
        }
        try:
            call(self.client.update_item, request, deadline)
        except ConditionFailed:
            return False
        return True
