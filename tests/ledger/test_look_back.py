"""The look back on real tables: what is read, what is flagged, and that nothing else is touched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from engine.domain.anomaly import Sign
from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.store import Tables
from tests.support.events import failed, rendered
from tests.support.policies import example
from tests.support.world import World

BURST = (
    "catch_up:\n",
    "  - {name: burst, match: {detail-type: [video.rendered]}, frequency: {same: detail.userId, more_than: 2, within: 10m}}\n"
    "catch_up:\n",
)


def world_with_burst(client: Any, tables: Tables) -> World:
    """Return a world in which one user has rendered three jobs in ten minutes."""
    world = World(client, tables, example(BURST)).user("u-1", "1000").job("j-3")
    world.deliver(*(rendered(f"j-{number}", at=f"10:0{number}") for number in (1, 2, 3)), failed("j-9"))
    return world


def test_a_scheduled_run_flags_once_and_touches_neither_balance_nor_job(dynamodb: Any, tables: Tables) -> None:
    """The flag stands behind the debit; another run posts nothing, and the books agree."""
    world = world_with_burst(dynamodb, tables)
    before = world.everything()

    answers = [world.scheduled() for _ in range(2)]

    after = world.everything()
    assert [1, 0] == [answer["lookBack"]["flags"] for answer in answers]
    assert [("debit", Decimal("-0.8")), ("flag", Decimal(0))] == world.amounts("j-3")
    assert (before["credits"], before["jobs"]) == (after["credits"], after["jobs"])
    assert [[], []] == [answer["audit"]["drifts"] for answer in answers]
    assert ["burst"] == [anomaly["name"] for anomaly in world.entries("j-3")[-1]["anomalies"]]


def test_only_recent_entries_that_tell_something_are_read(dynamodb: Any, tables: Tables) -> None:
    """Three renders and later their flag: a failure is counted by nothing here."""
    world = world_with_burst(dynamodb, tables)
    ledger, now = world.reconciler().ledger, datetime.now(UTC)

    def read(since: datetime) -> list[tuple[str, tuple[Sign, ...], str | None]]:
        pages = ledger.recent(since, world.deadline())
        return sorted((seen.reference, seen.signs, seen.flagged) for page in pages for seen in page)

    renders = read(now - timedelta(minutes=10))
    world.scheduled()

    assert ["job#j-1", "job#j-2", "job#j-3"] == [reference for reference, _, _ in renders]
    assert 1 == len({signs for _, signs, _ in renders})
    assert [("job#j-3", (), "burst")] == [seen for seen in read(now - timedelta(minutes=10)) if seen[2]]
    assert [] == read(now + timedelta(minutes=10))


def test_an_entry_that_is_none_does_not_stop_the_scheduled_run(dynamodb: Any, tables: Tables) -> None:
    """Somebody wrote it by hand: the answer says what is wrong, and the rest is done."""
    world = world_with_burst(dynamodb, tables)
    item = {"reference": "job#x", "sequence": 1, "userId": "u-1", "amount": 0, "postedAt": "2999", "signs": {"burst": "k"}}
    dynamodb.put_item(TableName=tables.ledger, Item=encode_item(item))

    answer = world.scheduled()

    assert "KeyError" in answer["lookBack"]["problem"]
    assert [] == answer["audit"]["drifts"]
