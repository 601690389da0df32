"""A history that is over, lived again on the strict database: every posting at its time, with the stream that tells of it.

The twin of a stage, to which nothing is done, is the truth: what is otherwise in the end was not put right.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from unittest.mock import patch

from attrs import Factory, define, field

from engine.domain.envelope import Source
from engine.ledger.archive.bucket import MemoryBucket
from engine.ledger.archive.chain import Head, append
from engine.ledger.dynamodb.attributes import Item
from engine.ledger.dynamodb.heads import DynamoHeads
from engine.ledger.dynamodb.postings import EXPLANATION
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.stream import record_of_stream
from engine.policy import Policy
from engine.reconcile.reconciler import Reconciler
from tests.simulation.database import Fresh
from tests.simulation.database.schema import Key as TableKey
from tests.simulation.database.tables import Table
from tests.simulation.history import play
from tests.simulation.world.damage import A_DAY, _raw, key_of
from tests.simulation.world.place import NEVER, Timeline
from tests.simulation.world.plan import Document, plan_of
from tests.simulation.world.play import World
from tests.simulation.world.strict import TABLES, StrictPlace
from tests.simulation.world.telling import Counting

LINES_MAX = 10
"""So many records are one object of the archive at most."""


@functools.lru_cache(maxsize=64)
def over(seed: int) -> World:
    """Return the world of a history that is over; that it is right, others test."""
    world = World(plan_of(seed))
    with patch("tests.simulation.history.damaged", lambda _world: []):
        play(world.plan, world)
    return world


@define(eq=False)
class StreamedTable(Table):
    """A table that tells each change of an item: what stood there, and what stands there now."""

    tell: Callable[[Item | None, Item | None], None] = field(kw_only=True)

    def write(self, key: TableKey, item: Item | None, now: float) -> None:
        """Write, and tell it; what stays as it is makes no record."""
        before = self.slot(key).item
        super().write(key, item, now)
        if before != item:
            self.tell(before, item)


@define(eq=False)
class Stage:
    """The tables of one history, its stream, and the bucket that keeps what the stream told."""

    world: World
    timeline: Timeline = field(init=False)
    place: StrictPlace = field(init=False)
    bucket: MemoryBucket = Factory(MemoryBucket)
    records: list[dict[str, Any]] = Factory(list)
    """What the stream has told and nobody has archived yet."""
    told: list[dict[str, Any]] = Factory(list)
    """All that the stream has told."""

    @timeline.default
    def _timeline(self) -> Timeline:
        return Timeline(offset=self.world.timeline.offset)

    @place.default
    def _place(self) -> StrictPlace:
        place = StrictPlace(self.timeline)
        place.database.staleness = Fresh()
        tables = place.database.tables
        tables[TABLES.ledger] = StreamedTable(tables[TABLES.ledger].schema, tell=self._tell)
        return place

    def _tell(self, before: Item | None, after: Item | None) -> None:
        name = "INSERT" if before is None else "REMOVE" if after is None else "MODIFY"
        item = after or before or {}
        change: dict[str, Any] = {"ApproximateCreationDateTime": self.timeline.now().timestamp()}
        change["Keys"] = {part: item[part] for part in ("reference", "sequence")}
        if after is not None:
            change["NewImage"] = after
        self.records.append({"eventName": name, "dynamodb": change})
        self.told.append(self.records[-1])

    @property
    def client(self) -> Any:
        """The database."""
        return self.place.client

    @property
    def ledger(self) -> DynamoStore:
        """The product's own store."""
        return self.place.store

    @property
    def heads(self) -> DynamoHeads:
        """Where the head of the archive stands."""
        return DynamoHeads(self.client, TABLES.seals)

    # --- what it was before ---

    def live(self, until: float, at_a_moment: Callable[[], None]) -> None:
        """Post all that the history has posted, in its order; ``at_a_moment``, after that share of it, something is done."""
        rows = dict(_raw(self.world))
        entries = sorted(rows["ledger"], key=lambda item: (self.world.place.committed[key_of(item)], key_of(item)))
        self._before(rows)
        moment = int(until * len(entries))
        for number, item in enumerate(entries):
            if number == moment:
                at_a_moment()
            self._post(item)
        self.timeline.steady = max(self.timeline.steady, self.world.timeline.steady)

    def _before(self, rows: dict[str, list[Item]]) -> None:
        """Rows of jobs as they are in the end, and of users without what was posted."""
        sums: dict[str, Decimal] = {}
        for item in rows["ledger"]:
            sums[item["userId"]["S"]] = sums.get(item["userId"]["S"], Decimal(0)) + Decimal(item["amount"]["N"])
        for item in rows["jobs"]:
            self.client.put_item(TableName=TABLES.jobs, Item=item)
        for item in rows["credits"]:
            left = Decimal(item.get("remaining", {"N": "0"})["N"]) - sums.get(item["userId"]["S"], Decimal(0))
            before = {name: value for name, value in item.items() if name != "posted"}
            self.client.put_item(TableName=TABLES.credits, Item={**before, "remaining": {"N": f"{left:f}"}})

    def _post(self, item: Item) -> None:
        self.timeline.steady = max(self.timeline.steady, self.world.place.committed[key_of(item)])
        plain = {name: value for name, value in item.items() if name != EXPLANATION}
        move = {
            "TableName": TABLES.credits,
            "Key": {"userId": item["userId"]},
            "UpdateExpression": "ADD remaining :amount, posted :amount",
            "ExpressionAttributeValues": {":amount": item["amount"]},
        }
        moves = [{"Update": move}] if Decimal(item["amount"]["N"]) else []
        put = {"Put": {"TableName": TABLES.ledger, "Item": plain}}
        self.client.transact_write_items(TransactItems=[put, *moves])
        if EXPLANATION in item:
            self.client.put_item(TableName=TABLES.ledger, Item=item)

    # --- what goes on ---

    def archive(self) -> Head:
        """Archive what the stream has told."""
        head = self.heads.head(NEVER)
        while self.records:
            some, self.records[:LINES_MAX] = self.records[:LINES_MAX], []
            lines = [record_of_stream(record).text() for record in some]
            head = append(self.bucket, self.heads, lines, self.timeline.now(), NEVER)
        return head

    def send(self, document: Document, policy: Policy, ledger: DynamoStore | None = None) -> None:
        """Let an event be reconciled. Raises EventError where it makes no sense."""
        ledger = ledger or self.ledger
        reconciler = Reconciler(policy, ledger, Counting(self.world.count, ledger.clock), ledger.clock)
        reconciler.event(document, Source.REPLAY, ledger.clock.deadline(30))

    def pass_by(self, seconds: float) -> None:
        """Let time pass, and the stream be archived."""
        self.timeline.pass_by(seconds)
        self.archive()

    def a_day_later(self) -> None:
        """Let all clocks be right again, and a day pass."""
        self.pass_by(A_DAY)

    # --- what is there ---

    def items(self, kind: str) -> list[Item]:
        """Return all items of a table."""
        answer: list[Item] = self.client.scan(TableName=getattr(TABLES, kind), ConsistentRead=True)["Items"]
        return answer

    def inserted(self, since: int) -> Iterator[tuple[str, str]]:
        """Yield the keys of what was put in, since the stream had told so many records."""
        for record in self.told[since:]:
            if record["eventName"] == "INSERT":
                keys = record["dynamodb"]["Keys"]
                yield keys["reference"]["S"], keys["sequence"]["N"]
