"""What audits do with the tables, beside what postings do: read entries whole, keep seals, append corrections."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import batched
from typing import Any, Self

from attrs import frozen

from engine.domain.entry import Entry
from engine.ledger.dynamodb.attributes import Item, encode, encode_item
from engine.ledger.dynamodb.calls import Cancelled, ConditionFailed, DynamoDB, call
from engine.ledger.dynamodb.entries import item_of
from engine.ledger.dynamodb.postings import put_entry
from engine.ledger.dynamodb.seals import (
    NO_SEAL,
    Seal,
    SealedEntry,
    header_item,
    header_of,
    headers_request,
    lines_of,
    part_key,
    part_of,
)
from engine.ledger.dynamodb.store import Ledger
from engine.ledger.store import Tables
from engine.runtime.clock import Clock, Deadline

KEYS_TOGETHER_MAX = 100
"""What one BatchGetItem of DynamoDB asks for."""

type Key = tuple[str, int]
"""An entry's reference and sequence."""


@frozen
class Credit:
    """A user's row as an audit sees it. ``posted`` is its attribute value, None where there is none; ``is_there``: the row."""

    user: str
    posted: Item | None = None
    is_there: bool = False

    @property
    def number(self) -> Decimal | None:
        """What was posted: 0 where the row says nothing, None where it is no number."""
        if self.posted is None:
            return Decimal(0)
        return Decimal(str(self.posted["N"])) if "N" in self.posted else None


@frozen
class Vault:
    """The tables of one ledger, read whole. Everything is strongly consistent, but for what is said to be none."""

    client: DynamoDB
    tables: Tables
    clock: Clock

    @classmethod
    def of(cls, ledger: Ledger) -> Self:
        """Return the vault of a ledger."""
        return cls(ledger.client, ledger.tables, ledger.clock)

    # --- entries and balances ---

    def entries(self, deadline: Deadline) -> Iterator[Item]:
        """Yield every entry with all its attributes, as DynamoDB gives it."""
        yield from self._items(self.client.scan, {"TableName": self.tables.ledger, "ConsistentRead": True}, deadline)

    def log(self, reference: str, deadline: Deadline) -> list[Item]:
        """Return the entries of a reference in order of their sequence."""
        request = {
            "TableName": self.tables.ledger,
            "KeyConditionExpression": "#reference = :reference",
            "ExpressionAttributeNames": {"#reference": "reference"},
            "ExpressionAttributeValues": {":reference": encode(reference)},
            "ConsistentRead": True,
        }
        return list(self._items(self.client.query, request, deadline))

    def entries_of_user(self, user: str, deadline: Deadline) -> Iterator[Item]:
        """Yield the entries of a user, by the index: it trails the table by a moment."""
        request = {
            "TableName": self.tables.ledger,
            "IndexName": "UserIdIndex",
            "KeyConditionExpression": "userId = :user",
            "ExpressionAttributeValues": {":user": encode(user)},
        }
        yield from self._items(self.client.query, request, deadline)

    def entries_at(self, keys: Iterable[Key], deadline: Deadline) -> dict[Key, Item]:
        """Return those of the entries that are there."""
        found: dict[Key, Item] = {}
        for some in batched(keys, KEYS_TOGETHER_MAX):
            wanted = {"Keys": [encode_item({"reference": key[0], "sequence": key[1]}) for key in some], "ConsistentRead": True}
            for item in self._some(wanted, deadline):
                found[item["reference"]["S"], int(item["sequence"]["N"])] = item
        return found

    def credit(self, user: str, deadline: Deadline) -> Credit:
        """Return what a user's row says was posted."""
        request = {"TableName": self.tables.credits, "Key": encode_item({"userId": user}), "ConsistentRead": True}
        item = call(self.client.get_item, request, deadline).get("Item")
        return Credit(user, item.get("posted"), is_there=True) if item else Credit(user)

    def credits(self, deadline: Deadline) -> Iterator[Credit]:
        """Yield what every user's row says was posted."""
        request = {"TableName": self.tables.credits, "ProjectionExpression": "userId, posted", "ConsistentRead": True}
        for item in self._items(self.client.scan, request, deadline):
            yield Credit(item["userId"]["S"], item.get("posted"), is_there=True)

    # --- corrections ---

    def append(self, entry: Entry, deadline: Deadline) -> bool:
        """Append an entry that moves no balance. False where its sequence is taken: somebody was faster."""
        return self._write([put_entry(self.tables, item_of(entry, self.clock.now()))], deadline)

    def append_with_posted(self, entry: Entry, seen: Credit, posted: Decimal, moved: Decimal, deadline: Deadline) -> bool:
        """Append an entry, and let the user's row say ``posted``, its balance moved by ``moved``; both or none.

        False where the row is no longer as it was ``seen``, or the sequence is taken.
        """
        put = put_entry(self.tables, item_of(entry, self.clock.now()))
        return self._write([put, {"Update": self._posted(seen, posted, moved)}], deadline)

    def _posted(self, seen: Credit, posted: Decimal, moved: Decimal) -> dict[str, Any]:
        values = {":posted": encode(posted)}
        if moved:
            values[":moved"] = encode(moved)
        if seen.posted is not None:
            the_row_is_as_seen = "posted = :seen"
            values[":seen"] = dict(seen.posted)
        elif seen.is_there:
            the_row_is_as_seen = "attribute_exists(userId) AND attribute_not_exists(posted)"
        else:
            the_row_is_as_seen = "attribute_not_exists(userId)"
        return {
            "TableName": self.tables.credits,
            "Key": encode_item({"userId": seen.user}),
            "UpdateExpression": "SET posted = :posted" + (" ADD remaining :moved" if moved else ""),
            "ConditionExpression": the_row_is_as_seen,
            "ExpressionAttributeValues": values,
        }

    def _write(self, actions: list[dict[str, Any]], deadline: Deadline) -> bool:
        request = {"TransactItems": actions, "ClientRequestToken": os.urandom(18).hex()}
        try:
            call(self.client.transact_write_items, request, deadline)
        except Cancelled:
            return False
        return True

    # --- seals ---

    def last_seal(self, deadline: Deadline) -> Seal:
        """Return the newest header; the one before the first where there is none."""
        request = {**headers_request(self.tables.seals, newest_first=True), "Limit": 1}
        items = call(self.client.query, request, deadline).get("Items", [])
        return header_of(items[0])[0] if items else NO_SEAL

    def seals(self, deadline: Deadline) -> Iterator[tuple[Seal, str]]:
        """Yield all headers in order, each with the hash that was stored with it."""
        yield from map(header_of, self._items(self.client.query, headers_request(self.tables.seals), deadline))

    def keep_part(self, lines: Iterable[str], deadline: Deadline) -> str:
        """Store a part, and return its name. Stored again it is the same."""
        name, item = part_of(lines)
        call(self.client.put_item, {"TableName": self.tables.seals, "Item": item}, deadline)
        return name

    def part(self, name: str, deadline: Deadline) -> list[SealedEntry] | None:
        """Return the entries of a part, None where it is gone or was changed."""
        request = {"TableName": self.tables.seals, "Key": part_key(name), "ConsistentRead": True}
        return lines_of(call(self.client.get_item, request, deadline).get("Item"), name)

    def keep(self, seal: Seal, deadline: Deadline) -> bool:
        """Store a header. False where its number is taken, by another than itself: somebody was faster."""
        this_number_is_free = "attribute_not_exists(id)"
        request = {"TableName": self.tables.seals, "Item": header_item(seal), "ConditionExpression": this_number_is_free}
        try:
            call(self.client.put_item, request, deadline)
        except ConditionFailed:
            return self.last_seal(deadline) == seal  # an answer was lost
        return True

    # --- pages ---

    def _items(self, operation: Any, request: dict[str, Any], deadline: Deadline) -> Iterator[Item]:
        while True:
            answer = call(operation, request, deadline)
            yield from answer.get("Items", ())
            if not (last := answer.get("LastEvaluatedKey")):
                return
            request = {**request, "ExclusiveStartKey": last}

    def _some(self, wanted: dict[str, Any], deadline: Deadline) -> Iterator[Item]:
        """Yield what a BatchGetItem finds; DynamoDB may leave keys for the next one."""
        table = self.tables.ledger
        left: dict[str, Any] = {table: wanted}
        while left:
            answer = call(self.client.batch_get_item, {"RequestItems": left}, deadline)
            yield from answer.get("Responses", {}).get(table, ())
            left = answer.get("UnprocessedKeys") or {}
