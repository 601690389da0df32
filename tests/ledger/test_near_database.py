"""The strict database without the network says what it says over the network."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from engine.reconcile.wiring import build_client
from tests.simulation.database import Database, run_server
from tests.simulation.database.server import Server
from tests.support.near_database import near
from tools.local_aws import REGION, create_tables, tables_named

TABLES = tables_named("near")
ITEM = {"userId": {"S": "u-1"}, "remaining": {"N": "10"}}
KEY = {"userId": {"S": "u-1"}}


def told(client: Any, **request: Any) -> Any:
    """Return an answer or an error as botocore tells it, without what differs from call to call."""
    try:
        answer = client.get_item(TableName=TABLES.credits, **request)
    except ClientError as error:
        answer = error.response
    metadata = answer["ResponseMetadata"]
    metadata["HTTPHeaders"] = {
        name: text for name, text in metadata["HTTPHeaders"].items() if name.startswith(("x-amz-", "content"))
    }
    return {**answer, "ResponseMetadata": {name: part for name, part in metadata.items() if name != "RequestId"}}


@pytest.fixture
def far() -> Iterator[ThreadPoolExecutor]:
    """Return another thread."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.mark.parametrize("asked", [{"Key": KEY}, {"Key": {"userId": {"S": "nobody"}}}, {"Key": {"jobId": {"S": "u-1"}}}])
def test_both_threads_are_told_the_same(far: ThreadPoolExecutor, asked: dict[str, Any]) -> None:
    """An item, none, and a refusal: status, headers with the checksum, and body."""
    with run_server(Database()) as server, near(server):
        client = build_client(REGION, server.endpoint)
        create_tables(client, TABLES)
        client.put_item(TableName=TABLES.credits, Item=ITEM)

        assert told(client, **asked) == far.submit(told, client, **asked).result()
        client.close()


def test_the_main_thread_alone_needs_no_connection(far: ThreadPoolExecutor) -> None:
    """Nobody listens any more."""
    server = Server(Database())
    server.server_close()
    with near(server):
        client = build_client(REGION, server.endpoint)
        create_tables(client, TABLES)
        client.put_item(TableName=TABLES.credits, Item=ITEM)

        assert ITEM == told(client, Key=KEY)["Item"]
        with pytest.raises(EndpointConnectionError):
            far.submit(told, client, Key=KEY).result()
        client.close()


def test_another_server_is_reached_over_the_network() -> None:
    """Only the one that was named is near."""
    near_one = Server(Database())
    near_one.server_close()
    with run_server(Database()) as other, near(near_one):
        client = build_client(REGION, other.endpoint)
        create_tables(client, TABLES)
        client.close()

    assert TABLES.credits in client_tables(other)


def client_tables(server: Server) -> list[str]:
    """Return the names of the tables of a server's database."""
    names: list[str] = server.database.call("ListTables", {})["TableNames"]
    return names
