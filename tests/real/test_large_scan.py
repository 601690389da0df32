"""A scan over a large table of which one row in a thousand is due: right, in short invocations, in little memory.

``SCANNED_JOBS=300000`` makes it 300,000 rows, which takes the local AWS some minutes.
"""

from __future__ import annotations

import os
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, evolve

import engine.reconcile.scheduled
from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.store import Tables
from engine.reconcile.scheduled import begin, finish, work
from engine.reconcile.wiring import build_client
from engine.runtime.clock import Clock
from handler import closing_steps
from tests.support.clock import START
from tests.support.events import rendered
from tests.support.world import World
from tools.local_aws import REGION

LARGE = 300_000
JOBS = int(os.environ.get("SCANNED_JOBS", "20000"))

pytestmark = [pytest.mark.local_aws, pytest.mark.slow, pytest.mark.timeout(300 * max(1, 6 * JOBS // LARGE))]

DUE_EVERY = 1_000
USERS = 500
TOGETHER = 25
PAGE_SECONDS = 0.1 * LARGE / JOBS
"""What DynamoDB takes for a page of 1 MB (0.1 s, assumed); a smaller table has slower ones, so that it takes as many
invocations. The local one copies the table for each."""

INVOCATION_SECONDS_MAX = 2.0
PEAK_BYTES_MAX = 8 * 2**20


@define
class Paced:
    """A client whose scans take as long as DynamoDB's, by the clock that it offers: the processor's for all else."""

    client: Any
    saved: float = 0.0
    pages: int = 0

    def __getattr__(self, operation: str) -> Any:
        return getattr(self.client, operation)

    def scan(self, **request: Any) -> Any:
        """Scan, and turn the clock back by what DynamoDB would not have taken."""
        began = time.process_time()
        answer = self.client.scan(**request)
        self.saved += time.process_time() - began - PAGE_SECONDS
        self.pages += 1
        return answer

    def clock(self) -> Clock:
        """Return the clock."""
        return Clock(steady=lambda: time.process_time() - self.saved)


UPDATED = {
    "settled": "2026-01-05T10:00:00Z",
    "lost": "2026-01-05T10:00:00Z",
    "row came late": "2026-01-05T10:00:00Z",  # as its event says
    "failed without an event": "2026-01-05T11:00:00Z",
}


def user(number: int) -> str:
    """Return whose job it is."""
    return f"u-{number % USERS}"


def kind(number: int) -> str:
    """Return what became of a job: most are settled, and of those that are due the event was lost, or its row came late."""
    if number % DUE_EVERY:
        return "settled"
    return ("lost", "failed without an event", "row came late")[number // DUE_EVERY % 3]


def row(number: int) -> dict[str, Any]:
    """Return a job's row."""
    what = kind(number)
    columns = {"jobId": f"j-{number}", "userId": user(number), "seconds": 8, "model": "veo-3", "prompt": "a cat " * 20}
    columns |= {"status": "failed" if what == "failed without an event" else "completed", "updatedAt": UPDATED[what]}
    marked = {"reconciled": True, "reconciledStatus": "completed"}
    return columns | (marked if what in {"settled", "failed without an event"} else {})


def write_jobs(client: Any, tables: Tables) -> None:
    """Write all rows as the application does."""

    def write(start: int) -> None:
        items = [{"PutRequest": {"Item": encode_item(row(number))}} for number in range(start, start + TOGETHER)]
        assert not client.batch_write_item(RequestItems={tables.jobs: items})["UnprocessedItems"]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(0, JOBS, TOGETHER)))


@pytest.fixture
def patient(local_aws: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a client that waits for the local AWS as long as that takes for a page of a large table."""
    monkeypatch.setattr("engine.reconcile.wiring.READ_SECONDS_MAX", 60)
    client = build_client(REGION, local_aws)
    yield client
    client.close()


def test_what_is_due_among_very_many_is_found_bit_by_bit(
    dynamodb: Any, patient: Any, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in a thousand: a third of them is charged, a third refunded, a third only marked."""
    monkeypatch.setattr(engine.reconcile.scheduled, "SEGMENT_BYTES", 1)
    monkeypatch.setattr(engine.reconcile.scheduled, "SEGMENTS_MAX", 4)
    client = Paced(patient)
    world = World(client, tables, clock=client.clock())
    for number in range(USERS):
        world.user(f"u-{number}", "1000")
    due = list(range(0, JOBS, DUE_EVERY))
    told = [number for number in due if kind(number) != "lost"]
    world.deliver(*(rendered(f"j-{number}", user=user(number), seconds=8) for number in told))
    write_jobs(dynamodb, tables)
    reconciler = evolve(world.reconciler(), adjustments_max=JOBS)

    seconds: list[float] = []
    parts = begin(reconciler, "run-1", START, world.deadline())["parts"]
    tracemalloc.start()
    for index in range(len(parts)):
        while parts[index]["slices"]:
            began = world.clock.steady()
            parts[index] = work(reconciler, parts[index], world.deadline(30))
            seconds.append(world.clock.steady() - began)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    done = finish(reconciler, {"parts": parts}, closing_steps(), world.deadline(60))

    kinds = Counter(kind(number) for number in due)
    assert {"debited": kinds["lost"], "refunded": kinds["failed without an event"], "duplicate": kinds["row came late"]} == (
        done["outcomes"]
    )
    assert (len(due), kinds["row came late"], 0, False, []) == (
        done["rows"], done["marked"], done["unfinished"], done["capped"], done["audit"]["drifts"],
    )  # fmt: skip
    charged = Counter(user(number) for number in due if kind(number) != "failed without an event")
    for name in {user(number) for number in due}:
        assert 1000 - Decimal("0.8") * charged[name] == (world.user_row(name) or {})["remaining"]
    assert len(seconds) > len(parts)
    assert max(seconds) < INVOCATION_SECONDS_MAX
    assert peak < PEAK_BYTES_MAX

    rows = [world.job_row(f"j-{number}") or {} for number in due]
    assert all((True, found["status"]) == (found["reconciled"], found["reconciledStatus"]) for found in rows)
