"""The function that docs/recipes/README.md shows takes signed webhooks, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from tests.support.documentation import read_page
from tests.support.recipes import INDEX, Recipe, recipes

KEY = b"a secret of thirty-two bytes, ok"
BODY = '{"id": "evt_abc123", "type": "video.completed", "created_at": 1772443800, "data": {"id": "video_abc123"}}'

WEBHOOKS = [recipe for recipe in recipes() if "(../README.md#a-webhook)" in recipe.page.text]

type Handler = Callable[[dict[str, Any], None], dict[str, int]]


class Bus:
    """A bus that keeps what is put onto it, or fails to."""

    def __init__(self) -> None:
        self.entries: list[dict[str, str]] = []
        self.fails = False

    def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, int]:  # noqa: N803  boto3 names it so
        """Answer as EventBridge does."""
        self.entries += [] if self.fails else Entries
        return {"FailedEntryCount": len(Entries) if self.fails else 0}


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Bus:
    """Stand in for EventBridge."""
    bus = Bus()
    monkeypatch.setattr(boto3, "client", lambda _service: bus)
    for name, value in {"BUS": "default", "SOURCE": "openai", "SECRET": f"whsec_{base64.b64encode(KEY).decode()}"}.items():
        monkeypatch.setenv(name, value)
    return bus


@pytest.fixture
def handler(bus: Bus) -> Handler:
    """Return the function as the page has it."""
    (shown,) = (block.text for block in read_page(INDEX).blocks if block.kind == "python")
    names: dict[str, Any] = {}
    exec(compile(shown, str(INDEX), "exec"), names)  # noqa: S102  the page is ours
    found: Handler = names["handler"]
    return found


def request(body: str, *, signed: str | None = None, **more: Any) -> dict[str, Any]:
    """Return what a function URL hands over for a webhook, signed as Standard Webhooks are."""
    text = f"msg_1.1772443801.{body if signed is None else signed}".encode()
    signature = base64.b64encode(hmac.new(KEY, text, hashlib.sha256).digest()).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1772443801", "webhook-signature": f"v1,AAAA v1,{signature}"}
    return {"headers": headers, "body": body, "isBase64Encoded": False, **more}


def test_a_signed_webhook_becomes_an_event(handler: Handler, bus: Bus) -> None:
    """Its type is the detail-type, and its body the detail."""
    assert {"statusCode": 200} == handler(request(BODY), None)

    (entry,) = bus.entries
    assert ("default", "openai", "video.completed") == (entry["EventBusName"], entry["Source"], entry["DetailType"])
    assert json.loads(BODY) == json.loads(entry["Detail"])


def test_what_the_address_names_is_added(handler: Handler, bus: Bus) -> None:
    """A body in base64 too; one without a type is called ``webhook``."""
    body = '{"data": [{"cost": 0.0013}]}'
    encoded = {"body": base64.b64encode(body.encode()).decode(), "isBase64Encoded": True}

    handler({**request(body), **encoded, "queryStringParameters": {"userId": "ana"}}, None)

    (entry,) = bus.entries
    assert ("webhook", {"data": [{"cost": 0.0013}], "userId": "ana"}) == (entry["DetailType"], json.loads(entry["Detail"]))


@pytest.mark.parametrize("recipe", WEBHOOKS, ids=lambda recipe: recipe.name)
def test_the_payloads_of_a_recipe_are_what_the_function_puts(recipe: Recipe, handler: Handler, bus: Bus) -> None:
    """Detail-type and detail; what no provider sends comes from the webhook's address."""
    for payload in recipe.payloads.values():
        body = {name: value for name, value in payload["detail"].items() if name != "userId"}
        address = {name: value for name, value in payload["detail"].items() if name == "userId"}
        handler(request(json.dumps(body), queryStringParameters=address or None), None)

    expected = [(payload["detail-type"], payload["detail"]) for payload in recipe.payloads.values()]
    assert expected == [(entry["DetailType"], json.loads(entry["Detail"])) for entry in bus.entries]


def test_a_webhook_that_somebody_else_signed_is_refused(handler: Handler, bus: Bus) -> None:
    """Whoever can put events can charge users."""
    assert {"statusCode": 401} == handler(request(BODY, signed=BODY.replace("video_abc123", "video_abc124")), None)
    assert [] == bus.entries


def test_a_webhook_that_the_bus_did_not_take_comes_again(handler: Handler, bus: Bus) -> None:
    """The provider sends it again after an answer of 500."""
    bus.fails = True

    assert {"statusCode": 500} == handler(request(BODY), None)
