"""How often the model may be asked in any hour, by all containers together: counts by the minute in one row of State.

A call is taken before it is made, so that one whose answer is lost counts as made. Of a minute that lies only in part
within the hour all calls count: in no window of an hour, wherever it begins, are there more than are allowed, and there may
be fewer by what two minutes hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from engine.domain.errors import LedgerError
from engine.ledger.explanations import ExplanationStore
from engine.runtime.clock import Clock, Deadline

MINUTE_SECONDS = 60
MINUTES_COUNTED = 60 + 1
"""An hour, and one minute for what lies between taking a call and making it: a connection, and clocks that differ."""

SECONDS_MAX = 5.0
"""How long a call waits for its turn."""

Counts = Mapping[int, int]
"""Calls by the minute (since 1970) they were taken in."""


@frozen
class Budget:
    """``per_hour`` calls in any hour, by all who share a store."""

    store: ExplanationStore
    per_hour: int
    clock: Clock

    def take(self, deadline: Deadline) -> bool:
        """Take one call, and say whether it was there. Where the store gives no answer, it was not."""
        deadline = deadline.sooner(SECONDS_MAX)
        try:
            for _ in deadline.attempts():
                before = self.store.calls(deadline)
                after = taken(before.by_minute, self.clock.now(), self.per_hour)
                if after is None:
                    return False
                if self.store.take_call(before, after, deadline):
                    return True
        except LedgerError:
            return False
        return False


def taken(counts: Counts, now: datetime, per_hour: int) -> dict[int, int] | None:
    """Return the counts with one call more, taken ``now``, or None where the hour before has none left.

    A minute that lies ahead (another container's clock) counts as well.
    """
    minute = int(now.timestamp()) // MINUTE_SECONDS
    within = {at: count for at, count in counts.items() if at >= minute - MINUTES_COUNTED}
    if sum(within.values()) >= per_hour:
        return None
    return {**within, minute: within.get(minute, 0) + 1}
