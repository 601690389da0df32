"""Telemetry that writes no line and counts how decisions ended: the branches that a history takes; and words for its story."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from engine.domain.errors import EventError
from engine.runtime.clock import Clock
from engine.runtime.telemetry import Failure, Report, Telemetry
from tests.simulation.world.documents import Document
from tests.support.canaries import DETAIL


class Counting(Telemetry):
    """Counts outcomes by source, and errors; what was flagged the ledger tells (``tables.count_entries``)."""

    def __init__(self, count: Counter[str], clock: Clock) -> None:
        super().__init__(write=lambda _line: None, clock=clock)
        object.__setattr__(self, "count", count)

    def settled(self, report: Report, _shadowed: object = None) -> None:
        """Count how an event ended."""
        count: Counter[str] = self.count  # type: ignore[attr-defined]
        source = report.envelope.source.value if report.envelope else "?"
        count[f"outcome {report.outcome.value} by {source}"] += 1
        if report.attempts > 1:
            count["decided more than once"] += 1

    def failed(self, failure: Failure) -> None:
        """Count why an event comes back."""
        count: Counter[str] = self.count  # type: ignore[attr-defined]
        count[f"comes back {type(failure.error).__name__}"] += 1
        if isinstance(failure.error, EventError):
            count[f"refused for {failure.error.field}"] += 1

    def _line(self, *_values: object, **_named: object) -> None:
        """Write nothing."""


# --- words ------------------------------------------------------------------------------------------------------------

TOLD_OF_A_RUN = ("outcomes", "adjustments", "capped", "errors")


def end_shown(said: Mapping[str, Any]) -> str:
    """Return how an invocation ended, in few words."""
    if "outcome" in said:
        return f"{said['outcome']} {said['amount'] or ''}".strip()
    if "batchItemFailures" in said:
        return f"{len(said['batchItemFailures'])} come back"
    return ", ".join(f"{name} {said[name]}" for name in TOLD_OF_A_RUN if said.get(name)) or "done"


def event_shown(document: Document) -> str:
    """Return what an event says."""
    if "detail" not in document:
        return f"{document['id']}, which is no event"
    detail = document["detail"]
    if not isinstance(detail, dict):
        said = repr(detail)
    else:
        said = ", ".join(f"{name} {value}" for name, value in detail.items() if name not in DETAIL)
    return f"{document['id']} ({document['detail-type']} at {document['time']}, {said})"


def row_shown(row: Document) -> str:
    """Return what a row says of its job's state."""
    said = {name: row[name] for name in ("status", "updatedAt", "plan", "size") if name in row}
    return ", ".join(f"{name} {value}" for name, value in said.items())
