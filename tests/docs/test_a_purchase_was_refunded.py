"""docs/how-to/a-purchase-was-refunded-or-disputed.md, word for word: the recipe's rules, and what its commands print."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from engine.ledger.store import Tables
from engine.policy import load_policy
from tests.support.clock import ManualClock
from tests.support.how_to import alike, printed, steps_of
from tests.support.world import World
from tools.environments import ROOT
from tools.local_aws import tables_environment

pytestmark = pytest.mark.local_aws

PAGE = ROOT / "docs" / "how-to" / "a-purchase-was-refunded-or-disputed.md"
RECIPE = ROOT / "docs" / "recipes" / "stripe"
BOUGHT_AT = 1767607200
"""2026-01-05T10:00:00Z, in seconds since 1970."""


def told(payload: str, created: int, **said: Any) -> dict[str, Any]:
    """Return an event of the recipe about ana's payment, at an instant of its own, that says something of its own."""
    event: dict[str, Any] = json.loads((RECIPE / f"{payload}.json").read_text())
    event["id"] = f"{payload}-{created}"
    event["detail"]["created"] = BOUGHT_AT + created
    event["detail"]["data"]["object"] |= {"payment_intent": "pi-1", **said}
    return event


@pytest.fixture
def world(dynamodb: Any, tables: Tables, local_aws: str, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return the page's example: ana's purchase and what became of it, and ben, to whom the application gave 1000."""
    policy = RECIPE / "policy.yaml"
    for name, value in {**tables_environment(tables), "AWS_ENDPOINT_URL": local_aws, "POLICY_FILE": str(policy)}.items():
        monkeypatch.setenv(name, value)
    time = ManualClock()
    world = World(dynamodb, tables, load_policy(policy), time.clock()).user("ana", "0").user("ben", "1000")
    world.job("pi-1", userId="ana", status="paid")
    story = (
        told("event", 0, client_reference_id="ana"),
        told("event-refunded", 100, amount_refunded=500, metadata={"userId": "ana"}),
        told("event-refunded", 200, amount_refunded=1200, metadata={"userId": "ana"}),
        told("event-disputed", 300, amount=800),
        told("event-reinstated", 400, amount=800),
    )
    for event in story:
        world.deliver(event)
        time.wait(60)
    return world


def test_each_command_prints_what_the_page_shows(world: World) -> None:
    """In its order. ana keeps 2000 - 1200, ben 1000 - 500."""
    for step in steps_of(PAGE):
        assert step.shown is not None
        assert alike(step.shown) == alike(printed(step.command, {"LOGNAME": "ann"})), step.command

    rows = [world.user_row(user) or {} for user in ("ana", "ben")]
    assert [Decimal(800), Decimal(500)] == [row["remaining"] for row in rows]


def test_the_rules_of_the_page_are_those_of_the_recipe() -> None:
    """Line by line, so that what its tests show is true here too."""
    (rules,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)

    assert rules in (RECIPE / "policy.yaml").read_text()
