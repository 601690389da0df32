"""What the tests' own stream hands over: every insert, change and removal of a table, in order, and nothing else."""

from __future__ import annotations

from typing import Any

from engine.ledger.archive.chain import EMPTY, ArchiveObject, follow
from engine.ledger.dynamodb.stream import Record
from engine.ledger.store import Tables
from tests.simulation.database import Client, Database
from tests.support.archived import Archived
from tests.support.clock import ManualClock
from tests.support.events import failed, rendered
from tests.support.world import World
from tools.local_aws import create_tables


def lines(archived: Archived) -> list[tuple[str, str, Any]]:
    """Return what the chain has: what each record tells, and of which entry."""
    found = follow(archived.bucket, EMPTY, archived.heads.now, archived.deadline)
    records = [Record.read(line) for each in found if isinstance(each, ArchiveObject) for line in each.lines]
    return [(record.told.value, *record.key) for record in records]


def test_a_table_hands_over_what_became_of_it() -> None:
    """Two entries come; one is changed and one goes; nothing new is nothing; what is repeated comes twice."""
    time, client = ManualClock(), Client(Database())
    world = World(client, create_tables(client, Tables()), clock=time.clock())
    archived = Archived(client, world.tables.ledger, time.now)
    world.user()
    world.deliver(rendered("j-1"), failed("j-1"))
    archived.hand_over()
    archived.hand_over()
    key = {"reference": {"S": "job#j-1"}, "sequence": {"N": "1"}}
    client.update_item(
        TableName=world.tables.ledger,
        Key=key,
        UpdateExpression="SET amount = :n",
        ExpressionAttributeValues={":n": {"N": "5"}},
    )
    client.delete_item(TableName=world.tables.ledger, Key={**key, "sequence": {"N": "2"}})
    archived.hand_over(repeated=True)

    came, changed = [("insert", "job#j-1", 1), ("insert", "job#j-1", 2)], [("modify", "job#j-1", 1), ("remove", "job#j-1", 2)]
    assert [*came, *changed, *changed] == lines(archived)
