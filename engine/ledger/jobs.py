"""The application's table of jobs, as a scan reads it: in segments, projected, and filtered on the server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from engine.ledger.attributes import encode

STATUSES_IN_A_FILTER_MAX = 100
"""DynamoDB's bound on the operands of IN."""

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
    """One answer of the scan: rows that are due, and where to go on (None at the end of the segment)."""

    rows: tuple[Mapping[str, Any], ...]
    next_after: str | None


def scan_request(
    table: str, part: ScanSlice, statuses: Iterable[str] | None, attributes: frozenset[str] | None
) -> dict[str, Any]:
    """Return the request for a slice's next page: rows at one of ``statuses`` (None: at any) not marked as settled there."""
    names = {"#status": "status"}
    values: dict[str, Any] = {":true": encode(value=True)}
    request: dict[str, Any] = {
        "TableName": table,
        "Segment": part.segment,
        "TotalSegments": part.segments,
        "FilterExpression": " AND ".join([*_status_filter(statuses, values), NO_MARK_FOR_THIS_STATUS]),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }
    if attributes is not None:
        request["ProjectionExpression"] = _projection(attributes, names)
    if part.after is not None:
        request["ExclusiveStartKey"] = {"jobId": encode(part.after)}
    return request


def _status_filter(statuses: Iterable[str] | None, values: dict[str, Any]) -> list[str]:
    wanted = sorted(statuses or ())
    if not 1 <= len(wanted) <= STATUSES_IN_A_FILTER_MAX:
        return []
    places = {f":s{index}": encode(status) for index, status in enumerate(wanted)}
    values.update(places)
    return [f"#status IN ({', '.join(places)})"]


def _projection(attributes: frozenset[str], names: dict[str, str]) -> str:
    wanted = sorted((attributes | {"jobId"}) - {"status"})
    places = {f"#a{index}": name for index, name in enumerate(wanted)}
    names.update(places)
    return ", ".join(["#status", *places])
