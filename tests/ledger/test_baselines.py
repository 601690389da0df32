"""Baselines on real tables: sampled from the Ledger, kept in State, and no reason to fail where that table is not there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import define, evolve

from engine.domain.anomaly import Sample
from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.store import Tables
from engine.rating.baselines import Baseline, Baselines
from tests.support.events import failed, rendered
from tests.support.policies import example
from tests.support.world import World

UNUSUAL = (
    "catch_up:\n",
    "  - {name: unusual, outlier: {value: charge.amount, group: detail.model, mads: 6, samples: 30}}\ncatch_up:\n",
)
OF = "charge.amount by detail.model"


def world_with_outliers(dynamodb: Any, tables: Tables) -> World:
    """Return a world whose policy looks for outliers."""
    return World(dynamodb, tables, policy=example(UNUSUAL)).user()


def test_baselines_come_back_as_they_were_stored(dynamodb: Any, tables: Tables) -> None:
    """Every digit, and the instant."""
    ledger = DynamoStore(dynamodb, tables, World(dynamodb, tables).clock)
    deadline = ledger.clock.deadline(20)
    baselines = Baselines(
        {OF: {"veo-3": Baseline(Decimal("0.812345678901"), Decimal("0.1"), 30), "a b/c": Baseline(Decimal(8), Decimal(0), 5)}},
        datetime(2026, 1, 5, 10, tzinfo=UTC),
    )

    ledger.store_baselines("video", Baselines({}, datetime(2020, 1, 1, tzinfo=UTC)), deadline)
    ledger.store_baselines("video", baselines, deadline)

    assert baselines == ledger.load_baselines("video", deadline)
    assert Baselines() == ledger.load_baselines("another", deadline)


@define
class Pages:
    """A client of a database whose pages of a scan have so many items, and how many it has given."""

    client: Any
    items: int
    given: int = 0

    def scan(self, **request: Any) -> dict[str, Any]:
        """Scan, a page at a time."""
        self.given += 1
        answer: dict[str, Any] = self.client.scan(**request, Limit=self.items)
        return answer

    def __getattr__(self, name: str) -> Any:
        """Return what the client has else."""
        return getattr(self.client, name)


def test_samples_are_read_from_all_pages_and_only_from_recent_entries(dynamodb: Any, tables: Tables) -> None:
    """An entry without a sample is passed by. Once there are enough, no further page is read."""
    world = world_with_outliers(dynamodb, tables)
    world.deliver(*(rendered(f"j-{number}", seconds=number) for number in range(1, 41)), failed("j-1"))
    client, deadline = Pages(dynamodb, items=7), world.deadline()
    ledger = DynamoStore(client, tables, world.clock)
    now = datetime.now(UTC)

    found = list(ledger.samples(now - timedelta(minutes=10), 10_000, deadline))

    assert [Sample(OF, "veo-3", Decimal(number) / 10) for number in range(1, 41)] == sorted(found, key=lambda s: s.value)
    assert client.given == 6
    assert [] == list(ledger.samples(now + timedelta(minutes=10), 10_000, deadline))
    client.given = 0
    assert 8 <= len(list(ledger.samples(now - timedelta(minutes=10), 8, deadline))) <= 14
    assert client.given == 2


def test_a_ledger_of_one_page_is_read_by_one_request(dynamodb: Any, tables: Tables) -> None:
    """For what is usual, and for a look back."""
    world = world_with_outliers(dynamodb, tables)
    world.deliver(rendered("j-1"), rendered("j-2"))
    client = Pages(dynamodb, items=1000)
    ledger, since = DynamoStore(client, tables, world.clock), datetime.now(UTC) - timedelta(minutes=10)

    assert 2 == len(list(ledger.samples(since, 100, world.deadline())))
    assert [2] == [len(page) for page in ledger.recent(since, world.deadline())]
    assert 2 == client.given


def test_a_scheduled_run_learns_what_is_usual_and_the_next_container_knows_it(dynamodb: Any, tables: Tables) -> None:
    """From entries to a flag, through both tables."""
    world = world_with_outliers(dynamodb, tables)
    world.deliver(*(rendered(f"j-{number}", seconds=8 + number % 3) for number in range(36)))

    answer = world.scheduled()
    (report,) = world.deliver(rendered("j-x", seconds=100))

    assert {"groups": 1, "samples": 36} == answer["baselines"]
    assert report.entry is not None
    assert ["unusual"] == [anomaly.name for anomaly in report.entry.anomalies]


def test_without_a_table_for_them_everything_else_works(dynamodb: Any, tables: Tables) -> None:
    """A stack that has only the three tables of money."""
    world = world_with_outliers(dynamodb, evolve(tables, state="NoSuchTable"))

    (report,) = world.deliver(rendered(seconds=8))
    answer = world.scheduled()

    assert [("debit", Decimal("-0.8"))] == world.amounts("j-1")
    assert "unreadable" == report.answer()["baselines"]
    assert "ResourceNotFoundException" in answer["baselines"]["problem"]


@pytest.mark.parametrize(
    "groups",
    [
        "none",
        {OF: "none"},
        {OF: {"veo-3": {"median": "much", "mad": 1, "samples": 50}}},
        {OF: {"veo-3": {"median": 1, "mad": "NaN", "samples": 50}}},
        {OF: {"veo-3": {"median": 1}}},
    ],
    ids=str,
)
def test_what_is_no_baseline_is_none(dynamodb: Any, tables: Tables, groups: Any) -> None:
    """Somebody wrote something else there; the debit is posted all the same."""
    world = world_with_outliers(dynamodb, tables)
    item = {"id": "baselines#video", "computedAt": datetime.now(UTC).isoformat(), "groups": groups}
    dynamodb.put_item(TableName=tables.state, Item=encode_item(item))

    (report,) = world.deliver(rendered(seconds=8))

    assert "unreadable" == report.answer()["baselines"]


def test_an_entry_with_senseless_samples_does_not_stop_the_scheduled_run(dynamodb: Any, tables: Tables) -> None:
    """Somebody wrote it by hand: the scan goes on, and the answer says what is wrong."""
    world = world_with_outliers(dynamodb, tables)
    item = {"reference": "job#j-1", "sequence": 1, "userId": "u-1", "amount": 0, "postedAt": "2999", "samples": [{"of": 1}]}
    dynamodb.put_item(TableName=tables.ledger, Item=encode_item(item))
    world.job("j-2")

    answer = world.scheduled()

    assert "KeyError" in answer["baselines"]["problem"]
    assert {"debited": 1} == answer["outcomes"]
