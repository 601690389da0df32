"""The Ledger read whole, or at many places at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import batched
from typing import Any

from attrs import frozen

from engine.ledger.dynamodb.attributes import decode_item, encode_item
from engine.ledger.dynamodb.calls import KEYS_TOGETHER_MAX, DynamoDB, items, items_at
from engine.ledger.store import StoredEntry, Tables
from engine.ledger.stored import EntryKey
from engine.runtime.clock import Deadline


@frozen
class DynamoLogStore:
    """The table of entries. It is a ``ledger.logs.LogStore``."""

    client: DynamoDB
    tables: Tables

    def entries(self, deadline: Deadline) -> Iterator[dict[str, Any]]:
        """Yield every entry, page by page."""
        request = {"TableName": self.tables.ledger, "ConsistentRead": True}
        yield from map(decode_item, items(self.client.scan, request, deadline))

    def entries_at(self, keys: Iterable[EntryKey], deadline: Deadline) -> dict[EntryKey, StoredEntry]:
        """Return those of the entries that are there, a hundred keys a request."""
        found: dict[EntryKey, StoredEntry] = {}
        for some in batched(keys, KEYS_TOGETHER_MAX):
            wanted = {"Keys": [encode_item({"reference": key[0], "sequence": key[1]}) for key in some], "ConsistentRead": True}
            for entry in map(decode_item, items_at(self.client, self.tables.ledger, wanted, deadline)):
                found[entry["reference"], entry["sequence"]] = entry
        return found
