"""Appends what the Ledger's stream hands over to the archive: a batch is one object of the chain.

The object is put first and the head moved then. Whatever fails in between is raised, so that the stream hands the batch over
again: nothing is lost, and what is archived twice is the same twice. A record that is none of the Ledger's must not block
those behind it: it is put aside as it is, under ``odd/``, and told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from attrs import field, frozen

from engine.domain.errors import LedgerError
from engine.ledger.archive.bucket import Bucket
from engine.ledger.archive.chain import DIGITS, HeadStore, append
from engine.runtime.clock import Clock, Deadline
from engine.runtime.telemetry import ARCHIVE_LAG, Telemetry

ODD = "odd/"
"""What the keys of that begin with which is no record of the Ledger's stream."""

ARCHIVED, OBJECTS, ODD_RECORDS = "Archived", "ArchivedObjects", "ArchivedOdd"
METRICS = (ARCHIVED, OBJECTS, ODD_RECORDS, ARCHIVE_LAG)
"""What is counted: records and objects of the chain, records that are none, seconds that the oldest record has waited."""

SENSELESS = (ArithmeticError, AttributeError, KeyError, OSError, TypeError, ValueError)
"""What reading something raises that is no record of the Ledger's stream."""

ODD_SHOWN_MAX = 10
"""So many are named in a line of the log."""

LineOf = Callable[[Mapping[str, Any]], str]


@frozen
class SortedBatch:
    """The records of a batch: the lines of those that make sense, and the others with what is wrong with each."""

    lines: tuple[str, ...]
    odd: tuple[tuple[Any, str], ...]
    since: datetime | None = None
    """When the oldest was written, of those that say it."""


@frozen
class Writer:
    """A chain, its head, and how a record of the stream is read (``line_of`` raises one of ``SENSELESS`` for what is none)."""

    bucket: Bucket
    heads: HeadStore
    line_of: LineOf
    telemetry: Telemetry = field(repr=False)
    clock: Clock = field(repr=False)

    def batch(self, records: Sequence[Any], deadline: Deadline) -> dict[str, Any]:
        """Append the records of a batch, and return what was done. Raises LedgerError where they have to come again."""
        batch = self._sorted(records)
        told: dict[str, Any] = {"records": len(batch.lines), "odd": [problem for _, problem in batch.odd[:ODD_SHOWN_MAX]]}
        try:
            told |= self._keep(batch, deadline)
        except LedgerError as error:
            failed = {**told, "error": type(error).__name__, "problem": str(error)}
            self.telemetry.noted("not archived", failed, self._lag(batch), is_wrong=True)
            raise
        metrics = {ARCHIVED: len(batch.lines), OBJECTS: int(bool(batch.lines)), ODD_RECORDS: len(batch.odd)}
        self.telemetry.noted("archived", told, {**metrics, **self._lag(batch)}, is_wrong=bool(batch.odd))
        return told

    def _keep(self, batch: SortedBatch, deadline: Deadline) -> dict[str, Any]:
        now = self.clock.now()
        for record, _ in batch.odd:
            key, body = odd_object(record, now)
            self.bucket.put(key, body, deadline)
        if not batch.lines:
            return {}
        head = append(self.bucket, self.heads, batch.lines, now, deadline)
        return {"object": head.number, "key": head.key, "digest": head.digest}

    def _sorted(self, records: Sequence[Any]) -> SortedBatch:
        lines, odd = [], []
        for record in records:
            try:
                lines.append(self.line_of(record))
            except SENSELESS as error:
                odd.append((record, f"{type(error).__name__}: {error}"))
        return SortedBatch(tuple(lines), tuple(odd), min(times_of(records), default=None))

    def _lag(self, batch: SortedBatch) -> dict[str, float]:
        if batch.since is None:
            return {}
        return {ARCHIVE_LAG: round(max(0.0, (self.clock.now() - batch.since).total_seconds()), 3)}


def odd_object(record: Any, at: datetime) -> tuple[str, bytes]:
    """Return where something is kept that is no record, and what: told again on one day it is the same object."""
    body = json.dumps(record, sort_keys=True).encode("ascii")
    return f"{ODD}day={at.astimezone(UTC).date().isoformat()}/{sha256(body).hexdigest()[:DIGITS]}.json", body


def times_of(records: Sequence[Any]) -> Iterator[datetime]:
    """Yield when records were written, of those that say it."""
    for record in records:
        try:
            yield datetime.fromtimestamp(float(record["dynamodb"]["ApproximateCreationDateTime"]), UTC)
        except SENSELESS:
            continue
