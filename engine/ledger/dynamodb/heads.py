"""The head of the archive's chain: a row of the Seals table, moved only over what was seen."""

from __future__ import annotations

from typing import Any

from attrs import asdict, frozen

from engine.domain.errors import LedgerRefused
from engine.ledger.archive.chain import EMPTY, Head
from engine.ledger.dynamodb.attributes import decode_item, encode, encode_item
from engine.ledger.dynamodb.calls import ConditionFailed, DynamoDB, call
from engine.runtime.clock import Deadline

HEAD = "archive"
"""What ``id`` is."""


@frozen
class DynamoHeads:
    """The row of the head. It is an ``archive.chain.HeadStore``."""

    client: DynamoDB
    table: str

    def head(self, deadline: Deadline) -> Head:
        """Return the head as it is now; ``EMPTY`` where nothing was appended yet. Raises LedgerRefused for what is none."""
        request = {"TableName": self.table, "Key": encode_item({"id": HEAD, "number": 0}), "ConsistentRead": True}
        row = call(self.client.get_item, request, deadline).get("Item")
        if not row:
            return EMPTY
        stored = decode_item(row)
        said: list[Any] = [stored.get(name) for name in ("object", "digest", "key", "day")]
        if [each.__class__ for each in said] != [int, str, str, str]:
            raise LedgerRefused(f"{self.table}: the row {HEAD}, 0 is no head of an archive: {said}")
        return Head(*said)

    def move(self, seen: Head, to: Head, deadline: Deadline) -> bool:
        """Let the head be ``to``. False where it is no longer as it was ``seen``."""
        item = {"id": HEAD, **asdict(to), "number": 0, "object": to.number}
        request: dict[str, object] = {"TableName": self.table, "Item": encode_item(item)}
        if seen == EMPTY:
            there_is_no_head = "attribute_not_exists(id)"
            request["ConditionExpression"] = there_is_no_head
        else:
            the_head_is_as_seen = "digest = :seen"
            request["ConditionExpression"] = the_head_is_as_seen
            request["ExpressionAttributeValues"] = {":seen": encode(seen.digest)}
        try:
            call(self.client.put_item, request, deadline)
        except ConditionFailed:
            return self.head(deadline) == to  # an answer was lost
        return True
