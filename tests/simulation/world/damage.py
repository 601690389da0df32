"""The tables of a history that is over, on the strict database, and hands that do to them what nothing of this system can."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import define, field, frozen

from engine.audit.books import Audit, audit
from engine.audit.seals import Sealer, Verification, verify
from engine.ledger.dynamodb.attributes import Item, decode_item, encode_item
from engine.ledger.dynamodb.postings import EXPLANATION
from engine.ledger.dynamodb.store import DynamoStore
from tests.simulation.database import Fresh
from tests.simulation.world.place import MemoryPlace
from tests.simulation.world.play import World
from tests.simulation.world.strict import TABLES, StrictPlace

Key = tuple[str, int]
KINDS_OF_TABLES = ("jobs", "credits", "ledger", "seals", "state")
A_DAY = 86_400.0


@frozen
class Spot:
    """One entry, and where it stands."""

    item: Item
    log: tuple[Item, ...]
    is_sealed: bool
    sealed_of_log: int
    """How many entries of its log are sealed."""
    is_told_again: bool
    """Whether all that its log knows is told by events that are sent again."""

    @property
    def key(self) -> Key:
        """Reference and sequence."""
        return key_of(self.item)

    @property
    def reference(self) -> str:
        """Its log."""
        return self.key[0]

    @property
    def user(self) -> str:
        """Whose it is."""
        return str(self.item["userId"]["S"])

    @property
    def amount(self) -> Decimal:
        """What it moves."""
        return Decimal(self.item["amount"]["N"])

    @property
    def net(self) -> Decimal:
        """What its log moves."""
        return sum((Decimal(item["amount"]["N"]) for item in self.log), Decimal(0))

    @property
    def is_new(self) -> bool:
        """Whether no seal has it."""
        return not self.is_sealed

    @property
    def all_is_new(self) -> bool:
        """Whether no seal has any entry of its log."""
        return not self.sealed_of_log

    @property
    def moves(self) -> bool:
        """Whether it moves credits."""
        return self.amount != 0

    @property
    def is_still(self) -> bool:
        """Whether it moves nothing."""
        return not self.moves

    @property
    def is_no_flag(self) -> bool:
        """Whether it is no flag: one of a charge that was refused is told by its log if it is said to be something else."""
        return self.item["type"] != {"S": "flag"}

    @property
    def comes_to_nothing(self) -> bool:
        """Whether its log moves nothing in the end."""
        return self.net == 0

    @property
    def knows_no_word(self) -> bool:
        """Whether no person has said anything of its log: an id that is claimed tells of an entry that is gone."""
        words = {"concessions", "adjustments"}
        return not self.reference.startswith("adjust#") and not any(
            item.get("facts", {}).get("M", {}).keys() & words for item in self.log
        )

    @property
    def is_flagged(self) -> bool:
        """Whether it has an anomaly."""
        return "flagged" in self.item

    @property
    def has_price(self) -> bool:
        """Whether it says what was counted, and at which price."""
        return "quantity" in self.item

    @property
    def is_of_many(self) -> bool:
        """Whether its log has others."""
        return not self.is_alone

    @property
    def is_first_of_many(self) -> bool:
        """Whether others come after it, and none before."""
        return self.is_of_many and self.key[1] == 1

    @property
    def is_not_last(self) -> bool:
        """Whether others come after it."""
        return not self.is_last

    @property
    def is_alone(self) -> bool:
        """Whether its log has no other entry."""
        return len(self.log) == 1

    @property
    def is_last(self) -> bool:
        """Whether nothing comes after it."""
        return self.key == key_of(self.log[-1])


@define(eq=False)
class Hands:
    """What somebody does to the tables, and what audits say of them then."""

    place: StrictPlace
    sent: frozenset[str]
    """The ids of the events that are sent again."""
    touched: set[str] = field(factory=set)
    """Users and logs that something was done to."""

    @property
    def client(self) -> Any:
        """The database."""
        return self.place.client

    @property
    def ledger(self) -> DynamoStore:
        """The product's own store."""
        return self.place.store

    # --- what is there ---

    def items(self, kind: str) -> list[Item]:
        """Return all items of a table."""
        answer: list[Item] = self.client.scan(TableName=getattr(TABLES, kind), ConsistentRead=True)["Items"]
        return answer

    def rows(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Return what each user's row says: posted and remaining."""
        rows = map(decode_item, self.items("credits"))
        return {row["userId"]: (Decimal(row.get("posted", 0)), Decimal(row.get("remaining", 0))) for row in rows}

    def nets(self) -> dict[str, Decimal]:
        """Return what each log comes to, but for those of repairs; what comes to nothing is left out."""
        nets: dict[str, Decimal] = defaultdict(Decimal)
        for item in self.items("ledger"):
            if not item["reference"]["S"].startswith("repair#"):
                nets[item["reference"]["S"]] += Decimal(item.get("amount", {}).get("N", "0"))
        return {reference: net for reference, net in nets.items() if net}

    def spots(self) -> Iterator[Spot]:
        """Yield every entry of the logs on which nobody has said anything: those the entries of other logs rest on."""
        until = self.ledger.audits().last_seal(self.ledger.clock.deadline(60)).until
        logs: dict[str, list[Item]] = defaultdict(list)
        for item in sorted(self.items("ledger"), key=key_of):
            logs[item["reference"]["S"]].append(item)
        for log in (log for log in logs.values() if not any("correction" in item for item in log)):
            is_told_again = all(item.get("eventId", {}).get("S") in self.sent for item in log)
            sealed = [item["postedAt"]["S"] <= until for item in log]
            for item, is_sealed in zip(log, sealed, strict=True):
                yield Spot(item, tuple(log), is_sealed, sum(sealed), is_told_again)

    # --- what audits say ---

    def seal(self, at: datetime | None = None) -> Audit:
        """Audit as a scheduled run without an archive does, now or ``at`` an instant before."""
        store, deadline = self.ledger.audits(), self.ledger.clock.deadline(600)
        return audit(self.ledger, deadline, sealer=Sealer(store, at or store.clock.now(), deadline))

    def verify(self) -> Verification:
        """Compare all that was sealed, as ``audit --verify`` does."""
        return verify(self.ledger.audits(), self.ledger.clock.deadline(600))

    # --- what nothing of this system can ---

    def touch(self, *names: str) -> None:
        """Take down whom and what is done to."""
        self.touched.update(names)

    def change(self, spot: Spot, **changes: Any) -> None:
        """Change an entry: attributes of DynamoDB by their names, None for one that goes."""
        item = {**spot.item, **{name: value for name, value in changes.items() if value is not None}}
        self.put({name: value for name, value in item.items() if changes.get(name, value) is not None})

    def put(self, item: Item) -> None:
        """Put an entry into the ledger."""
        self.touch(item["reference"]["S"], item.get("userId", {}).get("S", ""))
        self.client.put_item(TableName=TABLES.ledger, Item=item)

    def remove(self, *items: Item) -> None:
        """Remove entries."""
        for item in items:
            self.touch(item["reference"]["S"], item["userId"]["S"])
            key = {name: item[name] for name in ("reference", "sequence")}
            self.client.delete_item(TableName=TABLES.ledger, Key=key)

    def move(self, user: str, **by: Decimal | int) -> None:
        """Move numbers of a user's row."""
        self.touch(user)
        self.client.update_item(
            TableName=TABLES.credits,
            Key={"userId": {"S": user}},
            UpdateExpression="ADD " + ", ".join(f"{name} :{name}" for name in by),
            ExpressionAttributeValues={f":{name}": {"N": f"{value:f}"} for name, value in by.items()},
        )

    def row(self, user: str) -> Item:
        """Return a user's row."""
        found: Item = self.client.get_item(TableName=TABLES.credits, Key={"userId": {"S": user}})["Item"]
        return found

    def put_row(self, row: Item) -> None:
        """Write a user's row whole."""
        self.touch(row["userId"]["S"])
        self.client.put_item(TableName=TABLES.credits, Item=row)


def key_of(item: Item) -> Key:
    """Return where an entry stands."""
    return item["reference"]["S"], int(item["sequence"]["N"])


def copied(world: World) -> StrictPlace:
    """Return the tables of a world as they are now, on a strict database of their own whose reads are never stale."""
    place = StrictPlace(world.timeline)
    place.database.staleness = Fresh()
    for kind, items in _raw(world):
        for item in items:
            place.client.put_item(TableName=getattr(TABLES, kind), Item=item)
    return place


def _raw(world: World) -> Iterator[tuple[str, list[Item]]]:
    place: Any = world.place
    if not isinstance(place, MemoryPlace):
        scan = place.client.scan
        yield from ((kind, scan(TableName=getattr(TABLES, kind), ConsistentRead=True)["Items"]) for kind in KINDS_OF_TABLES)
        return
    jobs, users = place.rows()
    words: Mapping[Any, Any] = world.desk.words(place)
    yield "jobs", [encode_item(row) for row in jobs.values()]
    yield "credits", [encode_item(row) for row in users.values()]
    yield "seals", [*place.seals.values(), *place.headers.values()]
    entries = place.entries()
    said = [words.get((entry["reference"], entry["sequence"])) for entry in entries]
    yield (
        "ledger",
        [encode_item({**entry, EXPLANATION: each} if each else entry) for entry, each in zip(entries, said, strict=True)],
    )
