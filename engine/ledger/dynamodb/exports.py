"""The Ledger as lines of an archive: each item whole, in DynamoDB's own JSON, with its digest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from attrs import frozen

from engine.domain.instants import posting_text
from engine.ledger.dynamodb.attributes import encode
from engine.ledger.dynamodb.calls import DynamoDB, items
from engine.ledger.dynamodb.stream import Told, record_of
from engine.ledger.exports import Span
from engine.ledger.store import ScanSlice
from engine.runtime.clock import Deadline

NOT_LATER = "NOT postedAt >= :until"
NOT_EARLIER = "NOT postedAt < :since"
"""An entry that does not say when it was posted compares with nothing, and is not left out."""


@frozen
class DynamoExportStore:
    """The table of entries. It is a ``ledger.exports.ExportStore``."""

    client: DynamoDB
    table: str

    def lines(self, part: ScanSlice, span: Span, at: datetime, deadline: Deadline) -> Iterator[str]:
        """Yield the entries of a segment, as the archive would take them in ``at`` an instant."""
        for item in items(self.client.scan, self._request(part, span), deadline):
            yield record_of(Told.TAKEN_IN, at, item).text()

    def _request(self, part: ScanSlice, span: Span) -> dict[str, Any]:
        values = {":until": encode(posting_text(span.until))}
        if span.since is not None:
            values[":since"] = encode(posting_text(span.since))
        return {
            "TableName": self.table,
            "Segment": part.segment,
            "TotalSegments": part.segments,
            "ConsistentRead": True,
            "FilterExpression": NOT_LATER if span.since is None else f"{NOT_LATER} AND {NOT_EARLIER}",
            "ExpressionAttributeValues": values,
        }
