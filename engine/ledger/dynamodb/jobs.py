"""The application's table of jobs, as a scan reads it: in segments, projected, and filtered on the server.

The server leaves out what is settled and what needs no event; rows of a status that nobody mapped come, and are counted. Where
a policy numbers the tries of a job, a mark names two attributes in one text, and no condition joins them: then settled rows
come too, and are left out here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import batched
from typing import Any

from engine.domain.documents import as_told
from engine.domain.job_row import most_frequent, status_name
from engine.ledger.dynamodb.attributes import decode, decode_item, encode
from engine.ledger.store import Page, ScanSlice
from engine.ledger.wanted import Wanted

STATUSES_IN_A_FILTER_MAX = 100
"""DynamoDB's bound on the operands of IN."""

NO_MARK_FOR_THIS_STATUS = "NOT (reconciled = :true AND reconciledStatus = #status)"


def scan_request(table: str, part: ScanSlice, wanted: Wanted) -> dict[str, Any]:
    """Return the request for a slice's next page: rows at any status but the ignored, unsettled as far as a filter can say."""
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    filters = [*_without(wanted.ignored, values), *_not_settled(wanted, values)]
    request: dict[str, Any] = {"TableName": table, "Segment": part.segment, "TotalSegments": part.segments}
    if filters:
        names["#status"] = "status"
        request["FilterExpression"] = " AND ".join(filters)
    if wanted.attributes is not None:
        request["ProjectionExpression"] = _projection(wanted.attributes, names)
    if part.after is not None:
        request["ExclusiveStartKey"] = {"jobId": encode(part.after)}
    named = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
    return request | {name: given for name, given in named.items() if given}


def page_of(answer: Mapping[str, Any], wanted: Wanted) -> Page:
    """Return an answer as a page. Of the wanted statuses rows are decoded; all others are only counted."""
    rows: list[Mapping[str, Any]] = []
    unmapped: Counter[str] = Counter()
    for item in answer.get("Items", ()):
        status = item.get("status")
        if wanted.settled is not None and wanted.settled(as_told(decode_item(item))):
            continue
        if wanted.statuses is None or (status is not None and status.get("S") in wanted.statuses):
            rows.append(as_told(decode_item(item)))
        else:
            unmapped[status_name(None if status is None else decode(status))] += 1
    last = answer.get("LastEvaluatedKey")
    return Page(tuple(rows), last["jobId"]["S"] if last else None, most_frequent(unmapped), answer.get("ScannedCount"))


def _not_settled(wanted: Wanted, values: dict[str, Any]) -> list[str]:
    if wanted.settled is not None:
        return []
    values[":true"] = encode(value=True)
    return [NO_MARK_FOR_THIS_STATUS]


def _without(ignored: Iterable[str], values: dict[str, Any]) -> list[str]:
    places = {f":s{index}": encode(status) for index, status in enumerate(sorted(set(ignored)))}
    values.update(places)
    return [f"NOT #status IN ({', '.join(some)})" for some in batched(places, STATUSES_IN_A_FILTER_MAX)]


def _projection(attributes: frozenset[str], names: dict[str, str]) -> str:
    wanted = sorted((attributes | {"jobId"}) - {"status"})
    places = {f"#a{index}": name for index, name in enumerate(wanted)}
    names.update({"#status": "status", **places})
    return ", ".join(["#status", *places])
