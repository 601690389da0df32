"""Time and chance, handed in from the top so that everything below can be run again and give the same answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count

from attrs import field, frozen

BACKOFF_BASE_SECONDS = 0.025
BACKOFF_CAP_SECONDS = 1.0
BACKOFF_DOUBLINGS_MAX = 10
"""By then the cap is reached; a power of two has no float for the attempts of an outage that lasts."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _uniform(low: float, high: float) -> float:
    import random  # noqa: PLC0415  most containers never wait

    return random.uniform(low, high)  # noqa: S311  spreads retries, guards nothing


@frozen(eq=False, repr=False)
class Clock:
    """The wall clock, a steady clock, a way to wait and a source of chance."""

    now: Callable[[], datetime] = _utc_now
    steady: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = _uniform

    def deadline(self, seconds: float) -> Deadline:
        """Return the deadline that lies ``seconds`` ahead."""
        return Deadline(self, self.steady() + seconds)


@frozen(eq=False, repr=False)
class Deadline:
    """The instant (on the steady clock) by which an answer must be there."""

    clock: Clock = field(repr=False)
    at: float

    def left(self) -> float:
        """Return the seconds that are left; negative when it has passed."""
        return self.at - self.clock.steady()

    def sooner(self, seconds: float) -> Deadline:
        """Return the nearer of this deadline and one ``seconds`` ahead."""
        return Deadline(self.clock, min(self.at, self.clock.steady() + seconds))

    def attempts(self, at_once: int = 1) -> Iterator[int]:
        """Yield 1, 2, 3 ... and wait between them, until the next wait would pass the deadline.

        The first ``at_once`` attempts follow each other without a wait. Then exponential backoff with full jitter: the n-th
        wait is uniform in [0, min(cap, base * 2^(n-1))]. Source: M. Brooker, "Exponential Backoff And Jitter", AWS
        Architecture Blog, 2015.
        """
        yield from range(1, at_once + 1)
        for attempt in count(at_once + 1):
            doublings = min(attempt - at_once - 1, BACKOFF_DOUBLINGS_MAX)
            ceiling = min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * 2.0**doublings)
            pause = self.clock.uniform(0.0, ceiling)
            if pause >= self.left():
                return
            self.clock.wait(pause)
            yield attempt
