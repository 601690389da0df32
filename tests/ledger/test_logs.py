"""Entries many at once: the tables and memory give the same, whole and as they are stored."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.domain.envelope import Source
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.store import StoredEntry, Tables
from engine.preview.dry_run import store_of
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Clock
from engine.runtime.telemetry import Telemetry
from tests.support.clock import ManualClock
from tests.support.events import failed, rendered
from tests.support.policies import example
from tests.support.world import World

pytestmark = pytest.mark.local_aws

DOCUMENTS = [rendered(f"j-{number}", seconds=number) for number in range(1, 60)] + [failed("j-7")]
KEYS = [(f"job#j-{number}", sequence) for number in range(60) for sequence in (1, 2)]


def told(logs: Any, deadline: Any) -> tuple[list[StoredEntry], dict[Any, StoredEntry]]:
    """Return all entries in the order of their keys, and those at some keys."""
    entries = sorted(logs.entries(deadline), key=lambda entry: (entry["reference"], entry["sequence"]))
    return entries, logs.entries_at(KEYS, deadline)


def test_the_tables_and_memory_give_the_same_entries(dynamodb: Any, tables: Tables):
    """More than one request holds, some that are not there, and a log of two."""
    clock = ManualClock().clock()
    memory = store_of({"u-1": Decimal(1000)}, clock)
    World(dynamodb, tables).user("u-1", "1000")
    stores = DynamoStore(dynamodb, tables, clock), memory
    for store in stores:
        reconciler = Reconciler(example(), store, Telemetry(lambda _: None, clock), clock)  # type: ignore[arg-type]
        for document in DOCUMENTS:
            reconciler.event(document, Source.EVENT, clock.deadline(20))
    (all_of_tables, some_of_tables), (all_of_memory, some_of_memory) = (
        told(store.logs(), Clock().deadline(20)) for store in stores
    )

    assert (60, 60) == (len(all_of_tables), len(some_of_tables))
    assert all_of_tables == all_of_memory
    assert some_of_tables == some_of_memory
    assert {("job#j-7", 1), ("job#j-7", 2), ("job#j-8", 1)} <= some_of_tables.keys()
