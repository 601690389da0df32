"""A ledger in memory at work, with its archive, and what an audit of the one against the other says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import Factory, define, evolve

from engine.audit.archived.audit import audit_archive
from engine.audit.archived.seen import Archive, ArchiveAudit
from engine.ledger.archive.opened import OpenArchive
from engine.ledger.audits import AuditedEntry, AuditStore
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.stream import Record
from engine.ledger.store import Tables
from engine.reconcile.scheduled import everything
from handler import closing_steps
from tests.simulation.database import Client, Database
from tests.support.archived import Archived
from tests.support.clock import ManualClock
from tests.support.world import World
from tools.local_aws import create_tables


def nobody(_entry: AuditedEntry) -> bool:
    """Believe no correction."""
    return False


@define
class ArchivedWorld:
    """Tables on the strict database, the application and the engine at work there, and the archive of the entries."""

    time: ManualClock = Factory(ManualClock)
    client: Any = Factory(lambda: Client(Database()))
    world: World = Factory(
        lambda self: World(self.client, create_tables(self.client, Tables()), clock=self.time.clock()), takes_self=True
    )
    archived: Archived = Factory(lambda self: Archived(self.client, self.world.tables.ledger, self.time.now), takes_self=True)

    @property
    def ledger(self) -> DynamoStore:
        """The ledger at work."""
        return DynamoStore(self.client, self.world.tables, self.world.clock)

    @property
    def store(self) -> AuditStore:
        """The same, as audits see it."""
        return self.ledger.audits()

    def deliver(self, *documents: dict[str, Any]) -> None:
        """Deliver events, and let the stream hand over what came of them. A second passes for each."""
        for document in documents:
            self.world.deliver(document)
            self.archived.hand_over()
            self.time.wait(1)

    def audit(
        self,
        *,
        whole: bool = False,
        writes: bool = True,
        believed: Callable[[AuditedEntry], bool] = nobody,
        seconds: float = 10**6,
    ) -> ArchiveAudit:
        """Audit from the last checkpoint on."""
        archive = Archive(self.archived.bucket, Record.read, self.archived.heads.now)
        return audit_archive(archive, self.store, self.world.deadline(seconds), believed, writes=writes, whole=whole)

    def scheduled(self, client: Any = None, seconds: float = 60) -> dict[str, Any]:
        """Do what the schedule does where there is an archive, and return what is told; ``line`` is that of the audit."""
        opened = OpenArchive(self.archived.bucket, self.archived.heads, Record.read)
        reconciler = evolve(self.world.reconciler(client), archive=lambda: opened)
        told = everything(reconciler, self.time.now(), closing_steps(), self.world.deadline(seconds))
        line = next(line for line in reversed(self.world.lines) if line.get("message") in {"compared", "audited"})
        return {**told, "line": line}

    def found(self, **options: Any) -> list[str]:
        """Return what an audit finds: kind, place or users, and what is said of it."""
        told = sorted(self.audit(**options).differences, key=lambda each: (each.kind, str(each.key)))
        return [
            f"{each.kind}: {f'{each.key[0]} {each.key[1]}' if each.key else ', '.join(sorted(each.users))}: {each.problem}"
            for each in told
        ]

    # --- what somebody does who should not ---

    def change(self, reference: str, sequence: int, update: str, **values: dict[str, Any]) -> None:
        """Change an entry, as nothing of this system can."""
        names = {"#source": "source", "#type": "type", "#user": "userId", "#facts": "facts"}
        used = {name: word for name, word in names.items() if name in update}
        self.client.update_item(
            TableName=self.world.tables.ledger,
            Key={"reference": {"S": reference}, "sequence": {"N": str(sequence)}},
            UpdateExpression=update,
            **({"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}} if values else {}),
            **({"ExpressionAttributeNames": used} if used else {}),
        )
        self.archived.hand_over()

    def item(self, reference: str, sequence: int) -> dict[str, Any]:
        """Return an entry as it stands."""
        return dict(self.archived.items()[reference, sequence])

    def put(self, item: dict[str, Any]) -> None:
        """Put an item into the ledger."""
        self.client.put_item(TableName=self.world.tables.ledger, Item=item)
        self.archived.hand_over()

    def remove(self, reference: str, sequence: int) -> dict[str, Any]:
        """Remove an entry, and return it."""
        item = self.item(reference, sequence)
        key = {"reference": {"S": reference}, "sequence": {"N": str(sequence)}}
        self.client.delete_item(TableName=self.world.tables.ledger, Key=key)
        self.archived.hand_over()
        return item

    def change_row(self, user: str, update: str, **values: dict[str, Any]) -> None:
        """Change a user's row of Credits."""
        self.client.update_item(
            TableName=self.world.tables.credits,
            Key={"userId": {"S": user}},
            UpdateExpression=update,
            **({"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}} if values else {}),
        )
