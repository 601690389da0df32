"""Both clients behind a network that tears, alters and repeats answers: no answer is taken for another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pytest
from attrs import define, evolve
from botocore.exceptions import HTTPClientError

from engine.ledger.dynamodb.signing import Credentials, Signer
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.wire import Endpoint, NoAnswerError, WireClient
from engine.reconcile.wiring import build_client
from engine.runtime.clock import Clock
from tests.simulation.database import Database
from tests.simulation.history import Verdict, play
from tests.simulation.things import DESCRIPTIONS, PLAIN, item
from tests.simulation.torn import DAMAGES, WHOLE, TornServer, run_torn_server
from tests.simulation.world.faulty_client import TABLES, FaultyClient
from tests.simulation.world.plan import plan_of
from tests.simulation.world.strict import strict_world
from tests.support.examples import part
from tools.local_aws import REGION


@pytest.fixture
def server() -> Iterator[TornServer]:
    """Return a server with two rows."""
    with run_torn_server(Database()) as running:
        for description in DESCRIPTIONS:
            running.database.call("CreateTable", description)
        for name in ("a", "b"):
            running.database.call("PutItem", {"TableName": PLAIN, "Item": item(id=name, says=name)})
        yield running


@pytest.fixture(params=["botocore", "wire"])
def connected(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Return what makes each of the clients as the product builds it; neither sends anything again by itself."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "t")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "t")
    made = []

    def connect(url: str) -> Any:
        made.append(build_client(REGION, url) if request.param == "botocore" else wire(urlsplit(url)))
        return made[-1]

    yield connect
    for client in made:
        client.close()


def wire(url: SplitResult) -> WireClient:
    """Return the client that needs no botocore."""
    endpoint = Endpoint(url.hostname or "", url.port or 80, is_tls=False)
    return WireClient(endpoint, Signer(Credentials("t", "t"), REGION), Clock().now, 1, 2)


@pytest.fixture
def client(connected: Callable[[str], Any], server: TornServer) -> Any:
    """Return a client of the server."""
    return connected(server.endpoint)


def says(client: Any, name: str) -> str:
    """Return what a row says, read with this client."""
    answer = client.get_item(TableName=PLAIN, Key=item(id=name), ConsistentRead=True)
    return str(answer["Item"]["says"]["S"])


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_damaged_answer_is_taken_for_another(client: Any, server: TornServer, damage: str) -> None:
    """It is read as it was sent, or it counts as none; and the request after it has its own answer."""
    assert "a" == says(client, "a")  # the connection is kept from now on
    server.damage = damage
    with suppress(NoAnswerError, HTTPClientError):
        assert "b" == says(client, "b")

    server.wait_for_repeats()
    assert ["a", "b", "a"] == [says(client, name) for name in ("a", "b", "a")]


# --- whole histories --------------------------------------------------------------------------------------------------


@define(eq=False)
class OverHttp(FaultyClient):
    """A client whose answers are damaged on their way, beside all other faults."""

    server: TornServer | None = None
    wire: Any = None

    @property
    def client(self) -> Any:
        """The client whose answers are damaged."""
        return self.wire

    def _act(self, operation: str, request: dict[str, Any]) -> Any:
        assert self.server is not None
        dice = self.caller.dice
        drawn = DAMAGES[int(dice.chance.random() * len(DAMAGES))]
        self.server.damage = drawn if dice.happens(drawn, 0.3) else WHOLE
        try:
            return super()._act(operation, request)
        finally:
            self.server.wait_for_repeats()

    def _between(self) -> None:
        """Nobody else is at work: the server answers in a thread of its own."""


def torn_history(seed: int, connected: Callable[[str], Any], rounds: int | None = None) -> Verdict:
    """Play a history over HTTP, or so many of its rounds."""
    plan = plan_of(seed)
    plan = evolve(plan, often=0.12, rounds=plan.rounds[:rounds])
    world = strict_world(plan)
    with run_torn_server(world.place.database) as server:
        wire = connected(server.endpoint)

        def reach(place: Any, caller: Any) -> DynamoStore:
            return DynamoStore(OverHttp(place, caller, server=server, wire=wire), TABLES, caller.clock())

        world.reach = reach
        return play(plan, world)


def test_a_history_with_damaged_answers_ends_right(connected: Callable[[str], Any]) -> None:
    """Every request goes again until its own answer comes; what was carried out is not done twice."""
    verdict = torn_history(2, connected, rounds=14)

    assert () == verdict.wrong
    assert sum(verdict.count[damage] for damage in DAMAGES) > 5


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_histories_with_damaged_answers_end_right(connected: Callable[[str], Any]) -> None:
    """And each kind of damage really occurs."""
    verdicts = [torn_history(seed, connected) for seed in range(3_000_000, 3_000_000 + part(8))]

    assert {} == {verdict.plan.seed: verdict.wrong[0] for verdict in verdicts if verdict.wrong}
    assert all(sum(verdict.count[damage] for verdict in verdicts) for damage in DAMAGES)
