"""One posting: what moves together, what is kept apart, and what the database's answer means."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from engine.domain.decision import Outcome
from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.wire import ServiceError
from engine.ledger.store import Tables
from tests.support.events import failed, rendered
from tests.support.policies import example
from tests.support.world import DisturbedClient, World

REFUSE = ("overdraft: flag", "overdraft: refuse")
ALLOW = ("overdraft: flag", "overdraft: allow")
CREATE = ("unknown_user: refuse", "unknown_user: flag")


def calls_of(world: World, *documents: dict[str, Any]) -> list[str]:
    """Deliver events and return the calls to DynamoDB that it took."""
    client = DisturbedClient(world.client, lambda _operation, request, send: send(**request))
    world.deliver(*documents, client=client)
    return client.calls


def test_a_first_debit_is_one_call_and_so_is_its_duplicate(dynamodb: Any, tables: Tables) -> None:
    """No read on the way, neither before nor after."""
    world = World(dynamodb, tables).user().job()

    assert ["transact_write_items"] == calls_of(world, rendered())
    assert ["transact_write_items"] == calls_of(world, rendered())
    assert ["query", "transact_write_items"] == calls_of(world, failed())
    assert ["query"] == calls_of(world, failed())


def test_balance_and_sum_of_postings_move_together(dynamodb: Any, tables: Tables) -> None:
    """What the application granted is always their difference."""
    world = World(dynamodb, tables).user(remaining="10").job()

    world.deliver(rendered())

    row = world.user_row()
    assert row is not None
    assert (Decimal("9.2"), Decimal("-0.8"), "pro") == (row["remaining"], row["posted"], row["plan"])


def test_a_user_without_a_balance_has_none_to_draw_on(dynamodb: Any, tables: Tables) -> None:
    """A row without ``remaining`` is an overdraft, not an endless loop."""
    world = World(dynamodb, tables).user(remaining=None).job()

    (report,) = world.deliver(rendered())

    assert Outcome.DEBITED is report.outcome
    assert ["overdraft"] == [anomaly["name"] for anomaly in world.entries()[0]["anomalies"]]
    assert {"userId": "u-1", "plan": "pro", "remaining": Decimal("-0.8"), "posted": Decimal("-0.8")} == world.user_row()


@pytest.mark.parametrize(("change", "anomalies"), [(ALLOW, []), (("version: 1", "version: 1"), ["overdraft"])])
def test_an_overdraft_is_posted(dynamodb: Any, tables: Tables, change: tuple[str, str], anomalies: list[str]) -> None:
    """Allowed in silence, or with a flag."""
    world = World(dynamodb, tables, example(change)).user(remaining="0.5").job()

    world.deliver(rendered())

    assert anomalies == [anomaly["name"] for anomaly in world.entries()[0]["anomalies"]]
    assert Decimal("-0.3") == (world.user_row() or {})["remaining"]


def test_a_refused_charge_is_tried_by_every_scan_until_the_balance_covers_it(dynamodb: Any, tables: Tables) -> None:
    """One flag, no mark, and one debit in the end."""
    world = World(dynamodb, tables, example(REFUSE)).user(remaining="0.5").job()

    world.deliver(rendered())
    assert False is (world.job_row() or {})["reconciled"]
    assert {Outcome.REFUSED: 1} == world.scan().outcomes
    world.user(remaining="5")
    assert {Outcome.DEBITED: 1} == world.scan().outcomes
    assert {} == world.scan().outcomes

    assert [("flag", 0), ("debit", Decimal("-0.8"))] == world.amounts()
    assert (True, "completed") == ((world.job_row() or {})["reconciled"], (world.job_row() or {})["reconciledStatus"])


def test_an_unknown_user_is_created_with_the_posting(dynamodb: Any, tables: Tables) -> None:
    """And is flagged, once."""
    world = World(dynamodb, tables, example(CREATE))

    world.deliver(rendered("j-1", user="new"), rendered("j-2", user="new"))

    assert ["unknown-user", "overdraft"] == [anomaly["name"] for anomaly in world.entries("j-1")[0]["anomalies"]]
    assert {"userId": "new", "remaining": Decimal("-1.6"), "posted": Decimal("-1.6")} == world.user_row("new")


def test_our_own_entry_is_recognised_after_an_answer_that_was_lost(dynamodb: Any, tables: Tables) -> None:
    """Even where the token that should tell is forgotten: the entry at this sequence is the very one that was sent."""
    world = World(dynamodb, tables).user().job()
    lost = iter([True, False])

    def forgetful(operation: str, request: dict[str, Any], send: Any) -> Any:
        if operation != "transact_write_items":
            return send(**request)
        answer = send(**{**request, "ClientRequestToken": f"token-{next(lost_tokens)}"})
        if next(lost):
            from botocore.exceptions import ReadTimeoutError  # noqa: PLC0415  only here

            raise ReadTimeoutError(endpoint_url="http://dynamodb")
        return answer

    lost_tokens = iter(range(9))
    (report,) = world.deliver(rendered(), client=DisturbedClient(dynamodb, forgetful))

    assert Outcome.DEBITED is report.outcome
    assert [("debit", Decimal("-0.8"))] == world.amounts()


def test_a_statement_reads_the_user_s_entries_in_order_of_posting(dynamodb: Any, tables: Tables) -> None:
    """Of all jobs, and of this user alone."""
    world = World(dynamodb, tables).user("u-1").user("u-2")
    world.deliver(rendered("j-2"), rendered("j-1"), rendered("j-3", user="u-2"), failed("j-2"))
    ledger = DynamoStore(dynamodb, tables, world.clock)

    entries = list(ledger.entries_of_user("u-1", world.deadline()))

    assert ["j-2", "j-1", "j-2"] == [entry["jobId"] for entry in entries]


def test_a_correction_without_facts_counts_and_leaves_the_facts_as_they_are(dynamodb: Any, tables: Tables) -> None:
    """An entry that a person posts carries an amount; the next decision takes it into account."""
    world = World(dynamodb, tables).user().job()
    world.deliver(rendered())
    correction = {"reference": "job#j-1", "sequence": 2, "userId": "u-1", "amount": Decimal("0.3"), "postedAt": "2026"}
    dynamodb.put_item(TableName=tables.ledger, Item=encode_item({**correction, "type": "refund"}))

    log = DynamoStore(dynamodb, tables, world.clock).read("job#j-1", world.deadline())
    assert (2, Decimal("-0.5"), Decimal("0.8")) == (log.sequence, log.posted, log.cost)
    assert log.facts == evolve(log).facts

    world.deliver(failed())
    assert Decimal("0.5") == world.entries()[-1]["amount"]


def test_entries_of_the_first_form_are_still_known(dynamodb: Any, tables: Tables) -> None:
    """They had one refund, and what the event said without the expressions; the same events change nothing."""
    world = World(dynamodb, tables).user().job()
    world.deliver(rendered(), failed())
    for sequence, facts in (
        (1, {"charge": {"amount": Decimal("0.8"), "at": "2026-01-05T10:00:00Z", "content": ["8", "veo-3"]}}),
        (
            2,
            {
                "charge": {"amount": Decimal("0.8"), "at": "2026-01-05T10:00:00Z", "content": ["8", "veo-3"]},
                "refund": {"percent": 100, "at": "2026-01-05T11:00:00Z"},
            },
        ),
    ):
        dynamodb.update_item(
            TableName=tables.ledger,
            Key=encode_item({"reference": "job#j-1", "sequence": sequence}),
            UpdateExpression="SET facts = :facts",
            ExpressionAttributeValues=encode_item({":facts": facts}),
        )
    before = world.everything()

    outcomes = [report.outcome.value for report in world.deliver(rendered(), failed())]

    assert ["duplicate", "duplicate"] == outcomes
    assert before == world.everything()


def test_our_own_entry_is_recognised_even_if_it_has_been_explained_meanwhile(dynamodb: Any, tables: Tables) -> None:
    """An explanation is the one attribute that is added to an entry; it makes it nobody else's."""
    world = World(dynamodb, tables).user()
    attempts = iter(["first", "second"])

    def explained_and_lost(operation: str, request: dict[str, Any], send: Any) -> Any:
        attempt = next(attempts, "later")
        answer = send(**{**request, "ClientRequestToken": attempt})
        if attempt != "first":
            return answer
        dynamodb.update_item(
            TableName=tables.ledger,
            Key={"reference": {"S": "job#j-1"}, "sequence": {"N": "1"}},
            UpdateExpression="SET explanation = :said",
            ExpressionAttributeValues={":said": {"M": {"summary": {"S": "Fine."}}}},
        )
        raise ServiceError("InternalServerError", "lost", 500, [])

    (report,) = world.deliver(rendered("j-1"), client=DisturbedClient(dynamodb, explained_and_lost))

    assert Outcome.DEBITED == report.outcome
    assert [("debit", Decimal("-0.8"))] == world.amounts("j-1")
