"""The production trace through the queue's path: batches against one by one, poison among them, sixteen threads at once."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.store import Tables
from engine.policy import parse_policy
from tests.real.test_production_trace import EVENTS, FLAT
from tests.support.world import World

FEW, MANY = 500, 2_000
"""How many of the 26,790 events; all of them take some minutes."""

BATCH, THREADS = 48, 16
POISON_EVERY = 20

Records = Sequence[dict[str, Any]]

pytestmark = [
    pytest.mark.local_aws,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(not EVENTS.exists(), reason=f"the production trace is not at {EVENTS}"),
    pytest.mark.slow,
]


def trace(count: int) -> list[str]:
    """Return the first events of the trace as they stand in the file."""
    with gzip.open(EVENTS, "rt") as file:
        return list(itertools.islice(file, count))


def record(number: int, body: str) -> dict[str, Any]:
    """Return an event as SQS hands it over."""
    return {"messageId": f"m-{number}", "eventSource": "aws:sqs", "body": body}


def poisoned(lines: Sequence[str]) -> list[str]:
    """Return events of which five in a hundred have one beside them that makes no sense."""
    rendered = '{"detail-type": "video.rendered"'
    broken = itertools.cycle(["{", "[]", rendered + "}", rendered + ', "detail": {"jobId": 7}}'])
    found = []
    for number, line in enumerate(lines):
        found += [line, next(broken)] if number % POISON_EVERY == 0 else [line]
    return found


@pytest.fixture
def new_world(dynamodb: Any, new_tables: Callable[[], Tables]) -> Callable[[Sequence[str]], World]:
    """Return what makes tables with all users and jobs of some events."""

    def make(lines: Sequence[str]) -> World:
        world = World(dynamodb, new_tables(), policy=parse_policy(FLAT, "flat.yaml"))
        details = [json.loads(line)["detail"] for line in lines]
        users = {detail["userId"] for detail in details}
        put_all(world, world.tables.credits, [{"userId": user, "remaining": 1000} for user in sorted(users)])
        put_all(world, world.tables.jobs, [{"jobId": detail["jobId"], "status": "x"} for detail in details])
        return world

    return make


def put_all(world: World, table: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as the application does."""
    for chunk in itertools.batched(rows, 25):
        requests = [{"PutRequest": {"Item": encode_item(row)}} for row in chunk]
        world.client.batch_write_item(RequestItems={table: requests})


def run(world: World, batches: Sequence[Records], threads: int = 1) -> set[str]:
    """Hand over batches, and return the messages that come back."""
    reconciler = world.reconciler()
    with ThreadPoolExecutor(threads) as pool:
        returned = list(pool.map(lambda batch: reconciler.batch(batch, world.deadline(60)), batches))
    return {message for messages in returned for message in messages}


def balances(world: World) -> dict[str, tuple[Decimal, Decimal]]:
    """Return what each user has, and what was posted."""
    rows = world.everything()["credits"]
    return {row["userId"]: (Decimal(row["remaining"]), Decimal(row.get("posted", 0))) for row in rows}


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.proof)])
def test_batches_poison_and_threads_end_in_the_balances_of_one_by_one(new_world: Callable[..., World], count: int) -> None:
    """To the last digit. How many events a second that is, is a gate of the benchmarks: here other tests are at work."""
    lines = trace(count)
    records = [record(number, line) for number, line in enumerate(lines)]
    with_poison = [record(number, line) for number, line in enumerate(poisoned(lines))]
    single, together, beset = (new_world(lines) for _ in range(3))

    one_by_one = run(single, [[one] for one in records])
    batched = run(together, list(itertools.batched(records, BATCH)))
    poison = run(beset, list(itertools.batched(with_poison, BATCH)) * 2, THREADS)

    assert (set(), set()) == (one_by_one, batched)
    assert len(with_poison) - len(records) == len(poison)
    assert balances(single) == balances(together) == balances(beset)
