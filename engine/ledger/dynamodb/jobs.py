"""The application's table of jobs, as a scan reads it: in segments, projected, and filtered on the server.

The server leaves out what is settled and what needs no event; rows of a status that nobody mapped come, and are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import batched
from typing import Any

from attrs import frozen

from engine.domain.documents import as_told
from engine.domain.errors import shown
from engine.ledger.dynamodb.attributes import decode, decode_item, encode

STATUSES_IN_A_FILTER_MAX = 100
"""DynamoDB's bound on the operands of IN."""

STATUSES_TOLD_MAX = 20
"""How many statuses that nobody mapped are told by name."""

STATUS_CHARACTERS_MAX = 64
NO_STATUS, OTHER_STATUSES = "(missing)", "(others)"

SEGMENTS_MAX = 1_000_000
"""DynamoDB's bound on TotalSegments."""

NO_MARK_FOR_THIS_STATUS = "NOT (reconciled = :true AND reconciledStatus = #status)"


@frozen
class ScanSlice:
    """A part of the table of jobs: what lies behind ``after`` (a jobId) in one of ``segments`` segments.

    ``started`` is the instant the whole scan began (ISO 8601): it stands in for a row that has no time of its own.
    """

    segment: int = 0
    segments: int = 1
    after: str | None = None
    started: str | None = None

    def __attrs_post_init__(self) -> None:
        is_whole = isinstance(self.segment, int) and isinstance(self.segments, int)
        if not is_whole or not 0 <= self.segment < self.segments <= SEGMENTS_MAX:
            raise ValueError(
                f"segment {self.segment!r} of {self.segments!r}; 0 <= segment < segments <= {SEGMENTS_MAX} is needed"
            )
        if not all(value is None or isinstance(value, str) for value in (self.after, self.started)):
            raise ValueError("after and started must be strings or null")


@frozen
class Page:
    """One answer of the scan: rows that are due, and where to go on (None at the end of the segment).

    ``unmapped`` counts the rows of each status that nobody mapped.
    """

    rows: tuple[Mapping[str, Any], ...]
    next_after: str | None
    unmapped: Mapping[str, int] = {}


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
    return Page(tuple(rows), last["jobId"]["S"] if last else None, most_frequent(unmapped))


def status_name(status: object) -> str:
    """Return a status as a person reads it, whatever an application has written there."""
    if status is None:
        return NO_STATUS
    if isinstance(status, str) and status.isprintable() and 1 <= len(status) <= STATUS_CHARACTERS_MAX:
        return status
    return shown(status) if isinstance(status, str) else f"({type(status).__name__}) {shown(status)}"


def most_frequent(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts of the most frequent names, and of all others together, so that an answer stays small."""
    if len(counts) <= STATUSES_TOLD_MAX:
        return dict(counts)
    named = sorted((name for name in counts if name != OTHER_STATUSES), key=lambda name: (-counts[name], name))
    told = {name: counts[name] for name in named[: STATUSES_TOLD_MAX - 1]}
    return {**told, OTHER_STATUSES: sum(counts.values()) - sum(told.values())}


def _without(ignored: Iterable[str], values: dict[str, Any]) -> list[str]:
    places = {f":s{index}": encode(status) for index, status in enumerate(sorted(set(ignored)))}
    values.update(places)
    return [f"NOT #status IN ({', '.join(some)})" for some in batched(places, STATUSES_IN_A_FILTER_MAX)]


def _projection(attributes: frozenset[str], names: dict[str, str]) -> str:
    wanted = sorted((attributes | {"jobId"}) - {"status"})
    places = {f"#a{index}": name for index, name in enumerate(wanted)}
    names.update(places)
    return ", ".join(["#status", *places])
