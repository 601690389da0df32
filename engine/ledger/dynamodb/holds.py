"""The holds by when they are due: a sparse index of the Ledger, and a row of State that says up to when it was looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from engine.domain.errors import LedgerRefused
from engine.ledger.dynamodb.attributes import decode_item, encode, encode_item
from engine.ledger.dynamodb.calls import DynamoDB, call, pages
from engine.ledger.holds import PAGE_HOLDS, DueHold
from engine.ledger.store import Tables
from engine.runtime.clock import Deadline

INDEX = "HoldDueIndex"
"""Only the entries are in it that make a hold: no other has ``holdShard`` and ``holdDue``."""

KEY = {"id": encode("holds")}

NO_SUCH_INDEX = "does not have the specified index"
"""What DynamoDB says of a table without it."""

FIRST = "0"
"""Sorts before every instant. A key of DynamoDB is never empty."""


@frozen
class DynamoHoldStore:
    """The index and the row. It is a ``ledger.holds.HoldStore``."""

    client: DynamoDB
    tables: Tables

    def due(self, shard: str, since: str, until: str, deadline: Deadline) -> Iterator[list[DueHold]]:
        """Yield, a hundred at a time in order, the holds of a shard that are due from ``since`` to ``until``."""
        try:
            for page in pages(self.client.query, self._request(shard, since, until), deadline):
                yield [_hold(decode_item(item)) for item in page.get("Items", ())]
        except LedgerRefused as error:
            raise _refused(error, self.tables.ledger) from error

    def _request(self, shard: str, since: str, until: str) -> dict[str, Any]:
        return {
            "TableName": self.tables.ledger,
            "IndexName": INDEX,
            "KeyConditionExpression": "holdShard = :shard AND holdDue BETWEEN :since AND :until",
            "ExpressionAttributeValues": encode_item({":shard": shard, ":since": since or FIRST, ":until": until}),
            "Limit": PAGE_HOLDS,
        }

    def looked_until(self, deadline: Deadline) -> Mapping[str, str]:
        """Return up to when each shard was looked through."""
        request = {"TableName": self.tables.state, "Key": KEY, "ConsistentRead": True}
        item = call(self.client.get_item, request, deadline).get("Item")
        return decode_item(item)["until"] if item else {}

    def look_until(self, until: Mapping[str, str], deadline: Deadline) -> None:
        """Keep up to when each shard was looked through, in the place of what was kept before."""
        item = {**KEY, "until": encode(dict(until))}
        call(self.client.put_item, {"TableName": self.tables.state, "Item": item}, deadline)


def _hold(stored: Mapping[str, Any]) -> DueHold:
    return DueHold(stored["reference"], stored["sequence"], stored["holdDue"])


def _refused(error: LedgerRefused, table: str) -> LedgerRefused:
    if NO_SUCH_INDEX not in str(error):
        return error
    return LedgerRefused(
        f"table {table} has no index {INDEX}; docs/runbook.md#holds-that-are-due says how it is added ({error})"
    )
