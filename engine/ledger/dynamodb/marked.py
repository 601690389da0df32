"""The marks in Jobs and the entries that they rest on. After a restore some of these are gone, and then the mark has to go."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import batched
from typing import Any, Self

from attrs import frozen

from engine.domain.references import JOB
from engine.ledger.dynamodb.attributes import AttributeValue, Item, encode, encode_item
from engine.ledger.dynamodb.calls import ConditionFailed, DynamoDB, call
from engine.ledger.dynamodb.store import Ledger
from engine.ledger.dynamodb.vault import KEYS_TOGETHER_MAX
from engine.ledger.store import ScanSlice, Tables
from engine.runtime.clock import Deadline

type EntryKey = tuple[str, str]
"""An entry's reference, and its sequence as DynamoDB writes numbers."""

MARK = ("reconciled", "reconciledStatus", "reconciledSequence")
"""The attributes of a mark: they come and go together."""

HAS_A_MARK = "attribute_exists(reconciledSequence) OR reconciled = :true"
"""A refusal for overdraft leaves a sequence without being settled: it too would refuse the marks of a shorter log."""

HASH_KEY_BYTES_MAX = 2048
"""DynamoDB's bound. A job whose reference is longer has no entry, and asking for one is an error."""

ENTRY_NAMES = {"#reference": "reference", "#sequence": "sequence", "#posted": "postedAt"}


@frozen
class MarkedRow:
    """A job and its mark as they were read: attribute values, None where there is none."""

    job: str
    mark: tuple[AttributeValue | None, ...]

    @classmethod
    def of(cls, item: Item) -> Self:
        """Return the mark of a row as DynamoDB gives it."""
        return cls(item["jobId"]["S"], tuple(item.get(name) for name in MARK))

    @property
    def entry(self) -> EntryKey | None:
        """The entry that the mark rests on; None where the mark names none (made by hand, or by an earlier version)."""
        sequence = self.mark[2] or {}
        return (f"{JOB}{self.job}", sequence["N"]) if "N" in sequence else None


@frozen
class Marks:
    """The marks of a table of jobs, and the ledger that they rest on. What is read is strongly consistent."""

    client: DynamoDB
    tables: Tables

    @classmethod
    def of(cls, ledger: Ledger) -> Self:
        """Return the marks of a ledger's jobs."""
        return cls(ledger.client, ledger.tables)

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
        while True:
            answer = call(self.client.scan, request, deadline)
            yield [MarkedRow.of(item) for item in answer.get("Items", ())]
            if not (last := answer.get("LastEvaluatedKey")):
                return
            request["ExclusiveStartKey"] = last

    def posted_at(self, entries: Collection[EntryKey], deadline: Deadline) -> dict[EntryKey, str]:
        """Return when those of the entries were posted that are there (sortable text; empty where an entry does not say)."""
        keys = [key for key in dict.fromkeys(entries) if len(key[0].encode()) <= HASH_KEY_BYTES_MAX]
        return {key: at for some in batched(keys, KEYS_TOGETHER_MAX) for key, at in self._entries(some, deadline)}

    def _entries(self, keys: Collection[EntryKey], deadline: Deadline) -> Iterator[tuple[EntryKey, str]]:
        """Yield what one BatchGetItem asks for; DynamoDB may leave keys for the next one."""
        wanted = {
            "Keys": [{"reference": {"S": reference}, "sequence": {"N": sequence}} for reference, sequence in keys],
            "ProjectionExpression": ", ".join(ENTRY_NAMES),
            "ExpressionAttributeNames": ENTRY_NAMES,
            "ConsistentRead": True,
        }
        left: dict[str, Any] = {self.tables.ledger: wanted}
        while left:
            answer = call(self.client.batch_get_item, {"RequestItems": left}, deadline)
            for item in answer.get("Responses", {}).get(self.tables.ledger, ()):
                yield (item["reference"]["S"], item["sequence"]["N"]), item.get("postedAt", {}).get("S", "")
            left = answer.get("UnprocessedKeys") or {}

    def take_away(self, row: MarkedRow, deadline: Deadline) -> bool:
        """Take the mark off a row. False where it is no longer the one that was read, or the row is gone."""
        pairs = list(zip(MARK, row.mark, strict=True))
        the_mark_is_as_read = " AND ".join(
            f"attribute_not_exists({name})" if value is None else f"{name} = :{name}" for name, value in pairs
        )
        request = {
            "TableName": self.tables.jobs,
            "Key": encode_item({"jobId": row.job}),
            "UpdateExpression": f"REMOVE {', '.join(MARK)}",
            "ConditionExpression": the_mark_is_as_read,
            "ExpressionAttributeValues": {f":{name}": value for name, value in pairs if value is not None},
        }
        try:
            call(self.client.update_item, request, deadline)
        except ConditionFailed:
            return False
        return True
