"""The tables in the strict DynamoDB, and the client by which an invocation reaches them: faults are of requests here.

The store is the product's own: its conditions, its retries, its reading of reasons. A transaction is prepared before it is
committed, and others may be at work in between, so that conflicts are real.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from random import Random
from typing import Any

from attrs import Factory, define, field

from engine.domain.entry_types import EntryType
from engine.domain.envelope import Source
from engine.ledger.dynamodb.attributes import decode_item, encode_item
from engine.ledger.dynamodb.audits import DynamoAuditStore
from engine.ledger.dynamodb.postings import EXPLANATION
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.tables import KEYS
from engine.ledger.dynamodb.wire import NoAnswerError, ServiceError
from engine.ledger.store import Tables
from engine.reconcile.scheduled import SEGMENT_BYTES
from tests.simulation.database import Client, Database, Seeded
from tests.simulation.faults import (
    BUSY_MANY,
    BUSY_ONE,
    CALL_SECONDS_MAX,
    KILLS,
    LASTING,
    OUTAGES,
    SLOW_SECONDS_MAX,
    Caller,
)
from tests.simulation.watch import Moved
from tests.simulation.world.place import INDEX_TRAILS_SECONDS, Row, Timeline
from tests.simulation.world.plan import Plan
from tests.simulation.world.play import World

TABLES = Tables()
PAGE_ITEMS = 3
"""DynamoDB ends a page at 1 MB; a page may be as short as one item."""

OUTAGE_SECONDS = 20.0
WRITES = frozenset({"put_item", "update_item"})
INDEX = {
    "IndexName": "UserIdIndex",
    "KeySchema": [{"AttributeName": "userId", "KeyType": "HASH"}, {"AttributeName": "postedAt", "KeyType": "RANGE"}],
    "Projection": {"ProjectionType": "ALL"},
}


@define(eq=False)
class StrictPlace:
    """The tables in the strict database. It is a ``place.Place``."""

    timeline: Timeline
    jobs_bytes: int = 1
    seed: int = 0
    give_way: Callable[[], None] = field(default=lambda: None)
    database: Database = field(init=False)
    client: Client = field(init=False)
    committed: dict[tuple[str, int], float] = Factory(dict)
    moved: list[Moved] = Factory(list)

    @database.default
    def _database(self) -> Database:
        time = self.timeline
        return Database(lambda: time.steady, Seeded(Random(self.seed)), memory_seconds=INDEX_TRAILS_SECONDS)

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

    def movement(self, item: Mapping[str, Any], known: set[str]) -> Moved | None:
        """Return what an entry moved that was just committed; None for one that moves nothing."""
        row = decode_item(item)
        user, amount = row["userId"], row["amount"]
        if not amount or row["source"] == Source.REPAIR.value:
            return None
        flags = frozenset(anomaly["name"] for anomaly in row.get("anomalies", ()))
        left = self.left_of(user) or Decimal(0)
        return Moved(row["reference"], row["sequence"], user, amount, flags, user in known, left)

    def wrong(self) -> list[str]:
        """Return what the service would have refused as senseless."""
        return [f"a request that DynamoDB refuses: {problem}" for problem in self.database.validation_errors]


def _described(name: str, key: Mapping[str, str]) -> dict[str, Any]:
    is_ledger = name == TABLES.ledger
    types = {**key, **({"userId": "S", "postedAt": "S"} if is_ledger else {})}
    kinds = ("HASH", "RANGE")
    return {
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": each, "AttributeType": kind} for each, kind in types.items()],
        "KeySchema": [{"AttributeName": each, "KeyType": kind} for each, kind in zip(key, kinds, strict=False)],
        "BillingMode": "PAY_PER_REQUEST",
        **({"GlobalSecondaryIndexes": [INDEX]} if is_ledger else {}),
    }


def strict_store(place: StrictPlace, caller: Caller) -> DynamoStore:
    """Return the product's own store as one invocation reaches it."""
    return DynamoStore(FaultyClient(place, caller), TABLES, caller.clock())  # type: ignore[arg-type]  it answers any call


@define(eq=False)
class FaultyClient:
    """A client of DynamoDB whose requests meet faults."""

    place: StrictPlace
    caller: Caller
    outage: tuple[float, str] = (0.0, "")
    """Until when (steady seconds) every request meets the same fault."""

    def __getattr__(self, operation: str) -> Any:
        return lambda **request: self._send(operation, request)

    def close(self) -> None:
        """There is no connection to close."""

    def _send(self, operation: str, request: dict[str, Any]) -> Any:
        caller = self.caller
        caller.give_way()
        caller.timeline.pass_by(caller.dice.chance.random() * CALL_SECONDS_MAX)
        until, lasting = self.outage
        fault = lasting if caller.timeline.steady < until else caller.dice.fault()
        if fault is None:
            return self._act(operation, request)
        if fault == KILLS[0]:
            caller.die(fault)
        return self._with(fault, operation, request)

    def _with(self, fault: str, operation: str, request: dict[str, Any]) -> Any:
        caller = self.caller
        answer = self._act(operation, request) if fault in DONE else None
        if fault == KILLS[1]:
            caller.die(fault)
        caller.dice.count[fault] += 1
        if fault == "slow answer":
            caller.timeline.pass_by(caller.dice.chance.random() * SLOW_SECONDS_MAX)
            caller.give_way()
            return answer
        if not self.outage[1] and caller.dice.chance.random() < OUTAGES:
            self.outage = caller.timeline.steady + OUTAGE_SECONDS, fault
            caller.dice.count[LASTING] += 1
        raise self._error(fault, operation, request)

    def _error(self, fault: str, operation: str, request: dict[str, Any]) -> Exception:
        if fault.startswith("no answer"):
            return NoAnswerError(fault)
        if fault == "server error":
            return ServiceError("InternalServerError", fault, 500, [])
        if fault == "conflict" and operation == "transact_write_items":
            return self._conflict(len(request["TransactItems"]))
        if fault == "conflict" and operation in WRITES:
            return ServiceError("TransactionConflictException", fault, 400, [])
        return ServiceError("ProvisionedThroughputExceededException", fault, 400, [])

    def _conflict(self, items: int) -> ServiceError:
        chance, count = self.caller.dice.chance, self.caller.dice.count
        busy = {int(chance.random() * items), *(number for number in range(items) if chance.random() < 0.3)}
        count[BUSY_ONE if len(busy) == 1 else BUSY_MANY] += 1
        reasons = [{"Code": "TransactionConflict" if number in busy else "None"} for number in range(items)]
        return ServiceError("TransactionCanceledException", "conflict", 400, reasons)

    def _act(self, operation: str, request: dict[str, Any]) -> Any:
        database = self.place.database
        if operation in {"scan", "query"}:
            request = {"Limit": PAGE_ITEMS, **request}
        database.between = self.caller.crew.switch
        if operation == "transact_write_items":
            return self._transact(request)
        answer = getattr(self.place.client, operation)(**request)
        if operation == "describe_table":
            answer = {"Table": {**answer["Table"], "TableSizeBytes": self.place.jobs_bytes}}
        return answer

    def _transact(self, request: dict[str, Any]) -> Any:
        """Write a transaction, and take down what of it is new: of one that is sent again nothing is."""
        entries = [action["Put"]["Item"] for action in request["TransactItems"] if _puts_entry(action)]
        new = [item for item in entries if self.place.entry(item) is None]
        known = {item["userId"]["S"] for item in new if self.place.left_of(item["userId"]["S"]) is not None}
        answer = self.place.client.transact_write_items(**request)
        for item in new:
            if (moved := self.place.movement(item, known)) is not None:
                self.place.moved.append(moved)
        self.caller.posted_by_scan += sum(map(_is_a_scans, request["TransactItems"]))
        return answer


DONE = frozenset({KILLS[1], "no answer, all done", "slow answer"})


def _puts_entry(action: Mapping[str, Any]) -> bool:
    return action.get("Put", {}).get("TableName") == TABLES.ledger


def _is_a_scans(action: Mapping[str, Any]) -> bool:
    """Say whether an action puts an entry, and no flag, for a row that a scan read."""
    item = action.get("Put", {}).get("Item", {})
    return item.get("source") == {"S": Source.SCAN.value} and item.get("type") != {"S": EntryType.FLAG.value}


def strict_world(plan: Plan) -> World:
    """Return the world of a plan on the strict database."""
    timeline = Timeline()
    place = StrictPlace(timeline, plan.segments * SEGMENT_BYTES, plan.seed)
    world = World(plan, timeline=timeline, place=place, reach=strict_store)
    place.give_way = lambda: world.crew.switch()  # noqa: PLW0108  each round has a crew of its own
    return world
