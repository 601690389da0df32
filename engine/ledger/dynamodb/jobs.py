"""The application's table of jobs, as a scan reads it: in segments, projected, and filtered on the server.

The server leaves out what is settled and what needs no event; rows of a status that nobody mapped come, and are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import batched
from typing import Any

from engine.domain.documents import as_told
from engine.domain.job_row import most_frequent, status_name
from engine.ledger.dynamodb.attributes import decode, decode_item, encode
from engine.ledger.store import Page, ScanSlice

STATUSES_IN_A_FILTER_MAX = 100
"""DynamoDB's bound on the operands of IN."""

NO_MARK_FOR_THIS_STATUS = "NOT (reconciled = :true AND reconciledStatus = #status)"


def scan_request(table: str, part: ScanSlice, ignored: Iterable[str], attributes: frozenset[str] | None) -> dict[str, Any]:
    """Return the request for a slice's next page: rows at any status but the ``ignored`` that are not settled there."""
    names = {"#status": "status"}
    values: dict[str, Any] = {":true": encode(value=True)}
    request: dict[str, Any] = {
        "TableName": table,
        "Segment": part.segment,
        "TotalSegments": part.segments,
        "FilterExpression": " AND ".join([*_without(ignored, values), NO_MARK_FOR_THIS_STATUS]),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }
    if attributes is not None:
        request["ProjectionExpression"] = _projection(attributes, names)
    if part.after is not None:
        request["ExclusiveStartKey"] = {"jobId": encode(part.after)}
    return request


def page_of(answer: Mapping[str, Any], statuses: Collection[str] | None) -> Page:
    """Return an answer as a page. Of ``statuses`` (None: of any) rows are decoded; all others are only counted."""
    rows: list[Mapping[str, Any]] = []
    unmapped: Counter[str] = Counter()
    for item in answer.get("Items", ()):
        status = item.get("status")
        if statuses is None or (status is not None and status.get("S") in statuses):
            rows.append(as_told(decode_item(item)))
        else:
            unmapped[status_name(None if status is None else decode(status))] += 1
    last = answer.get("LastEvaluatedKey")
    return Page(tuple(rows), last["jobId"]["S"] if last else None, most_frequent(unmapped), answer.get("ScannedCount"))


def _without(ignored: Iterable[str], values: dict[str, Any]) -> list[str]:
    places = {f":s{index}": encode(status) for index, status in enumerate(sorted(set(ignored)))}
    values.update(places)
    return [f"NOT #status IN ({', '.join(some)})" for some in batched(places, STATUSES_IN_A_FILTER_MAX)]


def _projection(attributes: frozenset[str], names: dict[str, str]) -> str:
    wanted = sorted((attributes | {"jobId"}) - {"status"})
    places = {f"#a{index}": name for index, name in enumerate(wanted)}
    names.update(places)
    return ", ".join(["#status", *places])
