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
from decimal import Decimal
from typing import Any, cast

import pytest

from engine.audit.balances import BalanceKeeper
from engine.audit.books import BUSY, Drift, audit, look_again
from engine.audit.seals import Sealer, verify
from engine.domain.envelope import Envelope, Source
from engine.ledger.audits import AuditedEntry, AuditStore, Credit
from engine.ledger.store import Tables
from engine.runtime.clock import Deadline
from tests.support.events import failed, rendered
from tests.support.world import World

SECONDS = [3, pytest.param(20, marks=pytest.mark.proof)]
WRITERS = 8
REST_SECONDS = 5
"""So old is what is sealed here; a transaction takes milliseconds."""

HOT, QUIET, STILL = "u-hot", "u-quiet", "u-still"

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
    """Sums, logs, seals and held balances, of users who are written to all the time; two quiet users' rows are changed."""
    monkeypatch.setattr("engine.audit.seals.REST", timedelta(seconds=REST_SECONDS))
    monkeypatch.setattr("engine.audit.books.SECONDS_BETWEEN_LOOKS", 0.2)
    world = World(dynamodb, tables)
    for user in (HOT, QUIET, STILL, *(f"u-{writer}" for writer in range(WRITERS))):
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
            for user, name in ((QUIET, "posted"), (STILL, "remaining")):
                dynamodb.update_item(
                    TableName=tables.credits,
                    Key={"userId": {"S": user}},
                    UpdateExpression=f"ADD {name} :one",
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
    assert all(seen.checked is not None for seen in (*before, *after))
    assert all([QUIET] == [drift.user for drift in seen.drifts] and not seen.faults for seen in after)
    assert {(STILL, 1)} == {(drift.user, drift.by) for seen in after for drift in seen.balances}
    assert all(len(seen.balances) == 1 for seen in after)
    assert all(seen.came_or_went == 0 for seen in after)
    last = audit(world.reconciler().ledger, world.deadline(120))
    assert ([QUIET], ()) == ([drift.user for drift in last.drifts], last.busy)
    assert () == verify(world.reconciler().ledger.audits(), world.deadline(120)).deviations
    print(f"\n{len(before) + len(after)} audits beside {sum(posted)} events of {WRITERS} writers in {seconds:g} s")  # noqa: T201


def audits(world: World, seconds: float) -> Iterator[Any]:
    """Yield audits that seal and hold balances, one after the other and two at least, each beside the writers."""
    ends = time.monotonic() + seconds
    for number in itertools.count():
        if number > 1 and time.monotonic() >= ends:
            return
        ledger, deadline = world.reconciler().ledger, world.deadline(120)
        store, now = ledger.audits(), world.clock.now()
        keeper = BalanceKeeper(store, now, deadline, wanted=True, writes=True)
        yield audit(ledger, deadline, sealer=Sealer(store, now, deadline), keeper=keeper)


class ChargedAndRefunded:
    """The ledger of a user who is charged before each look at the row, and refunded before each look at the entries."""

    def __init__(self, world: World, times: int) -> None:
        self.world, self.store, self.clock = world, world.reconciler().ledger.audits(), world.clock
        self.jobs = (f"j-{number}" for number in range(times))
        self.job = ""

    def credit(self, user: str, deadline: Deadline) -> Credit:
        """Charge for another job, and look at the row: it says the same each time."""
        self.job = next(self.jobs, "")
        if self.job:
            self.world.deliver(rendered(self.job, user=user))
        return self.store.credit(user, deadline)

    def entries_of_user(self, user: str, deadline: Deadline) -> Iterator[AuditedEntry]:
        """Refund it, and look at the entries: they add up to the same each time."""
        if self.job:
            self.world.deliver(failed(self.job, user=user))
        return self.store.entries_of_user(user, deadline)


@pytest.mark.parametrize(("times", "expected"), [(100, BUSY), (1, None)], ids=["all the time", "once"])
def test_a_user_who_is_charged_and_refunded_between_the_looks_has_no_drift(
    dynamodb: Any, tables: Tables, monkeypatch: pytest.MonkeyPatch, times: int, expected: str | None
) -> None:
    """The row says -0.8 at each look and the entries add up to 0, and nothing is wrong: only their number tells."""
    monkeypatch.setattr("engine.audit.books.SECONDS_BETWEEN_LOOKS", 0)
    world = World(dynamodb, tables)
    world.user("u-1", "1000")
    disturbed = cast("AuditStore", ChargedAndRefunded(world, times))

    assert expected == look_again(disturbed, "u-1", world.deadline())


def test_a_quiet_row_that_was_changed_is_drift_at_the_second_look(
    dynamodb: Any, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was posted in between, so the difference counts."""
    monkeypatch.setattr("engine.audit.books.SECONDS_BETWEEN_LOOKS", 0)
    world = World(dynamodb, tables)
    world.user("u-1", "1000")
    world.deliver(rendered("j-1"))
    world.client.update_item(
        TableName=tables.credits,
        Key={"userId": {"S": "u-1"}},
        UpdateExpression="ADD posted :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )

    drift = look_again(world.reconciler().ledger.audits(), "u-1", world.deadline())

    assert Drift("u-1", Decimal("-0.8"), Decimal("0.2")) == drift
