"""A purchase that was taken back, in the tables: the books add up, a statement shows it, and a repair puts it right."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli.app import app
from engine.policy import parse_policy
from tests.audit.conftest import Day
from tests.support.events import event
from tests.support.repairs import repair_everybody

pytestmark = pytest.mark.local_aws

POLICY = """\
version: 1
name: stripe
event: {job: detail.jobId, user: detail.userId, time: time, reference: detail.payment}
rules:
  - {name: purchase, match: {detail-type: [bought]}, action: grant, grant: {quantity: detail.credits}}
  - {name: refunded, match: {detail-type: [refunded]}, action: revoke, revoke: {amount: detail.credits}}
  - {name: disputed, match: {detail-type: [disputed]}, action: revoke, revoke: {amount: detail.credits, series: disputes}}
"""


def told(detail_type: str, amount: int, at: str) -> dict[str, Any]:
    """Return an event about the payment of u-1."""
    return event(detail_type, {"payment": "pi-1", "userId": "u-1", "credits": amount}, at)


STORY = [
    told("bought", 100, "10:00"),
    told("refunded", 30, "11:00"),
    told("disputed", 90, "12:00"),
    told("disputed", 0, "13:00"),
]
"""100 come in, 30 go back, the 70 that are left are under dispute, and come back."""


@pytest.fixture
def day(day: Day, local_aws: str, monkeypatch: pytest.MonkeyPatch) -> Day:
    """Return a day on which u-1, who has 996.90 left of 1,000, buys 100 credits, and has them taken back."""
    for name in ("jobs", "credits", "ledger", "state", "seals"):
        monkeypatch.setenv(f"{name.upper()}_TABLE", getattr(day.world.tables, name))
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", local_aws)
    monkeypatch.setattr("engine.audit.books.SECONDS_BETWEEN_LOOKS", 0)
    day.world.policy = parse_policy(POLICY, "stripe.yaml")
    day.world.deliver(*STORY)
    return day


def test_the_books_add_up_and_the_log_says_what_was_taken_back(day: Day) -> None:
    """Told again nothing moves."""
    before = day.entries()
    day.world.deliver(*STORY)

    found = day.audit()
    log = [day.entries()["grant#pi-1", str(number)] for number in (1, 2, 3, 4)]

    assert ((), ()) == (found.drifts, found.faults)
    assert before == day.entries()
    assert [("grant", 100), ("revoke", -30), ("revoke", -70), ("revoke", 70)] == [
        (entry["type"]["S"], Decimal(entry["amount"]["N"])) for entry in log
    ]
    row = day.world.user_row()
    assert row is not None
    assert Decimal("68.7") == row["posted"] == row["remaining"] - 1000


def test_a_statement_shows_it(day: Day) -> None:
    """Beside what the jobs cost: 0.80 and 0.50."""
    statement = json.loads(CliRunner().invoke(app, ["statement", "u-1", "--json"]).stdout)

    lines = [(line["type"], Decimal(line["amount"]), Decimal(line["balance"])) for line in statement["entries"]]
    assert [
        ("grant", 100, Decimal("1098.7")),
        ("revoke", -30, Decimal("1068.7")),
        ("revoke", -70, Decimal("998.7")),
        ("revoke", 70, Decimal("1068.7")),
    ] == lines[-4:]


def test_a_revoke_whose_amount_was_changed_is_put_right(day: Day) -> None:
    """By an entry of the grant's log; the books then add up, and nothing that was told moves again."""
    day.change("grant#pi-1", 2, "SET amount = :amount", amount={"N": "-3"})
    assert ["grant#pi-1"] == [fault.reference for fault in day.audit().faults]

    repaired = repair_everybody(day.ledger, "ticket 4711", None, day.world.deadline(600))

    assert [("grant#pi-1", Decimal(-27))] == [(each.reference, each.amount) for each in repaired.corrections]
    assert ((), ()) == (repaired.after.drifts, repaired.after.faults)
    before = day.entries()
    day.world.deliver(*STORY)
    assert before == day.entries()
    assert ["revoked"] == [report.outcome.value for report in day.world.deliver(told("refunded", 50, "13:01"))]
    assert ((), ()) == (day.audit().drifts, day.audit().faults)
