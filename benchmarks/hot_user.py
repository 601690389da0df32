"""How many events a second one user can have, simulated: ``python -m benchmarks.hot_user`` prints docs/scale.md's table.

DynamoDB refuses a transaction while another one is at work on the same item (TransactionConflict); ours then waits as
``engine.runtime.clock`` says (full jitter, from 25 ms doubling to a second, 15 seconds at most) and tries again. What is
simulated is that queueing alone, with the engine's own constants. How long a transaction holds its items is assumed: 10 ms.
"""

from __future__ import annotations

import heapq
import random
import statistics
from collections.abc import Iterator

from attrs import frozen

from engine.reconcile.conductor import EVENT_SECONDS_MAX
from engine.runtime.clock import BACKOFF_BASE_SECONDS, BACKOFF_CAP_SECONDS

TRANSACTION_SECONDS = 0.010
"""Assumed: two phases within a Region."""

SECONDS = 120.0
RATES = (1, 10, 50, 75, 100, 200, 1000)
TRANSACTIONS_MAX = 200
"""More a second are hopeless, and long to simulate."""

BATCHES = (1, 10, 48)


@frozen
class Seen:
    """What became of the events of one user: share posted within their time, their seconds, and attempts each."""

    posted: float
    seconds_p50: float
    seconds_p95: float
    attempts: float


def simulate(transactions_a_second: float, seconds: float = SECONDS, seed: int = 1) -> Seen:
    """Return what becomes of transactions on one item that begin at random (a Poisson process)."""
    chance = random.Random(seed)  # noqa: S311  a simulation
    waiting = [(at, at, 1) for at in _arrivals(chance, transactions_a_second, seconds)]
    heapq.heapify(waiting)
    busy_until, waits, attempts, lost = 0.0, [], 0, 0
    while waiting:
        now, began, attempt = heapq.heappop(waiting)
        attempts += 1
        if now >= busy_until:
            busy_until = now + TRANSACTION_SECONDS
            waits.append(busy_until - began)
            continue
        pause = chance.uniform(0.0, min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * 2.0 ** (attempt - 1)))
        if now + pause - began >= EVENT_SECONDS_MAX:
            lost += 1  # to the queue, which sends it again
        else:
            heapq.heappush(waiting, (now + pause, began, attempt + 1))
    count = len(waits) + lost
    cuts = statistics.quantiles(waits, n=20)
    return Seen(len(waits) / count, statistics.median(waits), cuts[-1], attempts / count)


def _arrivals(chance: random.Random, rate: float, seconds: float) -> Iterator[float]:
    at = chance.expovariate(rate)
    while at < seconds:
        yield at
        at += chance.expovariate(rate)


def table() -> Iterator[str]:
    """Yield the lines of the table, a row for each rate of events and size of batch."""
    yield "| events a second of one user | in transactions of | posted at once | median, ms | p95, ms | attempts |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for batch in BATCHES:
        for rate in RATES:
            if batch <= rate <= batch * TRANSACTIONS_MAX:
                seen = simulate(rate / batch)
                figures = f"{seen.seconds_p50 * 1000:.0f} | {seen.seconds_p95 * 1000:.0f} | {seen.attempts:.1f}"
                yield f"| {rate} | {batch} | {seen.posted:.0%} | {figures} |"


if __name__ == "__main__":
    print(*table(), sep="\n")
