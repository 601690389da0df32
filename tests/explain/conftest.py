"""A ledger with flagged entries, the real client of the model, and a server on this machine that speaks its protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import define, field

from engine.anomalies.bus import Bus
from engine.anomalies.explain import Explainer
from engine.anomalies.explain.budget import Budget
from engine.anomalies.explain.function import NO_KEY_YET
from engine.anomalies.explain.model import ModelEndpoint, connect
from engine.anomalies.explain.secret import ModelKey
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.store import Tables
from engine.runtime.clock import Clock
from engine.runtime.telemetry import Telemetry
from tests.support.canaries import listen
from tests.support.model_server import KEY, ModelServer
from tests.support.policies import example
from tests.support.world import World

SECONDS = 13.0
"""Three for the model; ten are kept back for the entries."""


@define
class Desk:
    """A ledger, and what explains its flagged entries."""

    world: World
    server: ModelServer
    told: list[dict[str, Any]] = field(factory=list)
    names: list[str] = field(factory=list)
    """What each of them is called."""
    lines: list[dict[str, Any]] = field(factory=list)
    keys: list[str | None] = field(factory=lambda: [KEY])
    """What the secret holds: now, and after each further look."""
    opened: list[ModelEndpoint] = field(factory=list)

    def explainer(self, client: Any = None, clock: Clock | None = None) -> Explainer:
        """Return what explains, as a fresh container builds it."""
        clock, tables = clock or Clock(), self.world.tables
        client = client or self.world.client
        store = DynamoStore(client, tables, clock)
        budget = Budget(store.explanations(), self.world.policy.explain.max_per_hour, clock)
        read = lambda: self.keys.pop(0) if len(self.keys) > 1 else self.keys[0]  # noqa: E731
        model = ModelEndpoint("gpt-4.1", ModelKey(read, clock), budget, clock, self.server.url)
        self.opened.append(model)
        telemetry = Telemetry(lambda line: self.lines.append(json.loads(line)), clock, {"FunctionName": "explain"})
        bus = Bus(self.put_events, "default")
        return Explainer(self.world.policy, store, model, telemetry, clock, bus)

    def put_events(self, **request: Any) -> dict[str, Any]:
        """Take what is told."""
        listen("bus", request)
        self.told += [json.loads(entry["Detail"]) for entry in request["Entries"]]
        self.names += [entry["DetailType"] for entry in request["Entries"]]
        return {"FailedEntryCount": 0}

    def records(self) -> list[dict[str, Any]]:
        """Return the stream's records of all entries, as Lambda hands them over."""
        items = self.world.client.scan(TableName=self.world.tables.ledger, ConsistentRead=True)["Items"]
        ordered = sorted(items, key=lambda item: (item["reference"]["S"], int(item["sequence"]["N"])))
        return [record(item, number) for number, item in enumerate(ordered, start=1)]

    def explain(self, seconds: float = SECONDS, explainer: Explainer | None = None) -> list[str]:
        """Hand all records over, and return those that must come again."""
        return (explainer or self.explainer()).batch(self.records(), Clock().deadline(seconds))

    def explanations(self, *jobs: str) -> list[dict[str, Any]]:
        """Return what stands on the first entry of each job."""
        return [self.world.entries(job)[0].get("explanation") for job in jobs or ("j-1",)]


def record(item: dict[str, Any], number: int = 1, kind: str = "INSERT") -> dict[str, Any]:
    """Return the stream's record of an item that was written."""
    keys = {name: item[name] for name in ("reference", "sequence") if name in item}
    change = {"Keys": keys, "NewImage": item, "SequenceNumber": str(number), "StreamViewType": "NEW_IMAGE"}
    return {"eventID": str(number), "eventName": kind, "eventSource": "aws:dynamodb", "dynamodb": change}


@pytest.fixture(scope="session")
def imported() -> None:
    """Import the model's client first, as the function's init does: an explanation's seconds are for the model."""
    connect(NO_KEY_YET, None).chat.completions.with_raw_response  # noqa: B018  its parts are imported when they are asked for


@pytest.fixture
def desk(dynamodb: Any, tables: Tables, model_server: ModelServer, imported: None) -> Iterator[Desk]:
    """Return a ledger of one user with credits."""
    model_server.does()
    model_server.accepts = KEY
    desk = Desk(World(dynamodb, tables, example()).user("u-1", "1000"), model_server)
    yield desk
    for endpoint in desk.opened:
        endpoint.close()
