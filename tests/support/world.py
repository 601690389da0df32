"""Three real tables on a DynamoDB endpoint, with the engine at work on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from attrs import define, field

from engine.domain.envelope import Source
from engine.ledger.dynamodb.attributes import decode_item, encode_item
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.store import Tables
from engine.policy import Policy
from engine.reconcile.catch_up import ScanReport, scan, whole_table
from engine.reconcile.reconciler import Reconciler
from engine.reconcile.scheduled import everything
from engine.runtime.clock import Clock, Deadline
from engine.runtime.telemetry import Report, Telemetry
from handler import closing_steps
from tests.support.canaries import ROW
from tests.support.policies import example


@define
class World:
    """The application's side (users, jobs) and ours (entries), reached through one client."""

    client: Any
    tables: Tables
    policy: Policy = field(factory=example)
    clock: Clock = field(factory=Clock)
    lines: list[dict[str, Any]] = field(factory=list)

    def reconciler(self, client: Any = None) -> Reconciler:
        """Return a reconciler, as a fresh process would build it, on ``client`` or the world's own."""
        telemetry = Telemetry(lambda line: self.lines.append(json.loads(line)), self.clock, {"FunctionName": "test"})
        return Reconciler(self.policy, DynamoStore(client or self.client, self.tables, self.clock), telemetry, self.clock)

    def deadline(self, seconds: float = 20.0) -> Deadline:
        """Return a deadline that lies ``seconds`` ahead."""
        return self.clock.deadline(seconds)

    def deliver(self, *documents: dict[str, Any], client: Any = None, source: Source = Source.EVENT) -> list[Report]:
        """Deliver events one after the other."""
        reconciler = self.reconciler(client)
        return [reconciler.event(document, source, self.deadline()) for document in documents]

    def scan(self, client: Any = None, segments: int = 2, seconds: float = 60.0) -> ScanReport:
        """Scan the whole table of jobs."""
        return scan(self.reconciler(client), whole_table(segments), self.deadline(seconds))

    def scheduled(self) -> dict[str, Any]:
        """Do what the schedule does, in one invocation."""
        return everything(self.reconciler(), self.clock.now(), closing_steps(), self.deadline(60))

    def user(self, user: str = "u-1", remaining: str | None = "1000") -> World:
        """Write a user's row as the application does."""
        row = {"userId": user, "remaining": Decimal(remaining) if remaining is not None else None, "plan": "pro"}
        self.client.put_item(TableName=self.tables.credits, Item=encode_item(row))
        return self

    def job(self, job: str = "j-1", **row: Any) -> World:
        """Write a job's row as the application does."""
        columns = {"jobId": job, "userId": "u-1", "status": "completed", "seconds": 8, "model": "veo-3", **row}
        columns = {"updatedAt": "2026-01-05T10:00:00Z", "result_url": f"s3://renders/{job}.mp4", **ROW} | columns
        self.client.put_item(TableName=self.tables.jobs, Item=encode_item(columns))
        return self

    def job_row(self, job: str = "j-1") -> dict[str, Any] | None:
        """Return a job's row."""
        return self._get(self.tables.jobs, {"jobId": job})

    def user_row(self, user: str = "u-1") -> dict[str, Any] | None:
        """Return a user's row."""
        return self._get(self.tables.credits, {"userId": user})

    def entries(self, job: str = "j-1") -> list[dict[str, Any]]:
        """Return a job's entries in order."""
        answer = self.client.query(
            TableName=self.tables.ledger,
            KeyConditionExpression="#reference = :reference",
            ExpressionAttributeNames={"#reference": "reference"},
            ExpressionAttributeValues={":reference": {"S": f"job#{job}"}},
            ConsistentRead=True,
        )
        return [decode_item(item) for item in answer["Items"]]

    def amounts(self, job: str = "j-1") -> list[tuple[str, Decimal]]:
        """Return a job's entries as (type, amount)."""
        return [(entry["type"], Decimal(entry["amount"])) for entry in self.entries(job)]

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """Return all rows of all tables without the instants of posting, in an order that does not depend on chance."""
        return {
            name: sorted((_timeless(row) for row in self._all(table)), key=lambda row: json.dumps(row, default=str))
            for name, table in (
                ("jobs", self.tables.jobs),
                ("credits", self.tables.credits),
                ("ledger", self.tables.ledger),
            )
        }

    def _all(self, table: str) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [decode_item(item) for page in pages for item in page["Items"]]

    def _get(self, table: str, key: dict[str, object]) -> dict[str, Any] | None:
        item = self.client.get_item(TableName=table, Key=encode_item(key), ConsistentRead=True).get("Item")
        return decode_item(item) if item else None


def _timeless(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in {"postedAt", "eventId"}}


Disturb = Callable[[str, dict[str, Any], Callable[..., Any]], Any]


@define
class DisturbedClient:
    """A client whose calls go through ``disturb(operation, request, send)``; it counts the calls that are made."""

    client: Any
    disturb: Disturb
    calls: list[str] = field(factory=list)

    def __getattr__(self, operation: str) -> Any:
        def send(**request: Any) -> Any:
            self.calls.append(operation)
            return self.disturb(operation, request, getattr(self.client, operation))

        return send
