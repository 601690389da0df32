"""What an eventually consistent read of the strict database may show: old versions, by the seed, for a moment.

Source: "DynamoDB read consistency", Amazon DynamoDB Developer Guide.
"""

from __future__ import annotations

from typing import Any

from tests.simulation.database import Client, Seeded
from tests.simulation.things import INDEX, PLAIN, SORTED, get, item, made, put, values
from tests.support.clock import ManualClock


def old(seed: int = 1, **options: Any) -> tuple[Client, ManualClock]:
    """Return a database whose eventually consistent reads are always as old as they may be, and its clock."""
    clock = ManualClock()
    return made(now=lambda: clock.elapsed, staleness=Seeded.of(seed, 1.0, 1.0), **options), clock


def test_an_eventually_consistent_read_can_show_what_was() -> None:
    """For a second; a consistent read and a condition never do."""
    client, clock = old()
    put(client, id="a", n=1)
    clock.elapsed += 1.5
    put(client, id="a", n=2)

    assert item(id="a", n=1) == client.get_item(TableName=PLAIN, Key=item(id="a"))["Item"]
    assert [item(id="a", n=1)] == client.scan(TableName=PLAIN)["Items"]
    assert item(id="a", n=2) == get(client)
    client.delete_item(TableName=PLAIN, Key=item(id="a"), ConditionExpression="n = :v", ExpressionAttributeValues=values(v=2))
    assert get(client) is None
    assert "Item" in client.get_item(TableName=PLAIN, Key=item(id="a"))
    clock.elapsed += 1.5
    assert "Item" not in client.get_item(TableName=PLAIN, Key=item(id="a"))
    assert [] == client.scan(TableName=PLAIN)["Items"]


def test_what_is_new_may_not_be_there_yet() -> None:
    """In the table, in a scan and in the index; a consistent read sees it at once."""
    client, clock = old()
    put(client, id="a", n=1)
    put(client, SORTED, log="a", entry=1, owner1="u", at1="t1")
    by_owner = {"TableName": SORTED, "IndexName": INDEX, "KeyConditionExpression": "owner1 = :u"}
    counts = []
    for seconds in (0, 1.5):
        clock.elapsed += seconds
        of_index = client.query(**by_owner, ExpressionAttributeValues=values(u="u"))["Count"]
        is_there = "Item" in client.get_item(TableName=PLAIN, Key=item(id="a"))
        counts.append((is_there, client.scan(TableName=PLAIN)["Count"], of_index, get(client) is not None))

    assert [(False, 0, 0, True), (True, 1, 1, True)] == counts


def test_an_index_can_show_an_item_under_its_old_key() -> None:
    """It is updated some time after the table."""
    client, clock = old()
    put(client, SORTED, log="a", entry=1, owner1="u", at1="t1")
    clock.elapsed += 1.5
    put(client, SORTED, log="a", entry=1, owner1="v", at1="t1")
    request = {"TableName": SORTED, "IndexName": INDEX, "KeyConditionExpression": "owner1 = :u"}
    counts = []
    for seconds in (0, 1.5):
        clock.elapsed += seconds
        found = (client.query(**request, ExpressionAttributeValues=values(u=owner))["Count"] for owner in "uv")
        counts.append(tuple(found))

    assert [(1, 0), (0, 1)] == counts


def test_the_same_seed_shows_the_same() -> None:
    """Which reads are stale is the seed's to say, and nothing else's."""

    def course(seed: int) -> list[Any]:
        client = made(now=lambda: 0.0, staleness=Seeded.of(seed))
        seen = []
        for number in range(200):
            put(client, id=f"a{number % 3}", n=number)
            seen.append(client.get_item(TableName=PLAIN, Key=item(id=f"a{number % 3}")).get("Item"))
        return seen

    assert course(1) == course(1)
    assert course(1) != course(2)


def test_versions_that_nobody_can_see_are_forgotten() -> None:
    """Memory does not grow with the writes, and an item that is gone leaves no place behind once it is written again."""
    client, clock = old()
    for number in range(100):
        clock.elapsed += 0.1
        put(client, SORTED, log="a", entry=1, owner1=f"u{number}", at1="t")
    table = client.database.tables[SORTED]

    (slot,) = table.slots.values()
    assert len(slot.versions) <= 12
    assert len(table.by_index) <= 12
    assert (1, 1) == (table.items, len(table.places))
