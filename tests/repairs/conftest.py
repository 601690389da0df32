"""A ledger with its archive, on real tables: what somebody does to it, and repairs by plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import Factory, define

from engine.audit.archived.audit import audit_archive
from engine.audit.archived.seen import Archive
from engine.audit.differences import Difference
from engine.audit.repairer import Wrong
from engine.audit.repairs.applied import KIND, AppliedPlans, keep
from engine.audit.repairs.applying import Done, RepairRun
from engine.audit.repairs.plan import RepairPlan, Wish, plan_repair
from engine.ledger.archive.records import Records
from engine.ledger.dynamodb.attributes import encode
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.stream import Record
from engine.ledger.store import Tables
from engine.ledger.stored import EntryKey
from engine.reconcile.plan_file import PlanFile
from engine.runtime.clock import Deadline
from tests.simulation.database import Client, Database
from tests.support.archived import Archived
from tests.support.clock import ManualClock
from tests.support.world import World
from tools.local_aws import create_tables

TABLES = {"credits": "arn:credits", "ledger": "arn:ledger"}


@define
class Place:
    """A world with an archive, and what a person does about it."""

    world: World
    time: ManualClock
    archived: Archived
    folder: Path
    plans: int = 0
    sent: list[dict[str, Any]] = Factory(list)

    @property
    def deadline(self) -> Deadline:
        """Return a deadline that is far away."""
        return self.world.deadline(600)

    def deliver(self, *documents: dict[str, Any]) -> None:
        """Deliver events, and archive what they post."""
        for document in documents:
            self.time.wait(1)
            self.world.deliver(document)
            self.archived.hand_over()
            self.sent.append(document)

    # --- what somebody does who should not ---

    def change(self, reference: str, sequence: int, **attributes: Any) -> None:
        """Change attributes of an entry; None takes one away."""
        self.write({**self.item(reference, sequence), **_encoded(attributes)})

    def write(self, item: dict[str, Any]) -> None:
        """Put an item into the ledger as it is, and let the stream tell it."""
        self.world.client.put_item(TableName=self.world.tables.ledger, Item={k: v for k, v in item.items() if v is not None})
        self.archived.hand_over()

    def insert(self, reference: str, sequence: int, like: EntryKey, **attributes: Any) -> None:
        """Put an entry there that is made after another."""
        key = {"reference": {"S": reference}, "sequence": {"N": str(sequence)}}
        self.write({**self.item(*like), **key, **_encoded(attributes)})

    def remove(self, reference: str, *sequences: int) -> None:
        """Remove entries."""
        for sequence in sequences:
            key = {"reference": {"S": reference}, "sequence": {"N": str(sequence)}}
            self.world.client.delete_item(TableName=self.world.tables.ledger, Key=key)
            self.archived.hand_over()

    def move_row(self, user: str, **by: str) -> None:
        """Move numbers of a user's row."""
        self.world.client.update_item(
            TableName=self.world.tables.credits,
            Key={"userId": {"S": user}},
            UpdateExpression="ADD " + ", ".join(f"{name} :{name}" for name in by),
            ExpressionAttributeValues={f":{name}": {"N": number} for name, number in by.items()},
        )

    # --- what is there ---

    def item(self, reference: str, sequence: Any) -> dict[str, Any]:
        """Return an entry as it is stored."""
        key = {"reference": {"S": reference}, "sequence": {"N": str(sequence)}}
        found: dict[str, Any] = self.world.client.get_item(TableName=self.world.tables.ledger, Key=key)["Item"]
        return found

    def items(self) -> dict[EntryKey, Any]:
        """Return every entry as it is stored."""
        return self.archived.items()

    def balance(self, user: str) -> tuple[Decimal, Decimal]:
        """Return what a user has, and what was posted."""
        row = self.world.user_row(user) or {}
        return Decimal(row["remaining"]), Decimal(row.get("posted", 0))

    # --- repairs ---

    @property
    def store(self) -> Any:
        """Return the ledger as audits see it."""
        return DynamoStore(self.world.client, self.world.tables, self.world.clock).audits()

    @property
    def believed(self) -> AppliedPlans:
        """Return the plans that were applied."""
        return AppliedPlans(self.archived.bucket, self.deadline)

    def audit(self) -> list[str]:
        """Return what the audit of the whole archive finds: kinds and places, or whom it concerns."""
        said = (f"{each.kind} {' '.join(map(str, each.key or sorted(each.users)))}" for each in self.found())
        return sorted(said)

    def found(self) -> Sequence[Difference]:
        """Return what the audit of the whole archive finds."""
        archive = Archive(self.archived.bucket, Record.read, self.archived.heads.now)
        plans = self.believed
        self.time.wait(120)
        found = audit_archive(
            archive, self.store, self.deadline, plans.believes, writes=False, whole=True, undoes=plans.undoes
        )
        return found.differences

    def plan(
        self, user: str, forged: Iterable[EntryKey] = (), wrong: Wrong | None = None, posted: Iterable[EntryKey] = ()
    ) -> RepairPlan:
        """Return a repair of a user."""
        self.archived.hand_over()
        now, said = self.time.now(), frozenset(forged)
        wish = Wish(user, "ticket 4711", "ann", now, TABLES, said, wrong, frozenset(posted))
        records = Records(self.archived.bucket, self.archived.heads.now, Record.read, self.deadline)
        return plan_repair(wish, self.store, records, self.believed.believes, self.deadline)

    def written(self, plan: RepairPlan) -> PlanFile:
        """Return a plan in its file, kept in the bucket as well."""
        self.plans += 1
        path = self.folder / f"plan-{self.plans}.jsonl"
        digest = plan.write(path)
        keep(self.archived.bucket, path.read_bytes(), digest, self.deadline)
        return PlanFile.open(path, KIND)

    def apply(self, plan: RepairPlan | PlanFile, store: Any = None) -> Done:
        """Apply a plan."""
        file = plan if isinstance(plan, PlanFile) else self.written(plan)
        done = RepairRun(file, store or self.store, "ben", self.deadline).apply()
        self.archived.hand_over()
        return done

    def repair(self, user: str, **how: Any) -> RepairPlan:
        """Plan and apply, and return the plan."""
        planned = self.plan(user, **how)
        assert self.apply(planned).is_whole
        return planned


def place_on(client: Any, tables: Tables, folder: Path) -> Place:
    """Return a ledger of three users with 1,000 credits each, and its archive, empty as yet."""
    time = ManualClock()
    world = World(client, tables, clock=time.clock())
    for user in ("u-1", "u-2", "u-3"):
        world.user(user)
    return Place(world, time, Archived(client, tables.ledger, time.now), folder)


def _encoded(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: encode(value) if value is not None else None for name, value in attributes.items()}


@pytest.fixture
def place(dynamodb: Any, tables: Tables, tmp_path: Path) -> Place:
    """Return a ledger on a database."""
    return place_on(dynamodb, tables, tmp_path)


@pytest.fixture
def desk(tmp_path: Path) -> Place:
    """Return a ledger in memory."""
    client = Client(Database())
    return place_on(client, create_tables(client, Tables()), tmp_path)
