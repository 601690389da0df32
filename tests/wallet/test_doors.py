"""What rows, batches and retries may cost: memory, requests and read units, counted."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from engine.domain.envelope import Source
from engine.domain.errors import LedgerUnavailable
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.wire import ServiceError
from engine.policy import load_policy
from engine.reconcile.conductor import EVENT_SECONDS_MAX
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Clock
from engine.runtime.telemetry import Telemetry
from tests.support.clock import ManualClock
from tests.support.events import rendered
from tests.support.policies import example
from tests.wallet.meter import Meter
from tools.environments import ROOT

SHIPPED = load_policy(ROOT / "policies" / "video.yaml")
MEGABYTE = 1024 * 1024
ITEM_BYTES_MAX = 400 * 1024


# --- memory of a batch ---

DENSE: dict[str, str] = {
    "lists": "[]",
    "lists of a number": "[0]",
    "objects": "{}",
    "objects of a number": '{"":0}',
    "fractions": "0.1",
    "objects of a fraction": '{"":0.1}',
    "texts": '"\u8a9e"',
}
"""What takes most memory for its bytes, once it is read."""

BYTES_OF_A_BYTE_MAX = 45
"""Lambda hands over six megabytes at most: 270 of memory, beside what a function and one pattern take, are below its 512."""


@pytest.mark.parametrize("kind", DENSE)
def test_an_event_takes_a_bounded_memory_for_each_of_its_bytes(kind: str) -> None:
    """All events of a batch are in memory at once."""
    members = ",".join([DENSE[kind]] * (300_000 // len(DENSE[kind].encode())))
    body = json.dumps(rendered()).replace('"j-1"', f'"j-1", "more": [{members}]')
    meter = Meter(SHIPPED)
    meter.world.job()
    meter.batch(json.dumps(rendered("j-0")))
    tracemalloc.start()
    try:
        bill = meter.batch(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert "debited" == bill.told[0]["outcome"]
    assert peak < BYTES_OF_A_BYTE_MAX * len(body.encode())


# --- rows ---


def deep(levels: int, inner: Any) -> Any:
    """Return ``inner`` in so many lists."""
    for _ in range(levels):
        inner = [inner]
    return inner


ROWS: dict[str, Callable[[], dict[str, Any]]] = {
    "a prompt of 390 KB": lambda: {"prompt": "x" * 390_000},
    "a status of 390 KB": lambda: {"status": "x" * 390_000},
    "a user of 390 KB": lambda: {"userId": "x" * 390_000},
    "seconds of 390 KB": lambda: {"seconds": "1" * 390_000},
    "a model of 390 KB": lambda: {"model": "x" * 390_000},
    "a time of 390 KB": lambda: {"updatedAt": "1" * 390_000},
    "lists in lists": lambda: {"model": deep(29, ["x"] * 50_000)},
    "a number of 38 digits": lambda: {"seconds": int("9" * 38)},
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_costs_its_own_units_and_one_short_line(name: str) -> None:
    """A unit for each four kilobytes, read once; a row that makes no sense is named in one line of the log."""
    meter = Meter(SHIPPED, time=ManualClock(elapsed=12 * 3600))
    meter.world.job(**ROWS[name]())

    bill = meter.scan()

    assert bill.read_units <= ITEM_BYTES_MAX / 4096 + 4
    assert sum(bill.requests.values()) <= 6
    assert bill.log_bytes < 4_000


def test_statuses_that_nobody_mapped_are_told_by_twenty_names() -> None:
    """Whatever an application writes there, the scan's answer and its line stay small."""
    meter = Meter(SHIPPED)
    for number in range(200):
        meter.world.job(f"j-{number}", status=f"status-{number}-{'x' * 1000}")

    bill = meter.scan()

    assert 20 == len(bill.told[-1]["unmapped"])
    assert bill.log_bytes < 4_000


# --- retries ---


class Busy:
    """A database that takes nothing, and counts how often it was asked."""

    def __init__(self, code: str, clock: ManualClock) -> None:
        self.code, self.clock, self.requests = code, clock, 0

    def __getattr__(self, operation: str) -> Any:
        def send(**_request: Any) -> Any:
            self.requests += 1
            self.clock.elapsed += 0.005
            raise ServiceError(self.code, "busy", 400, [])

        return send


@pytest.mark.parametrize("code", ["ThrottlingException", "TransactionInProgressException", "InternalServerError"])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_an_event_asks_a_busy_database_some_forty_times_and_then_comes_back(code: str, share: float) -> None:
    """It waits twice as long each time, up to a second, and at most fifteen seconds in all, whatever Lambda has left."""
    manual = ManualClock()
    clock = Clock(manual.now, lambda: manual.elapsed, manual.wait, lambda _low, high: share * high)
    database: Any = Busy(code, manual)
    reconciler = Reconciler(example(), DynamoStore(database, Meter(example()).tables, clock), Telemetry(len, clock), clock)  # type: ignore[arg-type]

    with pytest.raises(LedgerUnavailable):
        reconciler.event(rendered(), Source.EVENT, clock.deadline(900))

    assert 10 < database.requests <= 45
    assert manual.elapsed <= EVENT_SECONDS_MAX
