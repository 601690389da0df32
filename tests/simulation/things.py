"""Two tables for the tests of the strict database: one with a key of one attribute, one with two and an index."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from engine.ledger.dynamodb.wire import ServiceError
from tests.simulation.database import Client, Database

PLAIN, SORTED = "Plain", "Sorted"
INDEX = "ByOwner"

ON_DEMAND = {"BillingMode": "PAY_PER_REQUEST"}
DESCRIPTIONS: list[dict[str, Any]] = [
    {
        "TableName": PLAIN,
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        **ON_DEMAND,
    },
    {
        "TableName": SORTED,
        "AttributeDefinitions": [
            {"AttributeName": "log", "AttributeType": "S"},
            {"AttributeName": "entry", "AttributeType": "N"},
            {"AttributeName": "owner1", "AttributeType": "S"},
            {"AttributeName": "at1", "AttributeType": "S"},
        ],
        "KeySchema": [{"AttributeName": "log", "KeyType": "HASH"}, {"AttributeName": "entry", "KeyType": "RANGE"}],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": INDEX,
                "KeySchema": [{"AttributeName": "owner1", "KeyType": "HASH"}, {"AttributeName": "at1", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        **ON_DEMAND,
    },
]


def made(**options: Any) -> Client:
    """Return a database with both tables."""
    client = Client(Database(**options))
    for description in DESCRIPTIONS:
        client.create_table(**description)
    return client


def av(value: Any) -> dict[str, Any]:
    """Return a Python value as an attribute value: numbers as int or float, sets of texts."""
    kind, form = FORMS[value.__class__]
    return {kind: form(value)}


FORMS: Mapping[type, tuple[str, Callable[[Any], Any]]] = {
    type(None): ("NULL", lambda _: True),
    bool: ("BOOL", bool),
    int: ("N", str),
    float: ("N", str),
    str: ("S", str),
    bytes: ("B", lambda value: base64.b64encode(value).decode()),
    set: ("SS", sorted),
    list: ("L", lambda value: [av(one) for one in value]),
    dict: ("M", lambda value: {name: av(one) for name, one in value.items()}),
}


def item(**attributes: Any) -> dict[str, Any]:
    """Return an item."""
    return {name: av(value) for name, value in attributes.items()}


def values(**attributes: Any) -> dict[str, Any]:
    """Return values by their places."""
    return {f":{name}": av(value) for name, value in attributes.items()}


def put(client: Client, table: str = PLAIN, **attributes: Any) -> None:
    """Put an item."""
    client.put_item(TableName=table, Item=item(**attributes))


def get(client: Client, identity: str = "a") -> dict[str, Any] | None:
    """Return an item of the plain table."""
    found: dict[str, Any] | None = client.get_item(TableName=PLAIN, Key=item(id=identity), ConsistentRead=True).get("Item")
    return found


def refusal(send: Callable[..., Any], **request: Any) -> str:
    """Send a request that has to be refused, and return the code and the message."""
    with pytest.raises(ServiceError) as raised:
        send(**request)
    return str(raised.value)


def case_id(value: object) -> str:
    """Return what a test's case is called. A set has its elements in one order: each process hashes texts differently."""
    text = re.sub(r"\{('[^{}:]*')\}", lambda found: f"{{{', '.join(sorted(found[1].split(', ')))}}}", str(value))
    return text[:40]
