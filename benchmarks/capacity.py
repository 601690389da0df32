"""What postings cost on AWS: write units by DynamoDB's documented rules, from the real items, and dollars a million events.

Emulators count the units of transactions wrongly, so nothing is measured here. Sources: "DynamoDB item sizes and formats",
"Managing complex workflows with DynamoDB transactions" (a transactional write takes two units for each KB) and the published
prices of us-east-1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from attrs import evolve, frozen

from engine.domain.decision import Guard
from engine.domain.entry import Entry
from engine.domain.entry_types import EntryType
from engine.domain.envelope import Envelope, Source
from engine.domain.job_row import Mark
from engine.ledger.dynamodb.postings import EncodedPosting, item_of
from engine.ledger.store import Tables
from engine.policy import Policy
from engine.preview.dry_run import DryRun, store_of

KB = 1024
TRANSACTIONAL = 2
READ_KB = 4

WRITE_UNITS_PER_MILLION = 0.625
"""Dollars, on demand."""

READ_UNITS_PER_MILLION = 0.125

EVENTBRIDGE_PER_MILLION = 1.00
LAMBDA_PER_MILLION = 0.20
LAMBDA_GB_SECOND = 0.0000166667
LAMBDA_SECONDS, LAMBDA_GB = 0.015, 0.5
"""A warm event: some 2 ms of CPU at 0.29 vCPU and a transaction of about 10 ms (assumed)."""

LOGS_PER_GB = 0.50
LOG_LINE_BYTES = 700


def size_of(attribute: Mapping[str, Any]) -> int:
    """Return the bytes that an attribute value takes."""
    ((kind, value),) = attribute.items()
    return SIZES[kind](value)


def _number(text: str) -> int:
    digits = text.replace("-", "").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + text.startswith("-")


SIZES: Mapping[str, Any] = {
    "S": lambda value: len(value.encode()),
    "N": _number,
    "BOOL": lambda _: 1,
    "NULL": lambda _: 1,
    "M": lambda value: 3 + sum(len(name.encode()) + size_of(inner) + 1 for name, inner in value.items()),
    "L": lambda value: 3 + sum(size_of(inner) + 1 for inner in value),
}


def item_bytes(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the bytes that an item takes: its names and its values."""
    return sum(len(name.encode()) + size_of(value) for name, value in item.items())


def read_units(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Return what a strongly consistent read of an item takes: a unit for each 4 KB of all of it, whatever is asked of it."""
    return math.ceil(item_bytes(item) / (READ_KB * KB))


@frozen
class Cost:
    """What one kind of event writes: units by table, and dollars a million of them, all services together."""

    kind: str
    entry_bytes: int
    units: Mapping[str, int]
    read_units: int = 0

    @property
    def write_units(self) -> int:
        return sum(self.units.values())

    @property
    def dollars(self) -> float:
        compute = LAMBDA_PER_MILLION + LAMBDA_SECONDS * LAMBDA_GB * LAMBDA_GB_SECOND * 1e6
        logs = LOG_LINE_BYTES / 1e9 * LOGS_PER_GB * 1e6
        database = self.write_units * WRITE_UNITS_PER_MILLION + self.read_units * READ_UNITS_PER_MILLION
        return database + EVENTBRIDGE_PER_MILLION + compute + logs


def cost_of(entry: Entry, guard: Guard, job_row_bytes: int, user_row_bytes: int = 200, kind: str | None = None) -> Cost:
    """Return what posting an entry writes. A row of Jobs or Credits counts whole, whatever of it is changed."""
    mark = Mark("completed", sequence=1) if entry.type is not EntryType.HOLD else None
    posting = EncodedPosting(entry, item_of(entry, datetime(2026, 1, 5, tzinfo=UTC)), guard, mark)
    entry_bytes = item_bytes(posting.item)
    tables = Tables()
    units = {
        "Ledger": TRANSACTIONAL * math.ceil(entry_bytes / KB),
        "UserIdIndex": math.ceil(entry_bytes / KB),
        "HoldDueIndex": 1 if "holdShard" in posting.item else 0,
        "Credits": TRANSACTIONAL * math.ceil(user_row_bytes / KB) if guard is not Guard.NONE else 0,
        "Jobs": TRANSACTIONAL * math.ceil(job_row_bytes / KB) if mark is not None and len(posting.actions(tables)) > 1 else 0,
    }
    return Cost(kind or entry.type.value, entry_bytes, units)


def costs(policy: Policy, events: list[dict[str, Any]], job_row_bytes: int = 1000) -> Iterator[Cost]:
    """Yield the cost of each entry that events post, then of a duplicate: a cancelled transaction costs what it asked for."""
    run = DryRun(policy, store_of())
    for event in events:
        run.reconcile(Envelope(event, Source.EVENT))
    entries = list(run.entries())
    for entry in entries:
        yield cost_of(entry, Guard.EXISTS if entry.moves_credits else Guard.NONE, job_row_bytes)
    yield cost_of(entries[0], Guard.EXISTS, job_row_bytes, kind="duplicate")


@frozen
class Together:
    """The cost of several events of one job, each with its own invocation."""

    kind: str
    costs: tuple[Cost, ...]

    @property
    def write_units(self) -> int:
        return sum(cost.write_units for cost in self.costs)

    @property
    def read_units(self) -> int:
        return sum(cost.read_units for cost in self.costs)

    @property
    def dollars(self) -> float:
        return sum(cost.dollars for cost in self.costs)


def held_costs(policy: Policy, events: list[dict[str, Any]], job_row_bytes: int = 1000) -> tuple[Cost, Cost, Together]:
    """Return the cost of a request to hold and of the charge that settles it, then of both together.

    The request reads the user's row, for its answer, and marks no row of Jobs. The charge reads the log of its job, which the
    hold has opened.
    """
    held, settled, _ = costs(policy, events, job_row_bytes)
    both = evolve(held, read_units=1), evolve(settled, read_units=1)
    return *both, Together("hold and settle", both)
