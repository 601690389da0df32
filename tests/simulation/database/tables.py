"""A table: its items in order, the versions before them that a stale read may see, and what is on its way to them.

Items lie as DynamoDB keeps them: partitions by a hash of their key, which a scan's segments divide, and within a partition by
the sort key. A version that was replaced stays for a while, so that an eventually consistent read has something old to show.
"""

from __future__ import annotations

import base64
import hashlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from math import inf
from typing import Any

from attrs import Factory, define, field, frozen

from tests.simulation.database.digits import number_of
from tests.simulation.database.schema import Index, Key, TableSchema
from tests.simulation.database.values import Item, item_bytes

HASH_BITS = 64

type Place = tuple[int, str, str | Decimal | bytes]
"""Where an item lies in a scan's order: the hash of its partition, the partition, and its sort key."""


@frozen(eq=False)
class Version:
    """An item as it stood from ``since`` on (seconds), None for none; ``size`` in bytes."""

    item: Item | None
    since: float
    size: int


@define(eq=False)
class Slot:
    """Where an item is, was or will be: its versions, the newest last. ``holder`` is the transaction that is changing it."""

    key: Key
    versions: list[Version] = Factory(list)
    holder: object | None = None

    @property
    def item(self) -> Item | None:
        return self.versions[-1].item if self.versions else None

    @property
    def size(self) -> int:
        return self.versions[-1].size if self.versions else 0


@lru_cache(maxsize=1 << 16)
def hash_of(part: str) -> int:
    """Return where a hash key's value lies among all; DynamoDB does not say how it hashes."""
    digest = hashlib.blake2b(part.encode(), digest_size=HASH_BITS // 8).digest()
    return int.from_bytes(digest)


def ordering(kind: str, content: str) -> str | Decimal | bytes:
    """Return what orders a key's value among others of its kind."""
    if kind == "N":
        return number_of(content)
    return content if kind == "S" else base64.b64decode(content)


@define(eq=False)
class Table:
    """A table's items. ``memory_seconds`` says for how long a replaced version can still be seen."""

    schema: TableSchema
    memory_seconds: float = 0.0
    slots: dict[Key, Slot] = Factory(dict)
    places: list[Place] = Factory(list)
    keys: dict[Place, Key] = Factory(dict)
    by_index: dict[tuple[str, str], dict[Key, None]] = Factory(dict)
    """The keys of the items that have, or had, a value as an index's hash key, in the order in which they came."""
    sizes: dict[int, int] = Factory(dict)
    """The bytes of each item that stands in a version, by its identity: reads count them again and again."""
    _counted: list[int] = field(factory=lambda: [0, 0])

    # --- writes ---

    def slot(self, key: Key) -> Slot:
        """Return where an item with this key is or may come to be; nothing is noted yet."""
        return self.slots.get(key) or Slot(key)

    def hold(self, key: Key, holder: object) -> None:
        """Let a transaction hold an item, which need not be there."""
        self.slots.setdefault(key, Slot(key)).holder = holder

    def release(self, key: Key) -> None:
        """Let an item go; what never was there leaves nothing behind."""
        slot = self.slots[key]
        slot.holder = None
        if not slot.versions:
            del self.slots[key]

    def write(self, key: Key, item: Item | None, now: float) -> None:
        """Let an item stand where another one did, or none (None)."""
        slot = self.slots.setdefault(key, Slot(key))
        size = item_bytes(item) if item is not None else 0
        self._counted[0] += (item is not None) - (slot.item is not None)
        self._counted[1] += size - slot.size
        if item is not None:
            self._note(slot, item)
            self.sizes[id(item)] = size
        if not slot.versions:  # that nothing stands there is what a replica shows that has not heard of it
            slot.versions.append(Version(None, -inf, 0))
        slot.versions.append(Version(item, now, size))
        self._forget(slot, now)

    @property
    def items(self) -> int:
        """How many items there are."""
        return self._counted[0]

    @property
    def bytes(self) -> int:
        """How many bytes they take."""
        return self._counted[1]

    def _note(self, slot: Slot, item: Item) -> None:
        place = self.place(slot.key)
        if place not in self.keys:
            self.keys[place] = slot.key
            insort(self.places, place)
        for index in self.schema.indexes.values():
            if (key := index.key.of_item(item)) is not None:
                self.by_index.setdefault((index.name, key[0]), {})[slot.key] = None

    def _forget(self, slot: Slot, now: float) -> None:
        """Forget the versions that nobody can see any more; of an item that is gone, the place too."""
        while len(slot.versions) > 1 and slot.versions[1].since <= now - self.memory_seconds:
            version = slot.versions.pop(0)
            self.sizes.pop(id(version.item), None)
            self._unnote(slot, version)
        if len(slot.versions) == 1 and slot.item is None:
            place = self.place(slot.key)
            if self.keys.pop(place, None) is not None:
                del self.places[bisect_left(self.places, place)]
            slot.versions.clear()
            if slot.holder is None:
                del self.slots[slot.key]

    def _unnote(self, slot: Slot, version: Version) -> None:
        for index in self.schema.indexes.values():
            key = index.key.of_item(version.item or {})
            still = {index.key.of_item(other.item or {}) for other in slot.versions}
            if key is not None and key[0] not in {other[0] for other in still if other is not None}:
                noted = self.by_index[index.name, key[0]]
                noted.pop(slot.key, None)
                if not noted:
                    del self.by_index[index.name, key[0]]

    # --- reads ---

    def size_of(self, item: Item) -> int:
        """Return the bytes of an item; what stands in a version was counted when it was written."""
        size = self.sizes.get(id(item))
        return item_bytes(item) if size is None else size

    def place(self, key: Key) -> Place:
        """Return where a key lies in a scan's order."""
        kinds = list(self.schema.key.kinds.values())
        return hash_of(key[0]), key[0], ordering(kinds[1], key[1]) if len(kinds) > 1 else ""

    def seen(self, slot: Slot, now: float) -> list[Version]:
        """Return the versions of an item that a stale read may see, the newest last."""
        first = 0
        while first + 1 < len(slot.versions) and slot.versions[first + 1].since <= now - self.memory_seconds:
            first += 1
        return slot.versions[first:]

    def partition(self, part: str) -> list[Key]:
        """Return the keys of a partition, in order of their sort keys."""
        number = hash_of(part)
        low, high = bisect_left(self.places, (number, part)), bisect_right(self.places, (number, part + "\0"))
        return [self.keys[place] for place in self.places[low:high] if place[1] == part]

    def segment(self, segment: int, segments: int, after: Key | None) -> Iterator[Key]:
        """Yield the keys of one of ``segments`` equal parts of all hashes, behind the key ``after``."""
        low = -(-(segment << HASH_BITS) // segments)
        high = -(-((segment + 1) << HASH_BITS) // segments)
        begin = bisect_left(self.places, (low,))
        if after is not None:
            begin = max(begin, bisect_right(self.places, self.place(after)))
        for place in self.places[begin : bisect_left(self.places, (high,))]:
            yield self.keys[place]

    def indexed(self, index: Index, part: str) -> list[Key]:
        """Return the keys of the items that have, or had, a value as an index's hash key."""
        return list(self.by_index.get((index.name, part), ()))

    def description(self) -> dict[str, Any]:
        """Return what DescribeTable tells of the table."""
        told = {key: value for key, value in self.schema.described.items() if key in TOLD}
        indexes = [
            {**index.description, "IndexStatus": "ACTIVE", "ItemCount": 0, "IndexSizeBytes": 0}
            for index in self.schema.indexes.values()
        ]
        arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{self.schema.name}"
        return {
            **told,
            "TableStatus": "ACTIVE",
            "TableArn": arn,
            "ItemCount": self.items,
            "TableSizeBytes": self.bytes,
            **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
        }


TOLD = ("TableName", "AttributeDefinitions", "KeySchema")
"""What a description repeats of the request that made the table."""
