"""Audits while eight writers post: no false alarm, and what is planted meanwhile is found all the same.

Some seconds in each run of the tests, a minute by ``make proof``.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from engine.audit.books import audit
from engine.audit.seals import Sealer, verify
from engine.domain.envelope import Envelope, Source
from engine.ledger.store import Tables
from tests.support.events import failed, rendered
from tests.support.world import World

SECONDS = [8, pytest.param(60, marks=pytest.mark.proof)]
WRITERS = 8
REST_SECONDS = 5
"""So old is what is sealed here; a transaction takes milliseconds."""

HOT, QUIET = "u-hot", "u-quiet"

pytestmark = [pytest.mark.local_aws, pytest.mark.timeout(420)]


def events(writer: int) -> Iterator[list[dict[str, Any]]]:
    """Yield batches of one writer for ever: debits of a user whom all have and of one of their own, half of them refunded."""
    for number in itertools.count():
        jobs = [(f"j-{writer}-{number}-{index}", HOT if index % 2 else f"u-{writer}") for index in range(6)]
        yield [rendered(job, user=user) for job, user in jobs]
        yield [failed(job, user=user) for job, user in jobs[::2]]


@pytest.mark.parametrize("seconds", SECONDS)
def test_no_false_alarm_while_eight_writers_post(
    dynamodb: Any, tables: Tables, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Sums, logs and seals, of users who are written to all the time; and one quiet user's row is changed half way."""
    monkeypatch.setattr("engine.audit.seals.REST", timedelta(seconds=REST_SECONDS))
    monkeypatch.setattr("engine.audit.books.SECONDS_BETWEEN_LOOKS", 0.2)
    world = World(dynamodb, tables)
    for user in (HOT, QUIET, *(f"u-{writer}" for writer in range(WRITERS))):
        world.user(user, "1000000")
    world.deliver(rendered("j-quiet", user=QUIET))
    ended, posted = threading.Event(), [0] * WRITERS

    def write(writer: int) -> None:
        reconciler = world.reconciler()
        for batch in events(writer):
            if ended.is_set():
                return
            reconciler.many([Envelope(event, Source.QUEUE) for event in batch], world.deadline())
            posted[writer] += len(batch)

    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write, writer) for writer in range(WRITERS)]
        try:
            before = list(audits(world, seconds / 2))
            dynamodb.update_item(
                TableName=tables.credits,
                Key={"userId": {"S": QUIET}},
                UpdateExpression="ADD posted :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )
            after = list(audits(world, seconds / 2))
        finally:
            ended.set()
        for writer in writers:
            writer.result()

    assert all(posted), "the test is void unless all have written"
    assert len(before) > 1
    assert [] == [seen for seen in before if not seen.is_clean]
    assert all([QUIET] == [drift.user for drift in seen.drifts] and not seen.faults for seen in after)
    assert all(seen.came_or_went == 0 for seen in after)
    last = audit(world.reconciler().ledger, world.deadline(120))
    assert ([QUIET], ()) == ([drift.user for drift in last.drifts], last.busy)
    assert () == verify(world.reconciler().ledger.audits(), world.deadline(120)).deviations
    print(f"\n{len(before) + len(after)} audits beside {sum(posted)} events of {WRITERS} writers in {seconds:g} s")  # noqa: T201


def audits(world: World, seconds: float) -> Iterator[Any]:
    """Yield audits that seal, one after the other, each beside the writers."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        ledger, deadline = world.reconciler().ledger, world.deadline(120)
        yield audit(ledger, deadline, sealer=Sealer(ledger.audits(), world.clock.now(), deadline))
