"""Many at once on one user: nothing lost, nothing twice, and few errors that a caller sees."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError

from engine.domain.envelope import Source
from engine.domain.errors import LedgerError
from engine.ledger.store import Tables
from tests.support.events import failed, rendered
from tests.support.world import DisturbedClient, World

pytestmark = pytest.mark.local_aws

THREADS = 16
JOBS = 150
SURFACED_ERRORS_MAX = 0.05


class HotUser:
    """Refuses what DynamoDB refuses and the local one does not: a transaction on an item that another is busy with.

    A transaction holds the user's row for some milliseconds, as the real one's two phases do; one that meets it is cancelled
    with ``TransactionConflict``, some of them with a failed condition beside it.
    """

    def __init__(self, hold_seconds: float) -> None:
        self.hold_seconds, self.busy, self.conflicts = hold_seconds, threading.Lock(), 0

    def __call__(self, operation: str, request: dict[str, Any], send: Callable[..., Any]) -> Any:
        if operation != "transact_write_items" or len(request["TransactItems"]) == 1:
            return send(**request)
        if not self.busy.acquire(blocking=False):
            self.conflicts += 1
            raise conflict(len(request["TransactItems"]), mixed=self.conflicts % 3 == 0)
        try:
            time.sleep(self.hold_seconds)
            return send(**request)
        finally:
            self.busy.release()


def conflict(items: int, *, mixed: bool) -> ClientError:
    """Return the cancellation that DynamoDB answers with; ``mixed`` adds a failed condition on the ledger's entry."""
    reasons = [{"Code": "None"} for _ in range(items)]
    reasons[1] = {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
    if mixed:
        reasons[0] = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
    error = {"Error": {"Code": "TransactionCanceledException", "Message": "Transaction cancelled"}}
    return ClientError({**error, "CancellationReasons": reasons}, "TransactWriteItems")  # type: ignore[typeddict-unknown-key, typeddict-item]


def test_sixteen_threads_on_one_user_lose_nothing_and_post_nothing_twice(dynamodb: Any, tables: Tables) -> None:
    """Every event twice, every third job failed as well; conflicts as real DynamoDB has them."""
    hot = HotUser(hold_seconds=0.004)
    world = World(dynamodb, tables).user("u-1", "1000")
    reconciler = world.reconciler(DisturbedClient(dynamodb, hot))
    events = [rendered(f"j-{number}", seconds=number) for number in range(JOBS)]
    events += [failed(f"j-{number}") for number in range(0, JOBS, 3)]
    surfaced: list[dict[str, Any]] = []

    def deliver(document: dict[str, Any]) -> None:
        try:
            reconciler.event(document, Source.EVENT, world.deadline(15))
        except LedgerError:
            surfaced.append(document)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(deliver, [document for document in events for _ in range(2)]))
    for document in tuple(surfaced):  # as the queue would: what surfaced comes again
        reconciler.event(document, Source.EVENT, world.deadline(60))

    expected = -sum((max(Decimal(number) / 10, Decimal("0.01")) for number in range(JOBS) if number % 3), Decimal(0))
    row = world.user_row()
    assert row is not None
    assert (expected, 1000 + expected) == (row["posted"], row["remaining"])
    assert all(len(world.entries(f"j-{number}")) == (1 if number % 3 else 2) for number in range(JOBS))
    assert hot.conflicts > JOBS, "the test is void unless transactions really met"
    assert len(surfaced) <= SURFACED_ERRORS_MAX * 2 * len(events)
