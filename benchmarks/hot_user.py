"""How many events a second one user can have, simulated: ``python -m benchmarks.hot_user`` prints docs/scale.md's tables.

DynamoDB refuses a transaction while another one is at work on the same item (TransactionConflict); ours then waits as
``engine.runtime.clock`` says (full jitter, from 25 ms doubling to a second, 15 seconds at most) and tries again. What is
simulated is that queueing alone, with the engine's own constants. How long a transaction holds its items is assumed: 10 ms.
"""

from __future__ import annotations

import heapq
import random
import statistics
from collections.abc import Iterable, Iterator

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

AT_ONCE = (1, 10, 50, 100, 200)
COVERED = 50
"""How many jobs the user can pay who starts so many at once."""


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
    turns, attempts, lost = _turns(_arrivals(chance, transactions_a_second, seconds), chance)
    waits = [done - began for began, done in turns]
    cuts = statistics.quantiles(waits, n=20)
    count = len(waits) + lost
    return Seen(len(waits) / count, statistics.median(waits), cuts[-1], attempts / count)


@frozen
class AtOnce:
    """What became of the requests to hold that one user began at one instant: how many are held, and the answers' seconds."""

    held: int
    refused: int
    seconds_p50: float
    seconds_max: float
    attempts: float


def start_at_once(jobs: int, covered: int = COVERED, seed: int = 1) -> AtOnce:
    """Return what becomes of so many requests to hold; the balance covers so many.

    The first that have their turn are held. A transaction that the balance refuses has the row as long as any (assumed); then
    a transaction without the row remembers the request.
    """
    turns, attempts, lost = _turns([0.0] * jobs, random.Random(seed))  # noqa: S311  a simulation
    answers = [done if place < covered else done + TRANSACTION_SECONDS for place, (_, done) in enumerate(turns)]
    held = min(covered, len(turns))
    return AtOnce(held, len(turns) - held, statistics.median(answers), max(answers), attempts / (len(turns) + lost))


def _turns(arrivals: Iterable[float], chance: random.Random) -> tuple[list[tuple[float, float]], int, int]:
    """Return when each transaction began and was done, in the order of their turns; all attempts; how many waited in vain."""
    waiting = [(at, at, 1) for at in arrivals]
    heapq.heapify(waiting)
    busy_until, turns, attempts, lost = 0.0, list[tuple[float, float]](), 0, 0
    while waiting:
        now, began, attempt = heapq.heappop(waiting)
        attempts += 1
        if now >= busy_until:
            busy_until = now + TRANSACTION_SECONDS
            turns.append((began, busy_until))
            continue
        pause = chance.uniform(0.0, min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * 2.0 ** (attempt - 1)))
        if now + pause - began >= EVENT_SECONDS_MAX:
            lost += 1  # to the queue, which sends it again
        else:
            heapq.heappush(waiting, (now + pause, began, attempt + 1))
    return turns, attempts, lost


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


def table_at_once() -> Iterator[str]:
    """Yield the lines of the table of requests to hold that begin at one instant."""
    yield "| jobs at once | held | refused | median answer, ms | last answer, ms | to one alone | attempts |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    alone = start_at_once(1).seconds_max
    for jobs in AT_ONCE:
        seen = start_at_once(jobs)
        answers = f"{seen.seconds_p50 * 1000:.0f} | {seen.seconds_max * 1000:.0f} | {seen.seconds_max / alone:.0f}"
        yield f"| {jobs} | {seen.held} | {seen.refused} | {answers} | {seen.attempts:.1f} |"


if __name__ == "__main__":
    print(*table(), "", *table_at_once(), sep="\n")
