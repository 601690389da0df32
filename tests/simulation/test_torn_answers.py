"""Both clients behind a network that tears, alters and repeats answers: no answer is taken for another one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import HTTPClientError

from engine.ledger.dynamodb.signing import Credentials, Signer
from engine.ledger.dynamodb.wire import Endpoint, NoAnswerError, WireClient
from engine.reconcile.wiring import build_client
from engine.runtime.clock import Clock
from tests.simulation.database import Database
from tests.simulation.things import DESCRIPTIONS, PLAIN, item
from tests.simulation.torn import DAMAGES, MOMENT_SECONDS, TornServer, run_torn_server
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
def client(request: pytest.FixtureRequest, server: TornServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return each of the clients as the product builds it; neither sends anything again by itself."""
    made: Any
    if request.param == "botocore":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "t")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "t")
        made = build_client(REGION, server.endpoint)
    else:
        url = urlsplit(server.endpoint)
        endpoint = Endpoint(url.hostname or "", url.port or 80, is_tls=False)
        made = WireClient(endpoint, Signer(Credentials("t", "t"), REGION), Clock().now, 1, 2)
    yield made
    made.close()


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

    time.sleep(2 * MOMENT_SECONDS)
    assert ["a", "b", "a"] == [says(client, name) for name in ("a", "b", "a")]
