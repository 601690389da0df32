"""What an event costs: requests, capacity units, bytes of log and metrics, counted on a database as strict as AWS's own."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import Factory, define, field

from engine.domain.envelope import Source
from engine.domain.errors import EventError, LedgerError
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.store import Tables
from engine.policy import Policy
from engine.reconcile.catch_up import scan, whole_table
from engine.reconcile.reconciler import Reconciler
from engine.runtime.telemetry import Telemetry
from tests.simulation.database import Client, Database
from tests.support.clock import ManualClock
from tests.support.emf import read_line
from tests.support.world import World
from tools.local_aws import create_tables


@define
class Metered:
    """A client of the database that asks with each request what it consumes."""

    client: Any
    requests: Counter[str] = Factory(Counter)
    units: Counter[str] = Factory(Counter)

    def __getattr__(self, operation: str) -> Any:
        def send(**request: Any) -> Any:
            self.requests[operation] += 1
            answer = getattr(self.client, operation)(**request, ReturnConsumedCapacity="TOTAL")
            self.units[_way(operation)] += sum(_units(answer))
            return answer

        return send

    def close(self) -> None:
        """There is no connection to close."""


def _way(operation: str) -> str:
    return "read" if operation in {"query", "scan", "get_item", "batch_get_item"} else "write"


def _units(answer: Mapping[str, Any]) -> Iterator[float]:
    consumed = answer.get("ConsumedCapacity", [])
    for each in [consumed] if isinstance(consumed, Mapping) else consumed:
        yield each["CapacityUnits"]


@define
class Bill:
    """What one piece of work took. A cancelled transaction consumes as much as one that is not: it is in ``requests``."""

    requests: Mapping[str, int]
    read_units: float
    write_units: float
    lines: Sequence[str]

    @property
    def log_bytes(self) -> int:
        return sum(len(line.encode()) for line in self.lines)

    @property
    def metrics(self) -> set[tuple[str, str, frozenset[tuple[str, str]]]]:
        """Every metric by its namespace, name and dimensions: for each of them CloudWatch asks its price of a month."""
        return {(datum.namespace, datum.name, datum.dimensions) for line in self.lines for datum in read_line(line)}

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@define
class Meter:
    """A reconciler whose work is counted."""

    policy: Policy
    time: ManualClock = Factory(ManualClock)
    lines: list[str] = Factory(list)
    database: Database = Factory(Database)
    tables: Tables = Factory(Tables)
    client: Metered = field(init=False)
    reconciler: Reconciler = field(init=False)
    world: World = field(init=False)

    def __attrs_post_init__(self) -> None:
        clock = self.time.clock()
        client = Client(self.database)
        create_tables(client, self.tables)
        self.client = Metered(client)
        telemetry = Telemetry(self.lines.append, clock, {"FunctionName": "f"})
        self.reconciler = Reconciler(self.policy, DynamoStore(self.client, self.tables, clock), telemetry, clock)
        self.world = World(client, self.tables, self.policy, clock).user("u-1", "1000000")

    def batch(self, *bodies: str) -> Bill:
        """Work through a batch of the queue."""
        records = [{"messageId": f"m-{n}", "eventSource": "aws:sqs", "body": body} for n, body in enumerate(bodies)]
        return self._bill(lambda: self.reconciler.batch(records, self._deadline()))

    def event(self, document: Mapping[str, Any]) -> Bill:
        """Work through an event that Lambda hands over by itself."""
        return self._bill(lambda: self.reconciler.event(document, Source.EVENT, self._deadline()))

    def scan(self) -> Bill:
        """Scan the whole table of jobs."""
        return self._bill(lambda: scan(self.reconciler, whole_table(1), self._deadline()))

    def _deadline(self) -> Any:
        return self.time.clock().deadline(60)

    def _bill(self, work: Any) -> Bill:
        self.client.requests.clear()
        self.client.units.clear()
        before = len(self.lines)
        with contextlib.suppress(EventError, LedgerError):
            work()
        units = self.client.units
        return Bill(dict(self.client.requests), units["read"], units["write"], self.lines[before:])
