"""A batch of the queue from end to end: what one refused item costs, as Lambda and the queue see it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

import handler
from tests.support.busy import Refusing
from tests.support.clock import ManualClock
from tests.support.events import rendered
from tests.support.invocations import Context
from tests.support.world import DisturbedClient, World

pytestmark = pytest.mark.local_aws

BUSY, NO_NUMBER = 17, 31


def message(document: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a record of the queue."""
    return {"messageId": f"m-{number}", "eventSource": "aws:sqs", "body": json.dumps(document)}


@pytest.fixture
def clock(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a database before the function whose row of user ``u-17`` is busy for ever, and a clock that waits for nobody."""
    manual = ManualClock()
    refusing = Refusing({f"u-{BUSY}": {"Code": "TransactionConflict"}}, None, lambda: manual.elapsed)
    build = handler.build_reconciler

    def disturbed(*settings: Any, **more: Any) -> Any:
        reconciler = build(*settings, **more)
        ledger = evolve(reconciler.ledger, client=DisturbedClient(dynamodb, refusing), clock=manual.clock())
        return evolve(reconciler, ledger=ledger, clock=manual.clock())

    monkeypatch.setattr(handler, "build_reconciler", disturbed)
    handler._reconciler.cache_clear()  # noqa: SLF001  one container, begun anew
    yield manual, refusing
    handler._reconciler.cache_clear()  # noqa: SLF001  the same


def test_of_forty_two_messages_two_come_back(world: World, clock: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """One user's row is busy for as long as it is asked, one's balance is a text; forty others are posted meanwhile."""
    manual, refusing = clock
    for number in range(42):
        world.user(f"u-{number}").job(f"j-{number}", userId=f"u-{number}")
    row = {"userId": {"S": f"u-{NO_NUMBER}"}, "remaining": {"S": "100"}}
    world.client.put_item(TableName=world.tables.credits, Item=row)
    records = [message(rendered(f"j-{n}", seconds=8, user=f"u-{n}"), n) for n in range(42)]

    answer = handler.lambda_handler({"Records": records}, Context(30.0))

    assert {"batchItemFailures": [{"itemIdentifier": f"m-{n}"} for n in (BUSY, NO_NUMBER)]} == answer
    assert max(refusing.posted.values()) <= 2.0
    assert manual.elapsed <= 15.0
    others = [n for n in range(42) if n not in {BUSY, NO_NUMBER}]
    assert {Decimal("-0.8")} == {(world.user_row(f"u-{n}") or {})["posted"] for n in others}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    errors = {line["job"]: line for line in lines if line["outcome"] == "error"}
    assert {"j-17", "j-31"} == errors.keys()
    assert {"user": "u-17", "rule": "debit-rendered", "error": "LedgerUnavailable"}.items() <= errors["j-17"].items()
    assert {"user": "u-31", "field": "remaining", "error": "LedgerRefused"}.items() <= errors["j-31"].items()
    assert errors["j-31"]["problem"].endswith("the balance of user 'u-31' is no number: {'S': '100'}")


def test_what_came_back_is_posted_when_the_queue_sends_it_again(world: World, clock: Any) -> None:
    """The whole batch again, as after a lost answer: the busy user is free now, the others are known."""
    _, refusing = clock
    for number in (BUSY, 1, 2):
        world.user(f"u-{number}", "10")
    records = [message(rendered(f"j-{n}", seconds=8, user=f"u-{n}"), n) for n in (BUSY, 1, 2)]

    first = handler.lambda_handler({"Records": records}, Context(30.0))
    refusing.times = 0
    again = handler.lambda_handler({"Records": records}, Context(30.0))

    assert ([{"itemIdentifier": f"m-{BUSY}"}], []) == (first["batchItemFailures"], again["batchItemFailures"])
    assert {Decimal("9.2")} == {(world.user_row(f"u-{n}") or {})["remaining"] for n in (BUSY, 1, 2)}
