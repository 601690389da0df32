"""Requests for the entries that wait for a person, and for the day they were last told of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engine.domain.instants import posting_text
from engine.ledger.dynamodb.attributes import encode, encode_item

DAY_KEY = {"id": encode("digest")}


def flagged_request(table: str, since: datetime | None) -> dict[str, Any]:
    """Return the request for entries with anomalies, and for those that resolve some, posted ``since``."""
    it_is_flagged = "(size(anomalies) > :none OR attribute_exists(resolution))"
    values: dict[str, object] = {":none": 0}
    if since is not None:
        it_is_flagged += " AND postedAt >= :since"
        values[":since"] = posting_text(since)
    return {
        "TableName": table,
        "FilterExpression": it_is_flagged,
        "ExpressionAttributeValues": encode_item(values),
        "ConsistentRead": True,
    }


def day_request(table: str, day: str) -> dict[str, Any]:
    """Return the request that takes ``day`` for its first asker."""
    nobody_asked_for_it = "attribute_not_exists(lastDay) OR lastDay < :day"
    return {
        "TableName": table,
        "Key": DAY_KEY,
        "UpdateExpression": "SET lastDay = :day",
        "ConditionExpression": nobody_asked_for_it,
        "ExpressionAttributeValues": encode_item({":day": day}),
    }
