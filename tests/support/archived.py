"""An archive in memory, and what the Ledger's stream would tell it: the table is compared with what it was before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from attrs import Factory, define

from engine.ledger.archive.bucket import Bucket, MemoryBucket
from engine.ledger.archive.chain import EMPTY, Head, HeadStore, append
from engine.ledger.dynamodb.attributes import Item
from engine.ledger.dynamodb.stream import Record, Told, key_of, record_of, record_of_stream
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Clock, Deadline

LINES_MAX = 500
"""So many lines are one object: of what comes at once there are several."""


@define
class MemoryHeads:
    """A head in memory. It is a ``archive.chain.HeadStore``."""

    now: Head = EMPTY

    def head(self, deadline: Deadline) -> Head:  # noqa: ARG002  the protocol hands over deadlines
        """Return the head as it is now."""
        return self.now

    def move(self, seen: Head, to: Head, deadline: Deadline) -> bool:  # noqa: ARG002  the same
        """Let the head be ``to``, unless it has moved."""
        if self.now == seen:
            self.now = to
        return self.now == to


@define
class Archived:
    """A table of entries with its archive. ``hand_over`` does what its stream and the function that archives would do."""

    client: Any
    table: str
    now: Callable[[], datetime] = Clock().now
    bucket: Bucket = Factory(MemoryBucket)
    heads: HeadStore = Factory(MemoryHeads)
    seen: dict[EntryKey, Item] = Factory(dict)
    """The table as it was when the stream was read last."""

    @property
    def deadline(self) -> Deadline:
        """Return a deadline that is far away."""
        return Clock().deadline(3600)

    def hand_over(self, at: datetime | None = None, *, repeated: bool = False) -> list[Record]:
        """Append what has become of the table since the last time, and return it. ``repeated``: its batches come twice."""
        records = [record_of_stream(event) for event in self.changes(at or self.now())]
        for _ in range(1 + repeated):
            self.tell(*records, at=at)
        return records

    def tell(self, *records: Record, at: datetime | None = None) -> Head:
        """Append records as they are, some to an object; none: no object."""
        for first in range(0, len(records), LINES_MAX):
            lines = [record.text() for record in records[first : first + LINES_MAX]]
            append(self.bucket, self.heads, lines, at or self.now(), self.deadline)
        return self.heads.head(self.deadline)

    def take_in(self, at: datetime | None = None) -> list[Record]:
        """Append what stands in the table and is not archived, as entries that are older than their archive."""
        now = self.items()
        new = [now[key] for key in _in_order(now) if key not in self.seen]
        records = [record_of(Told.TAKEN_IN, at or self.now(), item) for item in new]
        self.tell(*records, at=at)
        self.seen = now
        return records

    def changes(self, at: datetime) -> list[dict[str, Any]]:
        """Return what the stream has of the table since the last time: its records, as Lambda hands them over."""
        before, self.seen = self.seen, self.items()
        return list(self._changes(before, at))

    def _changes(self, before: dict[EntryKey, Item], at: datetime) -> Iterator[dict[str, Any]]:
        for key in _in_order({**before, **self.seen}):
            then, now = before.get(key), self.seen.get(key)
            if then != now:
                name = "INSERT" if then is None else "REMOVE" if now is None else "MODIFY"
                yield stream_event(name, at, now if now is not None else then or {})

    def items(self) -> dict[EntryKey, Item]:
        """Return every item of the table by its key."""
        request, found = {"TableName": self.table, "ConsistentRead": True}, dict[EntryKey, Item]()
        while True:
            page = self.client.scan(**request)
            found |= {key_of(item): item for item in page["Items"]}
            if "LastEvaluatedKey" not in page:
                return found
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _in_order(items: dict[EntryKey, Item]) -> list[EntryKey]:
    """Return keys in the order of their posting, as far as the entries tell it; of a log in the order of its entries."""
    return sorted(items, key=lambda key: (str(items[key].get("postedAt", {}).get("S", "")), *key))


def stream_event(name: str, at: datetime, item: Item) -> dict[str, Any]:
    """Return a record of a stream with new images."""
    change: dict[str, Any] = {
        "ApproximateCreationDateTime": at.astimezone(UTC).timestamp(),
        "Keys": {part: item[part] for part in ("reference", "sequence")},
    }
    return {"eventName": name, "dynamodb": change if name == "REMOVE" else {**change, "NewImage": item}}
