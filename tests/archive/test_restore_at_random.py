"""Any damage of any entries, told to the archive or not, in any order: a restore brings every item back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import define

from engine.audit.restore import Restore
from engine.ledger.archive.bucket import MemoryBucket
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.store import Tables
from tests.simulation.database import Client, Database
from tests.support.archived import Archived
from tests.support.clock import ManualClock
from tests.support.events import failed, rendered
from tests.support.odd_items import odd_items
from tests.support.world import World
from tools.local_aws import create_tables

USERS, JOBS = 4, 12
TABLES = Tables()
KEYS = {TABLES.ledger: ("reference", "sequence"), TABLES.credits: ("userId",), TABLES.jobs: ("jobId",)}


@define
class History:
    """A ledger of some jobs in memory, its archive, and chance."""

    world: World
    archived: Archived
    chance: random.Random

    def items(self, table: str) -> dict[str, dict[str, Any]]:
        """Return a table by its keys."""
        found: list[dict[str, Any]] = self.world.client.scan(TableName=table)["Items"]
        return {" ".join(str(item.get(name)) for name in KEYS[table]): item for item in found}

    def everything(self) -> list[dict[str, dict[str, Any]]]:
        """Return Ledger, Credits and Jobs."""
        tables = self.world.tables
        return [self.items(table) for table in (tables.ledger, tables.credits, tables.jobs)]

    def damage(self) -> None:
        """Change or remove some entries, some sums, some marks; the stream tells of it now and then."""
        tables, client, chance = self.world.tables, self.world.client, self.chance
        for item in list(self.items(tables.ledger).values()):
            key = {name: item[name] for name in ("reference", "sequence")}
            match chance.choice(("nothing", "nothing", "removed", "changed", "explained")):
                case "removed":
                    client.delete_item(TableName=tables.ledger, Key=key)
                case "changed":
                    client.put_item(TableName=tables.ledger, Item=chance.choice(list(others(item))))
                case "explained" if "explanation" in item:
                    client.put_item(TableName=tables.ledger, Item={**item, "explanation": {"S": "forged"}})
            if chance.random() < 0.2:
                self.archived.hand_over()
        for table, name in ((tables.credits, "posted"), (tables.jobs, "reconciledSequence")):
            for row in list(self.items(table).values()):
                if name in row and chance.random() < 0.4:
                    client.put_item(TableName=table, Item={**row, name: {"N": str(chance.randrange(100, 200))}})

    def restore(self) -> tuple[Any, Any]:
        """Look and write."""
        store = DynamoStore(self.world.client, self.world.tables, self.world.clock)
        work = Restore(store.restores(), store.audits(), self.archived.bucket, self.archived.deadline, workers=1)
        found = work.look()
        return found, work.write(found, store.marks())


def others(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what somebody could put into the place of an entry: no name is empty, no key of an index is no text."""
    for what, other in odd_items(item):
        is_here = "junk" not in what and all(other[name] == item[name] for name in KEYS[TABLES.ledger])
        if is_here and all(other.get(name, {"S": "none"}).get("S") for name in ("userId", "postedAt")):
            yield other


def history(seed: int) -> History:
    """Return some jobs of some users, rendered and failed in any order; some entries are explained."""
    chance, client, time = random.Random(seed), Client(Database()), ManualClock()  # noqa: S311  to be played again
    tables = create_tables(client, TABLES)
    world = World(client, tables, clock=time.clock())
    archived = Archived(client, tables.ledger, time.now, MemoryBucket())
    for user in range(USERS):
        world.user(f"u-{user}")
    events = []
    for job in range(JOBS):
        user, name = f"u-{chance.randrange(USERS)}", f"j-{job}"
        world.job(name, userId=user)
        events += [rendered(name, user=user, seconds=chance.choice([3, 8, 600])), failed(name, user=user)][
            : chance.choice([1, 2])
        ]
    chance.shuffle(events)
    made = History(world, archived, chance)
    for event in events:
        world.deliver(event)
        time.wait(1)
        archived.hand_over(repeated=chance.random() < 0.3)
    for item in list(made.items(tables.ledger).values()):
        if chance.random() < 0.3:
            client.put_item(TableName=tables.ledger, Item={**item, "explanation": {"M": {"text": {"S": "why"}}}})
    archived.hand_over()
    return made


def is_restored(seed: int) -> None:
    """Play a history, damage it, restore it: all is as it was, and a second restore has nothing to do."""
    made = history(seed)
    before = made.everything()
    made.damage()

    found, done = made.restore()

    assert () == done.left == found.problems
    assert found.differing
    after = made.everything()
    assert before[:2] == after[:2]
    marks, now = ({name: row.get("reconciledSequence") for name, row in rows.items()} for rows in (before[2], after[2]))
    assert not [name for name, mark in now.items() if mark not in (None, marks[name])]  # one that is gone is the next scan's
    again, nothing = made.restore()
    assert (0, 0, 0) == (nothing.entries, nothing.posted, nothing.marks)
    assert not again.differing


@pytest.mark.proof
def test_forty_damaged_ledgers_are_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each from its seed."""
    monkeypatch.setattr("engine.audit.restore.SECONDS_BETWEEN_LOOKS", 0)
    for seed in range(40):
        is_restored(seed)
