"""Telemetry that writes no line, and counts how decisions ended: the branches that a history has taken."""

from __future__ import annotations

from collections import Counter

from engine.domain.errors import EventError
from engine.runtime.clock import Clock
from engine.runtime.telemetry import Failure, Report, Telemetry


class Counting(Telemetry):
    """Counts outcomes by source, and errors; what was flagged the ledger tells (``tables.count_entries``)."""

    def __init__(self, count: Counter[str], clock: Clock) -> None:
        super().__init__(write=lambda _line: None, clock=clock)
        object.__setattr__(self, "count", count)

    def settled(self, report: Report) -> None:
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
