"""The rows of jobs that events ask for: one read for one event, one request for up to a hundred of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import batched
from typing import Any

from engine.domain.documents import as_told
from engine.domain.errors import LedgerUnavailable
from engine.ledger.dynamodb.attributes import Item, decode_item, encode
from engine.ledger.dynamodb.calls import KEYS_TOGETHER_MAX, DynamoDB, call, items_at
from engine.runtime.clock import Deadline


def read_rows(
    client: DynamoDB, table: str, jobs: Sequence[str], attributes: frozenset[str] | None, deadline: Deadline
) -> dict[str, Any]:
    """Return the rows of some jobs by their names (strongly consistent), as events would tell them.

    Of each row it returns ``attributes`` (None: all) and its ``jobId``, by which a row without any of them is told from none.
    One that stays unread costs no other: the error stands in its place.
    """
    wanted, rows = _wanted(attributes), dict[str, Any]()
    found = _one(client, table, jobs[0], wanted, deadline) if len(jobs) == 1 else _many(client, table, jobs, wanted, deadline)
    try:
        for item in found:
            row = as_told(decode_item(item))
            rows[row["jobId"]] = row
    except LedgerUnavailable as error:
        return dict.fromkeys(jobs, error) | rows
    return rows


def _one(client: DynamoDB, table: str, job: str, wanted: Mapping[str, Any], deadline: Deadline) -> Iterator[Item]:
    item = call(client.get_item, {"TableName": table, "Key": _key(job), **wanted}, deadline).get("Item")
    if item:
        yield item


def _many(client: DynamoDB, table: str, jobs: Sequence[str], wanted: Mapping[str, Any], deadline: Deadline) -> Iterator[Item]:
    for some in batched(dict.fromkeys(jobs), KEYS_TOGETHER_MAX):
        yield from items_at(client, table, {"Keys": [_key(job) for job in some], **wanted}, deadline)


def _key(job: str) -> dict[str, Any]:
    return {"jobId": encode(job)}


def _wanted(attributes: frozenset[str] | None) -> dict[str, Any]:
    if attributes is None:
        return {"ConsistentRead": True}
    places = {f"#a{index}": name for index, name in enumerate(sorted(attributes | {"jobId"}))}
    return {"ConsistentRead": True, "ProjectionExpression": ", ".join(places), "ExpressionAttributeNames": places}
