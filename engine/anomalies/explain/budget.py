"""How often the model may be asked in any hour, by all containers together: counts by the minute in one row of State.

A call is taken before it is made, so that one whose answer is lost counts as made. Of a minute that lies only in part
within the hour all calls count: in no window of an hour, wherever it begins, are there more than are allowed, and there may
be fewer by what two minutes hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import frozen

from engine.domain.errors import LedgerError
from engine.ledger.dynamodb.attributes import decode_item, encode, encode_item
from engine.ledger.dynamodb.calls import ConditionFailed, DynamoDB, call
from engine.runtime.clock import Clock, Deadline

KEY = {"id": encode("explain#budget")}

MINUTE_SECONDS = 60
MINUTES_COUNTED = 60 + 1
"""An hour, and one minute for what lies between taking a call and making it: a connection, and clocks that differ."""

SECONDS_MAX = 5.0
"""How long a call waits for its turn."""

Counts = Mapping[int, int]
"""Calls by the minute (since 1970) they were taken in."""


@frozen
class Budget:
    """``per_hour`` calls in any hour, kept in a row of the table State."""

    client: DynamoDB
    table: str
    per_hour: int
    clock: Clock

    def take(self, deadline: Deadline) -> bool:
        """Take one call, and say whether it was there. Where the table gives no answer, it was not."""
        deadline = deadline.sooner(SECONDS_MAX)
        try:
            for _ in deadline.attempts():
                version, counts = self._read(deadline)
                after = taken(counts, self.clock.now(), self.per_hour)
                if after is None:
                    return False
                if self._write(version, after, deadline):
                    return True
        except LedgerError:
            return False
        return False

    def _read(self, deadline: Deadline) -> tuple[int, Counts]:
        request = {"TableName": self.table, "Key": KEY, "ConsistentRead": True}
        item = call(self.client.get_item, request, deadline).get("Item")
        row = decode_item(item) if item else {}
        return row.get("version", 0), {int(minute): count for minute, count in row.get("callsByMinute", {}).items()}

    def _write(self, version: int, counts: Counts, deadline: Deadline) -> bool:
        """Write what was taken if nobody else did meanwhile. An answer that was lost makes it look so: it counts twice."""
        nobody_else_took_one = "version = :before" if version else "attribute_not_exists(version)"
        values: dict[str, Any] = {":after": version + 1, ":minutes": {str(minute): n for minute, n in counts.items()}}
        request = {
            "TableName": self.table,
            "Key": KEY,
            "UpdateExpression": "SET version = :after, callsByMinute = :minutes",
            "ConditionExpression": nobody_else_took_one,
            "ExpressionAttributeValues": encode_item(values | ({":before": version} if version else {})),
        }
        try:
            call(self.client.update_item, request, deadline)
        except ConditionFailed:
            return False
        return True


def taken(counts: Counts, now: datetime, per_hour: int) -> dict[int, int] | None:
    """Return the counts with one call more, taken ``now``, or None where the hour before has none left.

    A minute that lies ahead (another container's clock) counts as well.
    """
    minute = int(now.timestamp()) // MINUTE_SECONDS
    within = {at: count for at, count in counts.items() if at >= minute - MINUTES_COUNTED}
    if sum(within.values()) >= per_hour:
        return None
    return {**within, minute: within.get(minute, 0) + 1}
