"""The run of the scan that is under way, in the State table: which it is, and how many entries it may still post."""

from __future__ import annotations

from typing import Any

from engine.ledger.dynamodb.attributes import decode_item, encode, encode_item

RUN = "run"
"""There is one row: a run that begins takes it, and the one before is over."""

KEY = {"id": encode(RUN)}


def run_item(run: str, entries_max: int) -> dict[str, Any]:
    """Return the row of a run that begins."""
    return encode_item({"id": RUN, "scanRun": run, "entriesLeft": entries_max})


def run_request(table: str) -> dict[str, Any]:
    """Return the request for the row of the run that is under way."""
    return {"TableName": table, "Key": KEY, "ConsistentRead": True}


def change_request(table: str, run: str, entries: int) -> dict[str, Any]:
    """Return the request that adds ``entries`` (a negative number: takes some) to what ``run`` may post."""
    return {
        "TableName": table,
        "Key": KEY,
        "UpdateExpression": "ADD entriesLeft :entries",
        "ConditionExpression": "scanRun = :run",
        "ExpressionAttributeValues": {":entries": encode(entries), ":run": encode(run)},
    }


def entries_left(item: dict[str, Any] | None, run: str) -> int | None:
    """Return how many entries ``run`` may still post; None where it is not the run under way."""
    row = decode_item(item) if item else {}
    return int(row["entriesLeft"]) if row.get("scanRun") == run else None
