"""The tables in the strict DynamoDB, and the client by which an invocation reaches them: faults are of requests here.

The store is the product's own: its conditions, its retries, its reading of reasons. A transaction is prepared before it is
committed, and others may be at work in between, so that conflicts are real.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from random import Random
from typing import Any

from attrs import Factory, define, field

from engine.domain.envelope import Source
from engine.ledger.dynamodb.attributes import decode_item, encode_item
from engine.ledger.dynamodb.audits import DynamoAuditStore
from engine.ledger.dynamodb.postings import EXPLANATION
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.tables import KEYS
from engine.ledger.dynamodb.wire import ServiceError
from engine.reconcile.scheduled import SEGMENT_BYTES
from tests.simulation.database import Client, Database, Seeded
from tests.simulation.faults import STALE_READS, Caller
from tests.simulation.holds import is_refused
from tests.simulation.watch import Balances, Moved, Refusal
from tests.simulation.world.faulty_client import TABLES, FaultyClient
from tests.simulation.world.place import INDEX_TRAILS_SECONDS, Row, Timeline
from tests.simulation.world.plan import Plan
from tests.simulation.world.play import World

INDEXES = [
    {
        "IndexName": "UserIdIndex",
        "KeySchema": [{"AttributeName": "userId", "KeyType": "HASH"}, {"AttributeName": "postedAt", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "ALL"},
    },
    {
        "IndexName": "HoldDueIndex",
        "KeySchema": [{"AttributeName": "holdShard", "KeyType": "HASH"}, {"AttributeName": "holdDue", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    },
]


@define(eq=False)
class CountedStaleness:
    """Stale by the seed, and how often it really was: ``count`` is the world's."""

    seeded: Seeded
    count: Counter[str] = Factory(Counter)

    def back(self, table: str, index: str | None, versions: int) -> int:
        """Return how many versions back to look."""
        back = self.seeded.back(table, index, versions)
        self.count[STALE_READS[index is not None]] += back > 0
        return back


@define(eq=False)
class StrictPlace:
    """The tables in the strict database. It is a ``place.Place``."""

    timeline: Timeline
    jobs_bytes: int = 1
    seed: int = 0
    give_way: Callable[[], None] = field(default=lambda: None)
    staleness: CountedStaleness = field(init=False)
    database: Database = field(init=False)
    client: Client = field(init=False)
    committed: dict[tuple[str, int], float] = Factory(dict)
    moved: list[Moved] = Factory(list)
    balances: Balances = Factory(Balances)

    @staleness.default
    def _staleness(self) -> CountedStaleness:
        return CountedStaleness(Seeded(Random(self.seed)))

    @database.default
    def _database(self) -> Database:
        time = self.timeline
        return Database(lambda: time.steady, self.staleness, memory_seconds=INDEX_TRAILS_SECONDS)

    @client.default
    def _client(self) -> Client:
        client = Client(self.database)
        for kind, key in KEYS.items():
            client.create_table(**_described(getattr(TABLES, kind), key))
        return client

    @property
    def store(self) -> DynamoStore:
        """The store, without faults."""
        return DynamoStore(self.client, TABLES, Caller.at_rest(self.timeline).clock())

    def audits(self, caller: Any, _is_stale: Callable[[], bool]) -> DynamoAuditStore:
        """Return what audits see; how stale the index is, the database's own seed says."""
        return DynamoAuditStore(self.client, TABLES, caller.clock())

    def put_job(self, row: Row) -> None:
        """Write a whole row."""
        self._written(self.client.put_item, {"TableName": TABLES.jobs, "Item": encode_item(row)})

    def update_job(self, row: Row) -> None:
        """Write some attributes of a row."""
        places = {f"#a{number}": name for number, name in enumerate(name for name in row if name != "jobId")}
        request = {
            "TableName": TABLES.jobs,
            "Key": encode_item({"jobId": row["jobId"]}),
            "UpdateExpression": "SET " + ", ".join(f"{place} = :{place[1:]}" for place in places),
            "ExpressionAttributeNames": places,
            "ExpressionAttributeValues": encode_item({f":{place[1:]}": row[name] for place, name in places.items()}),
        }
        self._written(self.client.update_item, request)

    def add_credits(self, user: str, amount: Decimal) -> None:
        """Move a balance as an application does."""
        request = {
            "TableName": TABLES.credits,
            "Key": encode_item({"userId": user}),
            "UpdateExpression": "ADD remaining :amount",
            "ExpressionAttributeValues": encode_item({":amount": amount}),
        }
        self._written(self.client.update_item, request)
        self.balances.moved(user, self.timeline.steady, self.left_of(user) or Decimal(0))

    def _written(self, send: Callable[..., Any], request: Mapping[str, Any]) -> None:
        """Write, again and again while a transaction is at work on the item."""
        while True:
            try:
                send(**request)
            except ServiceError as error:
                if "Conflict" not in error.code:
                    raise
                self.give_way()
            else:
                return

    def remember(self) -> None:
        """The database keeps earlier versions itself."""

    def entries(self) -> list[Row]:
        """Return all entries as they are stored, but for their explanations."""
        return [{name: value for name, value in row.items() if name != EXPLANATION} for row in self._rows(TABLES.ledger)]

    def words(self) -> dict[tuple[str, int], Mapping[str, str]]:
        """Return the explanations by the entries on which they stand."""
        rows = self._rows(TABLES.ledger)
        return {(row["reference"], int(row["sequence"])): row[EXPLANATION] for row in rows if EXPLANATION in row}

    def rows(self) -> tuple[Mapping[str, Row], Mapping[str, Row]]:
        """Return the rows of Jobs and of Credits."""
        jobs, users = self._rows(TABLES.jobs), self._rows(TABLES.credits)
        return {row["jobId"]: row for row in jobs}, {row["userId"]: row for row in users}

    def _rows(self, table: str) -> Iterator[Row]:
        yield from map(decode_item, self.client.scan(TableName=table, ConsistentRead=True)["Items"])

    def entry(self, item: Mapping[str, Any]) -> Row | None:
        """Return what stands at the key of an item of the ledger."""
        key = {name: item[name] for name in KEYS["ledger"]}
        found = self.client.get_item(TableName=TABLES.ledger, Key=key, ConsistentRead=True)
        return decode_item(found["Item"]) if "Item" in found else None

    def left_of(self, user: str) -> Decimal | None:
        """Return what is left of a user's credits; None where there is no row."""
        key = encode_item({"userId": user})
        found = self.client.get_item(TableName=TABLES.credits, Key=key, ConsistentRead=True)
        return decode_item(found["Item"]).get("remaining", Decimal(0)) if "Item" in found else None

    def note_refusal(self, item: Mapping[str, Any], since: float) -> None:
        """Take down a request that was refused, if an entry that was just committed remembers one."""
        row = decode_item(item)
        if is_refused(row):
            refusal = Refusal(row["reference"], int(row["sequence"]), row["userId"], since, self.timeline.steady)
            self.balances.refusals.append(refusal)

    def movement(self, item: Mapping[str, Any], known: set[str], transaction: int) -> Moved | None:
        """Return what an entry moved that was just committed; None for one that moves nothing."""
        row = decode_item(item)
        user, amount = row["userId"], row["amount"]
        if not amount or row["source"] == Source.REPAIR.value:
            return None
        flags = frozenset(anomaly["name"] for anomaly in row.get("anomalies", ()))
        left = self.left_of(user) or Decimal(0)
        self.balances.moved(user, self.timeline.steady, left)
        of_entry = row["reference"], row["sequence"], user, amount
        return Moved(*of_entry, flags, user in known, left, row["type"], row["policy"], transaction)

    def wrong(self) -> list[str]:
        """Return what the service would have refused as senseless."""
        return [f"a request that DynamoDB refuses: {problem}" for problem in self.database.validation_errors]


def _described(name: str, key: Mapping[str, str]) -> dict[str, Any]:
    is_ledger = name == TABLES.ledger
    types = {**key, **(dict.fromkeys(("userId", "postedAt", "holdShard", "holdDue"), "S") if is_ledger else {})}
    kinds = ("HASH", "RANGE")
    return {
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": each, "AttributeType": kind} for each, kind in types.items()],
        "KeySchema": [{"AttributeName": each, "KeyType": kind} for each, kind in zip(key, kinds, strict=False)],
        "BillingMode": "PAY_PER_REQUEST",
        **({"GlobalSecondaryIndexes": INDEXES} if is_ledger else {}),
    }


def strict_store(place: StrictPlace, caller: Caller) -> DynamoStore:
    """Return the product's own store as one invocation reaches it."""
    return DynamoStore(FaultyClient(place, caller), TABLES, caller.clock())  # type: ignore[arg-type]  it answers any call


def strict_world(plan: Plan) -> World:
    """Return the world of a plan on the strict database."""
    timeline = Timeline()
    place = StrictPlace(timeline, plan.segments * SEGMENT_BYTES, plan.seed)
    world = World(plan, timeline=timeline, place=place, reach=strict_store)
    place.staleness.count = world.count
    place.give_way = lambda: world.crew.switch()  # noqa: PLW0108  each round has a crew of its own
    return world
