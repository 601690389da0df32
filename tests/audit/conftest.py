"""A ledger of a working day, sealed, with some entries that are too new for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from engine.audit.books import Audit, audit
from engine.audit.seals import REST, Sealer, Verification, verify
from engine.ledger.audits import AuditStore
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.store import Tables
from tests.support.clock import ManualClock
from tests.support.events import failed, rendered
from tests.support.world import World

LATER = timedelta(minutes=1)


class Day:
    """Users u-1 to u-3 with 1,000 credits each, what became of their jobs, and what audits say of it.

    j-1, j-2 and j-3 of u-1: charged (-0.80); charged and refunded; charged, refunded and charged again (-0.50). j-4 and j-5 of
    u-2: charged (-1.20 and -2.00). j-6 of u-3, not sealed: charged and refunded; j-7 of u-3, not sealed: charged (-0.30).
    """

    def __init__(self, world: World, time: ManualClock) -> None:
        self.world, self.time = world, time
        for user in ("u-1", "u-2", "u-3"):
            world.user(user)
        self.sealed_events = [
            rendered("j-1"),
            rendered("j-2"),
            failed("j-2"),
            rendered("j-3"),
            failed("j-3"),
            rendered("j-3", seconds=5, at="12:00"),
            rendered("j-4", user="u-2", seconds=12),
            rendered("j-5", user="u-2", seconds=20),
        ]
        self.new_events = [rendered("j-6", user="u-3"), failed("j-6", user="u-3"), rendered("j-7", user="u-3", seconds=3)]
        world.deliver(*self.sealed_events)
        time.wait((REST + LATER).total_seconds())
        self.seal()
        world.deliver(*self.new_events)

    @property
    def ledger(self) -> DynamoStore:
        """The ledger at work."""
        return DynamoStore(self.world.client, self.world.tables, self.world.clock)

    @property
    def store(self) -> AuditStore:
        """The same, as audits see it."""
        return self.ledger.audits()

    def audit(self, *, sealing: bool = False) -> Audit:
        """Audit, and seal by the way if that is wanted."""
        deadline = self.world.deadline(600)
        return audit(self.ledger, deadline, sealer=Sealer(self.store, self.time.now(), deadline) if sealing else None)

    def seal(self) -> Audit:
        """Audit and seal."""
        return self.audit(sealing=True)

    def verify(self) -> Verification:
        """Compare all that was sealed."""
        return verify(self.store, self.world.deadline(600))

    # --- what somebody does who should not ---

    def change(self, reference: str, sequence: int, update: str, **values: dict[str, Any]) -> None:
        """Change an entry, as nothing of this system can."""
        names = {"#source": "source", "#type": "type", "#user": "userId", "#by": "by"}
        self.world.client.update_item(
            TableName=self.world.tables.ledger,
            Key={"reference": {"S": reference}, "sequence": {"N": str(sequence)}},
            UpdateExpression=update,
            **({"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}} if values else {}),
            **({"ExpressionAttributeNames": used} if (used := {n: v for n, v in names.items() if n in update}) else {}),
        )

    def remove(self, reference: str, *sequences: int) -> None:
        """Remove entries."""
        for sequence in sequences:
            key = {"reference": {"S": reference}, "sequence": {"N": str(sequence)}}
            self.world.client.delete_item(TableName=self.world.tables.ledger, Key=key)

    def insert(self, reference: str, sequence: int, like: str, **changes: dict[str, Any]) -> None:
        """Put an entry into the ledger, made after the first one of another log."""
        table = self.world.tables.ledger
        key = {"reference": {"S": like}, "sequence": {"N": "1"}}
        item = self.world.client.get_item(TableName=table, Key=key)["Item"]
        own = {"reference": {"S": reference}, "sequence": {"N": str(sequence)}}
        self.world.client.put_item(TableName=table, Item={**item, **own, **changes})

    def change_row(self, user: str, update: str, **values: dict[str, Any]) -> None:
        """Change a user's row of Credits."""
        self.world.client.update_item(
            TableName=self.world.tables.credits,
            Key={"userId": {"S": user}},
            UpdateExpression=update,
            **({"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}} if values else {}),
        )

    def remove_row(self, user: str) -> None:
        """Remove a user's row of Credits."""
        self.world.client.delete_item(TableName=self.world.tables.credits, Key={"userId": {"S": user}})

    def entries(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return every entry, whole, by its key."""
        pages = self.world.client.get_paginator("scan").paginate(TableName=self.world.tables.ledger, ConsistentRead=True)
        items = [item for page in pages for item in page["Items"]]
        return {(item["reference"]["S"], item["sequence"]["N"]): item for item in items}


@pytest.fixture
def time() -> ManualClock:
    """Return the clock of the day."""
    return ManualClock()


@pytest.fixture
def day(dynamodb: Any, tables: Tables, time: ManualClock) -> Day:
    """Return the day, on fresh tables."""
    return Day(World(dynamodb, tables, clock=time.clock()), time)


@pytest.fixture
def another_day(dynamodb: Any, new_tables: Callable[[], Tables]) -> Callable[[], Day]:
    """Return what makes another one."""

    def make() -> Day:
        time = ManualClock()
        return Day(World(dynamodb, new_tables(), clock=time.clock()), time)

    return make
