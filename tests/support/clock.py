"""A clock that moves only when somebody waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from attrs import Factory, define

from engine.runtime.clock import Clock

START = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)


@define
class ManualClock:
    """Time in seconds since the start, and every wait that was asked for."""

    elapsed: float = 0.0
    waits: list[float] = Factory(list)

    def clock(self) -> Clock:
        """Return the clock; chance always gives the upper bound, so that the bounds can be seen."""
        return Clock(self.now, lambda: self.elapsed, self.wait, lambda _low, high: high)

    def now(self) -> datetime:
        """Return the instant it is."""
        return START + timedelta(seconds=self.elapsed)

    def wait(self, seconds: float) -> None:
        """Let time pass at once."""
        self.waits.append(seconds)
        self.elapsed += seconds
