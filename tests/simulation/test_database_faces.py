"""Both clients on the strict database over HTTP: botocore's and the product's own see the same answers and refusals."""

from __future__ import annotations

import http.client
import json
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from engine.ledger.dynamodb.signing import Credentials, Signer
from engine.ledger.dynamodb.wire import Endpoint, ServiceError, WireClient
from engine.runtime.clock import Clock
from tests.simulation.database import Client, Database, Server, run_server
from tests.simulation.things import DESCRIPTIONS, PLAIN, SORTED, case_id, item, put, values
from tests.support.events import failed, rendered
from tests.support.world import World
from tools.local_aws import REGION, LocalAws, create_tables, tables_named


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a server with the two tables."""
    with run_server(Database()) as running:
        for description in DESCRIPTIONS:
            running.database.call("CreateTable", description)
        yield running


@pytest.fixture
def botocore(server: Server, tmp_path: Any) -> Iterator[Any]:
    """Return botocore's client of it."""
    client = LocalAws(server.endpoint, tmp_path).client("dynamodb")
    yield client
    client.close()


@pytest.fixture
def wire(server: Server) -> Iterator[WireClient]:
    """Return the product's client of it."""
    url = urlsplit(server.endpoint)
    client = WireClient(
        Endpoint(url.hostname or "", url.port or 80, is_tls=False), Signer(Credentials("t", "t"), REGION), Clock().now, 1, 5
    )
    yield client
    client.close()


REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("put_item", {"TableName": PLAIN, "Item": item(id="a", n=1.50, m={"k": [None, True, "é"]})}),
    ("get_item", {"TableName": PLAIN, "Key": item(id="a"), "ConsistentRead": True}),
    ("get_item", {"TableName": PLAIN, "Key": item(id="absent")}),
    ("batch_get_item", {"RequestItems": {PLAIN: {"Keys": [item(id="a"), item(id="absent")]}}}),
    ("scan", {"TableName": PLAIN, "ReturnConsumedCapacity": "TOTAL"}),
    ("query", {"TableName": SORTED, "KeyConditionExpression": "#l = :l", "ExpressionAttributeNames": {"#l": "log"}}
        | {"ExpressionAttributeValues": values(l="a")}),
    ("update_item", {"TableName": PLAIN, "Key": item(id="b"), "UpdateExpression": "ADD n :v", "ReturnValues": "ALL_NEW"}
        | {"ExpressionAttributeValues": values(v=0)}),
    ("transact_write_items", {"TransactItems": [{"Put": {"TableName": PLAIN, "Item": item(id="a")}}]}),
    ("put_item", {"TableName": PLAIN, "Item": item(id="")}),
    ("put_item", {"TableName": PLAIN, "Item": item(id="a"), "ConditionExpression": "attribute_not_exists(id)"}),
    ("get_item", {"TableName": "Nowhere", "Key": item(id="a")}),
    ("transact_write_items", {"TransactItems": [{"Put": {"TableName": PLAIN, "Item": item(id="a")}
        | {"ConditionExpression": "n = :v", "ExpressionAttributeValues": values(v=9)}
        | {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}}]}),
]  # fmt: skip


def asked(client: Any, operation: str, request: dict[str, Any]) -> Any:
    """Return an answer, or the code, message and reasons of a refusal."""
    try:
        answer = getattr(client, operation)(**request)
    except ServiceError as error:
        return str(error), error.reasons
    except ClientError as error:
        said = error.response["Error"]
        return f"{said['Code']}: {said['Message']}", error.response.get("CancellationReasons", [])
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


@pytest.mark.parametrize(("operation", "request_"), REQUESTS, ids=case_id)
def test_three_clients_are_answered_alike(
    server: Server, botocore: Any, wire: WireClient, operation: str, request_: dict[str, Any]
) -> None:
    """In process, by the product's own client, and by botocore's, which checks checksums and shapes."""
    local = Client(server.database)
    answers = []
    for client in (local, wire, botocore):
        server.database.tables[PLAIN].slots.clear()
        server.database.tables[PLAIN].places.clear()
        server.database.tables[PLAIN].keys.clear()
        put(local, id="a", n=1.5, m={"k": [None, True, "é"]})
        answers.append(asked(client, operation, request_))

    assert answers[0] == answers[1] == answers[2]


def test_an_answer_has_dynamodb_s_headers(server: Server) -> None:
    """Content type, checksum and request id; an error says its kind in ``__type``."""
    connection = http.client.HTTPConnection(urlsplit(server.endpoint).netloc)
    for target, body, status, kind in (
        ("DynamoDB_20120810.ListTables", b"{}", 200, None),
        ("DynamoDB_20120810.DropEverything", b"{}", 400, "UnknownOperationException"),
        ("S3.GetItem", b"{}", 400, "UnknownOperationException"),
        ("DynamoDB_20120810.GetItem", b"{", 400, "SerializationException"),
        ("DynamoDB_20120810.GetItem", b"[]", 400, "SerializationException"),
        ("DynamoDB_20120810.GetItem", b'{"TableName": "\\ud800"}', 400, "ValidationException"),
    ):
        connection.request("POST", "/", body, {"X-Amz-Target": target})
        response = connection.getresponse()
        told = response.read()
        assert (status, "application/x-amz-json-1.0") == (response.status, response.headers["Content-Type"])
        assert str(zlib.crc32(told)) == response.headers["x-amz-crc32"]
        assert response.headers["x-amzn-RequestId"]
        assert kind in {None, json.loads(told).get("__type", "").rsplit("#", 1)[-1]}
    connection.close()


def test_many_threads_move_one_balance(server: Server, wire: WireClient) -> None:
    """Eight threads add 25 times each: every addition counts once."""
    add = {"TableName": PLAIN, "Key": item(id="u"), "UpdateExpression": "ADD n :v"}
    begin = threading.Barrier(8)

    def work(_: int) -> None:
        begin.wait(5)
        for _ in range(25):
            wire.update_item(**add, ExpressionAttributeValues=values(v=0.1))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))

    assert {"N": "20"} == wire.get_item(TableName=PLAIN, Key=item(id="u"), ConsistentRead=True)["Item"]["n"]


def test_the_product_works_in_process_and_sends_nothing_senseless() -> None:
    """A debit, its refund, a repetition and a scan, on the tables of the template."""
    database = Database()
    world = World(client := Client(database), create_tables(client, tables_named("strict"))).user().job().job("j-2")

    reports = world.deliver(rendered("j-1", seconds=8), failed("j-1"), rendered("j-1", seconds=8))
    scanned = client.scan(TableName=world.tables.jobs)["Count"]

    assert ["debited", "refunded", "duplicate"] == [report.outcome.value for report in reports]
    assert [("debit", Decimal("-0.8")), ("refund", Decimal("0.8"))] == world.amounts("j-1")
    assert 2 == scanned
    assert [] == database.validation_errors
