"""Telemetry that writes no line, and counts how decisions ended: the branches that a history has taken."""

from __future__ import annotations

from collections import Counter

from engine.runtime.clock import Clock
from engine.runtime.telemetry import Failure, Report, Telemetry


class Counting(Telemetry):
    """Counts outcomes by source, anomalies and errors."""

    def __init__(self, count: Counter[str], clock: Clock) -> None:
        super().__init__(write=lambda _line: None, clock=clock)
        object.__setattr__(self, "count", count)

    def settled(self, report: Report) -> None:
        """Count how an event ended, and what was unsure about it."""
        count: Counter[str] = self.count  # type: ignore[attr-defined]
        source = report.envelope.source.value if report.envelope else "?"
        count[f"outcome {report.outcome.value} by {source}"] += 1
        if report.attempts > 1:
            count["decided more than once"] += 1
        if report.entry is not None:
            for anomaly in report.entry.anomalies:
                count[f"anomaly {anomaly.name}"] += 1

    def failed(self, failure: Failure) -> None:
        """Count why an event comes back."""
        count: Counter[str] = self.count  # type: ignore[attr-defined]
        count[f"comes back {type(failure.error).__name__}"] += 1

    def _line(self, *_values: object, **_named: object) -> None:
        """Write nothing."""
